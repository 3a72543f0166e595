"""Waits for what an installer does on its own: fetch its seed, and reset (or power off) when it has finished."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from factory.deadline import Deadline
from factory.drivers.protocols import ActivityProbe, Machine, SeedEndpoint, ShutdownReason
from factory.errors import StepError
from factory.plan.resources import SeedPlace
from factory.plan.step import Scope, Step
from factory.quantity import Duration, Size
from factory.steps.watch import panic_in, watching
from factory.steps.while_running import while_running
from factory.template.model import Finished


@dataclass(frozen=True, slots=True)
class AwaitSeedFetch(Step):
    """Knows that the boot command worked long before the installation could fail for the lack of it."""

    file: str
    budget: Duration
    stall: Duration

    needs: ClassVar[tuple[type, ...]] = (Machine, SeedEndpoint, SeedPlace)
    wants: ClassVar[tuple[type, ...]] = (ActivityProbe,)

    @property
    def title(self) -> str:
        return f"wait for the installer to fetch {self.file}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        deadline = Deadline.after(self.budget, f"the installer to fetch {self.file}, its seed")
        async with (
            while_running(scope, f"{self.file}, its seed, was awaited"),
            watching(scope, deadline, self.stall) as watched,
        ):
            await scope.get(SeedEndpoint).wait_for_request(self.file, watched)
        yield


@dataclass(frozen=True, slots=True)
class AwaitPowerOff(Step):
    """The end of an installation is QEMU's SHUTDOWN event and its reason, never a guess."""

    finished: Finished
    budget: Duration
    stall: Duration

    needs: ClassVar[tuple[type, ...]] = (Machine,)
    wants: ClassVar[tuple[type, ...]] = (ActivityProbe,)

    @property
    def title(self) -> str:
        done = "reset" if self.finished is Finished.RESET else "power off"
        return f"wait for the installer to finish and {done}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        deadline = Deadline.after(self.budget, "the installer to finish")
        async with watching(scope, deadline, self.stall) as watched:
            reason = await scope.get(Machine).wait_for_shutdown(watched)
        panic = panic_in(scope.get(Machine).serial_text(Size(8 * 1024)))  # one that then reset has not finished
        if reason is ShutdownReason.GUEST_PANIC or panic:
            words = f": {panic}" if panic else ""
            raise StepError(f"the installer's kernel panicked{words}", hint="the serial log ends with the panic")
        if reason.value != self.finished.value:
            raise StepError(
                f"the installer ended with {reason.value}, but its profile says {self.finished.value}",
                hint="look at the screenshot; if this is how it ends, set `finished` in the boot profile",
            )
        yield
