"""Ends a wait for what a guest does while it runs, when it does not run any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from factory.deadline import Deadline, pause
from factory.drivers.protocols import Machine, ShutdownReason
from factory.errors import Evidence, MachineDied, StepError
from factory.plan.step import Scope
from factory.quantity import Duration, Size
from factory.steps.watch import panic_in

_FOR_EVER = Duration(365 * 24 * 3600)
_LAST_WORDS = Size(8 * 1024)
_LAST_LOOK = Duration(3)
"""For the body to see what the guest has said right before it ended: what is awaited may be its last words."""
_DID = {
    ShutdownReason.GUEST_RESET: "reset the machine",
    ShutdownReason.GUEST_SHUTDOWN: "powered the machine off",
    ShutdownReason.GUEST_PANIC: "panicked",
}


class _EndedError(Exception):
    def __init__(self, reason: ShutdownReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@asynccontextmanager
async def while_running(scope: Scope, during: str) -> AsyncIterator[None]:
    """Cancels the body soon after the scope's guest resets, powers off or panics: QEMU pauses it there.

    Args:
        during: completes "the installer reset the machine while …".

    Raises: StepError that says so; else what the body raises. QEMU's own end is noticed by whoever started it.
    """
    machine = scope.get(Machine)
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_ends(machine))
            try:
                yield
            except Exception as error:  # raised below: a task group would wrap it
                failure = error
            finally:
                watching.cancel()
    except* _EndedError as ended:
        (cause, *_) = ended.exceptions
        assert isinstance(cause, _EndedError)
        failure = failure or _said(machine, cause.reason, during)
    if failure is not None:
        raise failure


async def _ends(machine: Machine) -> None:
    try:
        reason = await machine.wait_for_shutdown(Deadline.after(_FOR_EVER, "the guest to stop"))
    except MachineDied:
        return
    await pause(_LAST_LOOK)
    raise _EndedError(reason)


def _said(machine: Machine, reason: ShutdownReason, during: str) -> StepError:
    serial = machine.serial_text(_LAST_WORDS)
    panic = panic_in(serial)
    did = f"panicked: {panic}" if panic else _DID.get(reason, f"ended ({reason.value})")
    return StepError(
        f"the installer {did} while {during}",
        hint="look at the screenshot: had it finished already, or did it restart for want of what it was told? A wait "
        "for something that comes before this moment ends in time",
        evidence=Evidence(serial=serial),
    )
