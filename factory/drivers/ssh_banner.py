"""Does an SSH server answer? Without logging in: for images whose keys are gone."""

from __future__ import annotations

import asyncio

from factory.deadline import Deadline, pause
from factory.drivers.protocols import ConnectState, GuestAddress
from factory.errors import GuestUnreachable
from factory.events import ConnectAttempt, Emit
from factory.quantity import Duration

_ATTEMPT = Duration(5)
_BETWEEN = Duration(0.5)


async def wait_for_banner(address: GuestAddress, *, deadline: Deadline, emit: Emit) -> str:
    """Waits until an SSH server speaks at *address* (RFC 4253 §4.2) and returns its banner.

    QEMU accepts a forwarded connection before the guest has: a connection that says nothing proves nothing.
    Raises: GuestUnreachable that says how far it got.
    """
    state, told = ConnectState.REFUSED, None
    while not deadline.expired:
        try:
            banner = await _banner(address, deadline.within(_ATTEMPT, "an SSH banner"))
        except OSError:
            state, banner = ConnectState.REFUSED, ""
        else:
            state = ConnectState.CONNECTED if banner else ConnectState.NO_BANNER
        if state is not told:
            emit(ConnectAttempt(str(address), state.value, banner))
            told = state
        if banner:
            return banner
        await pause(Duration(min(float(_BETWEEN), float(deadline.left))))
    raise GuestUnreachable(
        f"no SSH server answered at {address} within {deadline.budget} ({state.value})",
        layer=state.value,
        hint="look at the screenshot and the serial log: did the image boot, and did it start its SSH server?",
    )


async def _banner(address: GuestAddress, deadline: Deadline) -> str:
    try:
        async with asyncio.timeout(float(deadline.left)):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                line = await reader.readline()
            finally:
                writer.close()
    except TimeoutError:
        return ""
    return line.decode("ascii", "replace").strip() if line.startswith(b"SSH-") else ""
