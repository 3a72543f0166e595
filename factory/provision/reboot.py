"""Restarts the guest and waits until it is another boot: not merely until something answers again."""

from __future__ import annotations

from dataclasses import dataclass

from factory.deadline import Deadline, pause
from factory.drivers.protocols import GuestConnection
from factory.errors import DeadlineExpired, GuestCommandFailed, GuestUnreachable
from factory.provision.context import ProvisionContext, print_line
from factory.quantity import Duration

REBOOT = 'if [ "$(id -u)" = 0 ]; then exec reboot; else exec sudo -n reboot; fi'
"""For every Linux and BSD; run by sh, because root's shell may be csh."""
_ANSWER = Duration(20)
_BETWEEN = Duration(1)


@dataclass(frozen=True, slots=True)
class RebootProvisioner:
    """``command`` empty means the guest's own reboot; ``budget`` bounds the whole restart."""

    command: str = ""
    budget: Duration = Duration(5 * 60)

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: GuestCommandFailed when the guest refuses, GuestUnreachable or DeadlineExpired when it stays away."""
        deadline = deadline.within(self.budget, "the guest to be back after its reboot")
        before = await context.connection.boot_id()
        await self._trigger(context, deadline)
        async with context.watching(deadline) as watched:
            await self._until_back(context, watched, before)

    async def _until_back(self, context: ProvisionContext, deadline: Deadline, before: str) -> None:
        same_boot = False
        while True:
            try:
                now = await _boot_id(await context.reconnect(deadline), deadline)
            except (GuestUnreachable, DeadlineExpired) as error:
                if deadline.expired:
                    raise _not_rebooted(deadline) if same_boot else _stayed_away(error) from error
                same_boot = False  # it went down while we looked
            else:
                if now != before:
                    return
                same_boot = True
            if deadline.expired:
                raise _not_rebooted(deadline)
            await pause(_BETWEEN)

    async def _trigger(self, context: ProvisionContext, deadline: Deadline) -> None:
        """A connection that breaks, or a command that never returns, is what a reboot looks like from here."""
        command = self.command or f"sh -c '{REBOOT}'"
        try:
            run = context.connection.run_given if self.command else context.connection.run
            result = await run(
                command,
                deadline=deadline.within(_ANSWER, "the guest to take the reboot command"),
                on_line=lambda stream, line: print_line(context, stream, line),
            )
        except (GuestUnreachable, DeadlineExpired):
            return
        if result.exit_status > 0 and result.exit_status < 128:  # above: killed by the shutdown that it began
            words = (result.stderr or result.stdout).strip().splitlines()
            raise GuestCommandFailed(
                f"the reboot command ended with status {result.exit_status}" + (f": {words[-1]}" if words else ""),
                exit_status=result.exit_status,
                hint="may this user reboot (sudo without a password), or does this guest need another `command`?",
            )


async def _boot_id(connection: GuestConnection, deadline: Deadline) -> str:
    return await deadline.bound(connection.boot_id())


def _not_rebooted(deadline: Deadline) -> DeadlineExpired:
    return deadline.error(
        seen="it still answers, but it has not rebooted",
        hint="look at the screen for what holds the shutdown up, or give another `command`",
    )


def _stayed_away(error: GuestUnreachable | DeadlineExpired) -> GuestUnreachable:
    layer = error.layer if isinstance(error, GuestUnreachable) else ""
    return GuestUnreachable(
        f"the guest went down to reboot and did not come back: {error.message}",
        layer=layer,
        hint="look at the screen: does it boot, and from the right disk? or give it more time with `deadline`",
    )
