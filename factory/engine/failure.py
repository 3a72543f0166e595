"""Who is told when a build fails: while its machine still runs, and when QEMU is gone but its disks are not.

Observers explain (a dossier, a recording); at most one *holder* decides how long the broken machine is kept for a
person to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Protocol

from factory.engine.scope import StepScope
from factory.errors import Evidence
from factory.events import Emit, Note
from factory.plan.step import Scope
from factory.quantity import Duration

PATIENCE = Duration(300)
"""For one observer: whoever explains a failure must not hide it by taking for ever."""
EVIDENCE_PATIENCE = Duration(10)
"""How long the collection of evidence may take: a hung machine must not hide the error."""


class FailureHook(Protocol):
    """Both calls are bounded by ``PATIENCE``; what they raise becomes a note and never the build's error."""

    async def failed(self, error: BaseException, phase: str, scope: Scope) -> None:
        """A step of *phase* has failed with *error*, which has its evidence by now.

        The machine, where there is one (``scope.find(Machine)``), still runs, unless its death is the error.
        """

    async def stopped(self, error: BaseException, folder: Path | None) -> None:
        """QEMU has ended. *folder* still holds what the failed phase worked on (``disk-<id>.qcow2``), and is removed
        when this returns; None when there is no such folder."""


class Holder(Protocol):
    async def hold(self, error: BaseException, phase: str, scope: Scope) -> None:
        """Returns when the broken machine may go; unbounded. Cancelled by Ctrl-C and by the machine's own end."""


class Failure:
    """Tells everyone about the failure of one run, each of the two moments once."""

    def __init__(self, hooks: Sequence[FailureHook], holder: Holder | None, emit: Emit) -> None:
        self._hooks, self._holder, self._emit = tuple(hooks), holder, emit
        self.error: BaseException | None = None
        self.outlived = False
        """True when the error had been told and the machine was being held when it (or the build) was ended."""

    async def happened(self, error: BaseException, phase: str, scope: Scope) -> None:
        """To be called where the machine still runs; tells once, however many frames the error passes on its way."""
        if self.error is not None:
            return
        self.error = error
        for hook in self._hooks:
            await self._bounded(hook, hook.failed(error, phase, scope))
        if self._holder is None:
            return
        try:
            await self._holder.hold(error, phase, scope)
        except asyncio.CancelledError:
            # Ctrl-C, or the machine's end: either ends the holding, and the build fails as it would have.
            self.outlived = True
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()

    async def ended(self, folder: Path | None) -> None:
        """To be called once QEMU is gone."""
        assert self.error is not None
        for hook in self._hooks:
            await self._bounded(hook, hook.stopped(self.error, folder))

    async def _bounded(self, hook: FailureHook, call: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(float(PATIENCE)):
                await call
        except TimeoutError:
            self._emit(Note(f"{type(hook).__name__} was not done after {PATIENCE} and was left", "warning"))
        except Exception as error:
            self._emit(Note(f"{type(hook).__name__} could not explain the failure: {error!r}", "warning"))


async def collect_evidence(scope: StepScope) -> Evidence:
    """What the machine of *scope* can show, within ``EVIDENCE_PATIENCE``. Raises nothing for a machine that hangs."""
    try:
        async with asyncio.timeout(float(EVIDENCE_PATIENCE)):
            return await scope.collect_evidence()
    except TimeoutError:
        return Evidence(notes=(f"the machine gave no evidence within {EVIDENCE_PATIENCE}",))
