"""What a provisioner may use while it runs, and how it is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.deadline import Deadline, pause
from factory.drivers.protocols import GuestConnection, Programs
from factory.errors import DeadlineExpired, GuestUnreachable, StepError
from factory.events import Emit, GuestOutput, Note
from factory.quantity import Duration
from factory.secret import Secret

UNLIMITED = Duration(365 * 24 * 3600)
_BETWEEN_TRIES = Duration(2)
_RECONNECT = Duration(10 * 60)


class ProvisionContext(Protocol):
    """One provisioner's surroundings."""

    @property
    def name(self) -> str:
        """What its output is marked with."""

    @property
    def connection(self) -> GuestConnection:
        """The connection as it is now: ask anew after ``reconnect``."""

    async def reconnect(self, deadline: Deadline) -> GuestConnection:
        """Gives the connection up and makes a new one. Raises: GuestUnreachable."""

    def watching(self, deadline: Deadline) -> AbstractAsyncContextManager[Deadline]:
        """Watches the machine while its guest is awaited: yields the deadline to wait by, which ends early when the
        guest hangs and late when it works. Raises: MachineStalled in place of the body's error."""

    @property
    def emit(self) -> Emit: ...

    @property
    def workdir(self) -> Path:
        """A folder on this host for files that the provisioner needs; removed with the build."""

    @property
    def programs(self) -> Programs: ...

    @property
    def environment(self) -> Mapping[str, str | Secret[str]]:
        """Variables that every script gets, such as FACTORY_BUILD_NAME."""


class Provisioner(Protocol):
    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Does its work in the guest.

        Raises: GuestCommandFailed, GuestUnreachable, CommandFailed, DeadlineExpired.
        """


_MORE_TIME = (
    "give it more time with `timeout`; `build --on-error keep` leaves the machine up to look at what it waits for"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a provisioner is run. ``timeout`` bounds each try; ``retries`` is how many tries may follow the first."""

    pause_before: Duration = Duration(0)
    pause_after: Duration = Duration(0)
    timeout: Duration | None = None
    retries: int = 0


async def run_provisioner(provisioner: Provisioner, context: ProvisionContext, policy: Policy) -> None:
    """Runs *provisioner* until it succeeds or its tries are used up.

    A broken connection is made anew before the next try. Raises: the error of the *last* try.
    """
    if policy.pause_before:
        await pause(policy.pause_before)
    for left in range(policy.retries, -1, -1):
        deadline = Deadline.after(policy.timeout or UNLIMITED, f"provisioner {context.name!r}")
        try:
            await provisioner.run(context, deadline)
            break
        except StepError as error:
            if not left:
                if isinstance(error, DeadlineExpired) and policy.timeout and not error.hint:
                    error.hint = _MORE_TIME
                raise
            tries = "1 more try" if left == 1 else f"{left} more tries"
            context.emit(Note(f"{context.name}: {error.message}; {tries}", "warning"))
            await pause(_BETWEEN_TRIES)
            if isinstance(error, GuestUnreachable):
                await context.reconnect(Deadline.after(_RECONNECT, "the guest to answer again"))
    if policy.pause_after:
        await pause(policy.pause_after)


def print_line(context: ProvisionContext, stream: str, line: str) -> None:
    """Reports one line of a guest's output under the provisioner's name."""
    context.emit(GuestOutput(context.name, stream, line))


def reveal(value: str | Secret[str]) -> str:
    return value.reveal() if isinstance(value, Secret) else value
