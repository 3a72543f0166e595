"""What lives longer than one phase of a build and is closed in a given order: see ``engine.runner``."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType

from factory.engine.store import Draft
from factory.plan.resources import MachineState


class Slot:
    """An async exit stack that can be closed and filled again."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()

    async def __aenter__(self) -> Slot:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        stack, self.stack = self.stack, AsyncExitStack()
        return await stack.__aexit__(kind, error, trace)

    async def close(self) -> None:
        await self.__aexit__(None, None, None)


@dataclass(slots=True)
class Workspace:
    """A draft, for the layer of phase number ``index``, and the machine state in it."""

    slot: Slot
    draft: Draft
    index: int
    state: MachineState


class ClosingAll:
    """Closes every slot of a list that may grow in the body, the newest first."""

    def __init__(self, slots: list[Slot]) -> None:
        self._slots = slots

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *exception: object) -> None:
        while self._slots:  # a draft does not care why it is closed: what is not committed is removed
            await self._slots.pop().close()
