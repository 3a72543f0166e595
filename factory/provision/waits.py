"""Provisioners that wait: for a time, for a person, for a command to succeed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factory.deadline import Deadline, pause
from factory.errors import DeadlineExpired, GuestUnreachable
from factory.events import Note
from factory.provision.context import ProvisionContext
from factory.quantity import Duration

_BETWEEN = Duration(2)
_ONE_TRY = Duration(60)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Does nothing for ``duration``."""

    duration: Duration

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: DeadlineExpired when the provisioner's own timeout is shorter."""
        await deadline.bound(pause(self.duration))


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """Waits for Enter on a terminal; without one there is nobody to wait for, and it says so."""

    note: str = ""

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: DeadlineExpired."""
        words = f": {self.note}" if self.note else ""
        if not sys.stdin.isatty():
            context.emit(Note(f"breakpoint{words}: passed over, because standard input is no terminal", "warning"))
            return
        try:
            connection = context.connection
            where = f"the guest is reached as {connection.credentials.user} at {connection.address}"
        except GuestUnreachable:
            where = "the template has no way into the guest"
        context.emit(Note(f"breakpoint{words}: {where}; press Enter to go on", "warning"))
        await deadline.bound(_enter())


async def _enter() -> None:
    """Waits for a line on standard input without a thread, which nothing could end."""
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), pressed.set)
    try:
        await pressed.wait()
        sys.stdin.readline()
    finally:
        loop.remove_reader(sys.stdin.fileno())


@dataclass(frozen=True, slots=True)
class AwaitCommand:
    """Runs ``command`` until it succeeds: what Packer's ``restart_check_command`` does."""

    command: str
    patience: Duration

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: DeadlineExpired with what the command said last."""
        whole = deadline.within(self.patience, f"{self.command!r} to succeed in the guest")
        said = "it never ran"
        while not whole.expired:
            try:
                one = whole.within(_ONE_TRY, "the command to end")
                result = await context.connection.run_given(self.command, deadline=one)
            except GuestUnreachable:
                await context.reconnect(whole)
                continue
            except DeadlineExpired:
                said = "it did not end"
                continue
            if result.exit_status == 0:
                return
            said = f"it ended with {result.exit_status}: {(result.stderr or result.stdout).strip()[-200:]}"
            await pause(_BETWEEN)
        raise whole.error(seen=said)


def make_sleep(options: Mapping[str, Any]) -> Sleep:
    """``duration`` in seconds, or as text (``"90s"``)."""
    duration = options.get("duration", 0)
    return Sleep(Duration.parse(duration) if isinstance(duration, str) else Duration(float(duration)))


def make_breakpoint(options: Mapping[str, Any]) -> Sleep | Breakpoint:
    """``note``, and ``disable`` to pass it over."""
    return Sleep(Duration(0)) if options.get("disable") else Breakpoint(str(options.get("note", "")))


def make_await_command(options: Mapping[str, Any]) -> AwaitCommand:
    """``command``, and ``patience`` in seconds."""
    return AwaitCommand(str(options["command"]), Duration(float(options.get("patience", 300))))
