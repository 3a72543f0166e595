"""The connection on which an SSH server speaks first: several wait for it side by side.

QEMU's user network accepts in the guest's place and then calls the guest itself. While the guest is not there it
repeats that call ever more rarely (6 s after the first, then each 12 s: ``TCPTV_SRTTDFLT``, ``TCPTV_REXMTMAX`` of
libslirp's ``tcp_timer.h``), so a connection that was begun too early hears of the guest late, and a new one at once. A
slow guest needs the contrary: once its server has accepted, it may take half a minute to speak. So a new connection is
begun about each second, the oldest one stays as long as it may, and whichever hears something first is taken.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from factory.drivers.protocols import ConnectState, GuestAddress
from factory.quantity import Duration

MOST = 5
"""Connections that wait at the same time: below what OpenSSH takes from strangers (``MaxStartups 10:30:100``)."""
FIRST_GAP = Duration(0.2)


@dataclass(frozen=True, slots=True)
class Silent:
    """How one connection ended without a word from an SSH server."""

    state: ConnectState  # REFUSED or NO_BANNER
    reason: str


class Dialler:
    """Waits for one SSH server.

    Args:
        connect: how long a connection may take to be accepted.
        banner: how long the oldest connection may wait for the server's first word.
        between: the longest gap from the beginning of one connection to the next.
        first_gap: the first of these gaps; each is twice the one before.
        on_silent: is told of each connection that ended without a word.

    ``state`` is how far the best of them has got; ``tries`` counts them.
    """

    def __init__(
        self,
        address: GuestAddress,
        *,
        connect: Duration,
        banner: Duration,
        between: Duration,
        first_gap: Duration = FIRST_GAP,
        on_silent: Callable[[Silent], None],
    ) -> None:
        self.state = ConnectState.REFUSED
        self.tries = 0
        self._address = address
        self._connect, self._banner, self._between, self._first_gap = connect, banner, between, first_gap
        self._on_silent = on_silent

    async def answer(self) -> socket.socket:
        """A connection (blocking, without a timeout) on which there is something to read; the caller closes it.

        Goes on until there is one: cancel it, or bound it by a deadline.
        """
        spoken: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        waiting: list[asyncio.Task[None]] = []
        gap = float(self._first_gap)
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    while not spoken.done():
                        waiting = [task for task in waiting if not task.done()]
                        if len(waiting) == MOST:
                            waiting.pop(1).cancel()  # not the oldest: a slow server may be about to speak there
                        self.tries += 1
                        waiting.append(group.create_task(self._wait(spoken)))
                        await asyncio.wait({spoken}, timeout=min(gap, float(self._between)))
                        gap *= 2
                finally:
                    for task in waiting:
                        task.cancel()
        except BaseException:
            if spoken.done():
                spoken.result().close()
            raise
        answered = spoken.result()
        answered.setblocking(True)
        return answered

    async def _wait(self, spoken: asyncio.Future[socket.socket]) -> None:
        try:
            opened = await self._open()
        except OSError as error:  # TimeoutError is one
            self.state = ConnectState.REFUSED
            self._on_silent(Silent(ConnectState.REFUSED, _words(error) or f"not accepted within {self._connect}"))
            return
        self.state = ConnectState.NO_BANNER
        taken = False
        try:
            reason = await self._listen(opened)
            if reason:
                self._on_silent(Silent(ConnectState.NO_BANNER, reason))
            elif not spoken.done():
                spoken.set_result(opened)
                taken = True
        finally:
            if not taken:
                opened.close()

    async def _open(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        failure = OSError(f"{self._address.host} has no address")
        async with asyncio.timeout(float(self._connect)):
            found = await loop.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, place in found:
                opened = socket.socket(family, kind, protocol)
                try:
                    opened.setblocking(False)
                    await loop.sock_connect(opened, place)
                    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                except OSError as error:
                    opened.close()
                    failure = error
                except BaseException:
                    opened.close()
                    raise
                else:
                    return opened
        raise failure

    async def _listen(self, opened: socket.socket) -> str:
        """Waits for a first word; returns what happened instead of it, or nothing."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(opened, readable.set)
        try:
            async with asyncio.timeout(float(self._banner)):
                await readable.wait()
            return "" if opened.recv(1, socket.MSG_PEEK) else "it closed the connection"
        except TimeoutError:
            return f"nothing came within {self._banner}"
        except OSError as error:
            return _words(error)
        finally:
            loop.remove_reader(opened)


def _words(error: OSError) -> str:
    # asyncio puts words of its own in the place of the system's; gaierror's numbers are no errno.
    if error.errno and error.errno > 0 and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)
