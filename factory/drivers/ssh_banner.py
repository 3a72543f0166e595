"""Does an SSH server answer? Without logging in: for images whose keys are gone."""

from __future__ import annotations

import asyncio
import socket

from factory.deadline import Deadline, pause
from factory.drivers.protocols import ConnectState, GuestAddress
from factory.drivers.ssh_dial import Dialler
from factory.errors import DeadlineExpired, GuestUnreachable
from factory.events import ConnectAttempt, Emit
from factory.quantity import Duration

_PATIENCE = Duration(30)
_BETWEEN = Duration(1)


async def wait_for_banner(address: GuestAddress, *, deadline: Deadline, emit: Emit) -> str:
    """Waits until an SSH server speaks at *address* (RFC 4253 §4.2) and returns its banner.

    QEMU accepts a forwarded connection before the guest has: a connection that says nothing proves nothing.
    Raises: GuestUnreachable that says how far it got.
    """
    told: ConnectState | None = None

    def tell(state: ConnectState, message: str) -> None:
        nonlocal told
        if state is not told:
            emit(ConnectAttempt(str(address), state.value, message))
            told = state

    dialler = Dialler(
        address,
        connect=_PATIENCE,
        banner=_PATIENCE,
        between=_BETWEEN,
        on_silent=lambda how: tell(how.state, how.reason),
    )
    try:
        async with deadline.limit():
            while True:
                banner = await _banner(await dialler.answer())
                if banner:
                    tell(ConnectState.CONNECTED, banner)
                    return banner
                await pause(_BETWEEN)
    except DeadlineExpired as expired:
        raise GuestUnreachable(
            f"no SSH server answered at {address} within {deadline.budget} ({dialler.state.value})",
            layer=dialler.state.value,
            hint="look at the screenshot and the serial log: did the image boot, and did it start its SSH server?",
        ) from expired


async def _banner(answered: socket.socket) -> str:
    """The line with which an SSH server introduces itself; empty where something else speaks."""
    answered.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=answered)
    try:
        async with asyncio.timeout(float(_PATIENCE)):
            line = await reader.readline()
    except (TimeoutError, OSError, ValueError):  # ValueError: a line that never ends
        return ""
    finally:
        writer.close()
    return line.decode("ascii", "replace").strip() if line.startswith(b"SSH-") else ""
