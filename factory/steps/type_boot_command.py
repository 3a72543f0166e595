"""Types the boot command, and sees to the waits in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from factory.drivers.protocols import ActivityProbe, Machine, ScreenReader, SeedEndpoint, Typist
from factory.plan.resources import MachineState, SeedPlace
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.expectation import Hands, meet
from factory.steps.late import late_values
from factory.steps.while_running import while_running
from factory.template.late import render_late
from factory.template.model import DEFAULT_STALL, Expect, Text


@dataclass(frozen=True, slots=True)
class TypeBootCommand(Step):
    command: tuple[Text | Expect, ...]
    wait: Duration = Duration(0)
    layout: str = "us"
    dialect: str = "factory"
    stall: Duration = DEFAULT_STALL

    needs: ClassVar[tuple[type, ...]] = (Machine, Typist, ScreenReader)
    wants: ClassVar[tuple[type, ...]] = (SeedEndpoint, SeedPlace, MachineState, ActivityProbe)

    @property
    def title(self) -> str:
        return "type the boot command"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        state = scope.find(MachineState)
        if state and state.memory:
            scope.detail("the guest goes on from memory: nothing is typed")
            yield
            return
        hands = Hands(scope, self.layout, self.stall, self.dialect, reader="the boot command")
        async with while_running(scope, "its boot command was typed"):
            await self._type(scope, hands)
        scope.detail(hands.told())
        yield

    async def _type(self, scope: Scope, hands: Hands) -> None:
        if self.wait:
            await hands.waits.wait(self.wait)
        late = late_values(scope)
        for is_wait, parts in groupby(self.command, lambda part: isinstance(part, Expect)):
            if is_wait:
                for expect in parts:
                    assert isinstance(expect, Expect)
                    await meet(hands, expect)
            else:
                # As Packer: the parts of a boot command are joined without anything between them.
                await hands.type("".join(render_late(part, late) for part in parts if not isinstance(part, Expect)))
