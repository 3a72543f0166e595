"""Powers the guest off: its own command, then the power button, and never a cut of power that goes unnoticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from factory.deadline import Deadline
from factory.drivers.protocols import ActivityProbe, Machine
from factory.errors import DeadlineExpired, GuestUnreachable, StepError
from factory.events import Note
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.connect_guest import GuestLink
from factory.steps.late import late_values
from factory.steps.watch import watching
from factory.template.late import render_late
from factory.template.model import Text

POWER_OFF = 'if [ "$(id -u)" = 0 ]; then exec poweroff; else exec sudo -n poweroff; fi'
"""For every Linux and BSD; a template's own ``shutdown.command`` replaces it."""
_ANSWER = Duration(15)


@dataclass(frozen=True, slots=True)
class ShutDown(Step):
    command: Text | None
    budget: Duration
    stall: Duration

    needs: ClassVar[tuple[type, ...]] = (Machine,)
    wants: ClassVar[tuple[type, ...]] = (GuestLink, ActivityProbe)

    @property
    def title(self) -> str:
        return "power the guest off"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        machine = scope.get(Machine)
        whole = Deadline.after(self.budget, "the guest to power off")
        link = scope.find(GuestLink)
        if link:
            command = POWER_OFF if self.command is None else render_late(self.command, late_values(scope))
            await self._ask(scope, link, command, whole)
        try:
            half = whole.within(Duration(self.budget / 2), "the guest to power off after it was asked to")
            await machine.wait_for_shutdown(half if link else whole.within(Duration(1), "the guest's power-off"))
        except DeadlineExpired:
            if link:
                scope.emit(Note("the guest has not powered off: pressing its power button", "warning"))
            await machine.power_button()
            async with watching(scope, whole, self.stall) as watched:
                await self._last_wait(machine, watched)
        yield

    async def _ask(self, scope: Scope, link: GuestLink, command: str, whole: Deadline) -> None:
        """The connection usually breaks before the command's status arrives: that is no error here."""
        try:
            deadline = whole.within(_ANSWER, "the guest to take the power-off command")
            result = await link.connection.run(command, deadline=deadline)
        except (GuestUnreachable, DeadlineExpired):
            return
        if result.exit_status not in (0, -1):
            words = (result.stderr or result.stdout).strip()
            scope.emit(Note(f"the power-off command ended with {result.exit_status}: {words}", "warning"))

    async def _last_wait(self, machine: Machine, whole: Deadline) -> None:
        try:
            await machine.wait_for_shutdown(whole)
        except DeadlineExpired as error:
            raise StepError(
                f"the guest did not power off within {self.budget}, neither by command nor by its power button",
                hint="set `shutdown.command` for this guest, or give it more time with `shutdown.deadline`",
                evidence=error.evidence,
            ) from error
