"""Powers the guest off: its own command, then the power button, and never a cut of power that goes unnoticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from factory.deadline import Deadline
from factory.drivers.protocols import ActivityProbe, Machine
from factory.errors import DeadlineExpired, GuestUnreachable, MachineStalled, StepError
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
_ALREADY = Duration(1)
"""For a guest that nobody can ask: it may be going down by itself."""


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
        try:
            async with watching(scope, Deadline.after(self.budget, "the guest to power off"), self.stall) as whole:
                await self._power_off(scope, scope.get(Machine), whole)
        except MachineStalled:
            raise
        except DeadlineExpired as error:
            raise StepError(
                f"the guest did not power off within {self.budget}, neither by command nor by its power button",
                hint="set `shutdown.command` for this guest, or give it more time with `shutdown.deadline`",
                evidence=error.evidence,
            ) from error
        yield

    async def _power_off(self, scope: Scope, machine: Machine, whole: Deadline) -> None:
        """Asks, then presses the button: before a guest that merely ignores the request counts as hung."""
        link = scope.find(GuestLink)
        asked = Duration(min(self.budget, self.stall or self.budget) / 2) if link else _ALREADY
        if link:
            command = POWER_OFF if self.command is None else render_late(self.command, late_values(scope))
            await self._ask(scope, link, command, whole)
        try:
            await machine.wait_for_shutdown(whole.within(asked, "the guest to power off after it was asked to"))
        except DeadlineExpired:
            if whole.expired:
                raise
            if link:
                scope.emit(Note("the guest has not powered off: pressing its power button", "warning"))
            await machine.power_button()
            await machine.wait_for_shutdown(whole)

    async def _ask(self, scope: Scope, link: GuestLink, command: str, whole: Deadline) -> None:
        """The connection usually breaks before the command's status arrives: that is no error here."""
        try:
            deadline = whole.within(_ANSWER, "the guest to take the power-off command")
            run = link.connection.run if self.command is None else link.connection.run_given
            result = await run(command, deadline=deadline)
        except (GuestUnreachable, DeadlineExpired):
            return
        if result.exit_status not in (0, -1):
            words = (result.stderr or result.stdout).strip()
            scope.emit(Note(f"the power-off command ended with {result.exit_status}: {words}", "warning"))
