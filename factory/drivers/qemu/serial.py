"""The first serial line of a machine: read into a bounded tail, typed on, and shared with people who look.

QEMU writes the whole log by itself (``logfile=``). We hold the other end of the line and pass it on to everyone who
connects to the socket ``serial.sock``; whatever they type goes to the guest as well.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

from factory.quantity import Size

KEPT = Size(2**20)


class SerialLine:
    """Our end of the line. ``close`` when the machine has ended."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._tail = bytearray()
        self._outgoing = bytearray()
        self._drained = asyncio.Event()
        self._drained.set()
        self._clients: set[asyncio.Transport] = set()
        self._listeners: list[Callable[[bytes], None]] = []
        self._server: asyncio.Server | None = None
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._open = True

    async def offer(self, path: Path) -> None:
        """Lets people attach: a listening unix socket at *path*."""
        self._server = await self._loop.create_unix_server(lambda: _Attached(self), path=str(path), start_serving=False)
        path.chmod(0o600)
        await self._server.start_serving()

    def text(self, limit: Size) -> str:
        """The last *limit* bytes that the guest wrote, with LF as the end of lines."""
        data = bytes(self._tail[-int(limit) :]) if limit else b""
        return data.decode("utf-8", "replace").replace("\r\n", "\n")

    def subscribe(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Calls *listener* with each piece that the guest writes; returns how to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def write(self, data: bytes) -> None:
        """Types; returns when QEMU has taken everything (the guest may read it later)."""
        self.type(data)
        await self._drained.wait()

    def type(self, data: bytes) -> None:
        if not (self._open and data):
            return
        self._outgoing += data
        self._drained.clear()
        self._loop.add_writer(self._socket.fileno(), self._send)

    def attach(self, client: asyncio.Transport) -> None:
        """Shows *client* the last screenful, and from now on everything."""
        client.write(bytes(self._tail[-4096:]))
        self._clients.add(client)

    def detach(self, client: asyncio.Transport) -> None:
        self._clients.discard(client)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.close()
        self._hang_up()
        self._socket.close()

    def _hang_up(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
        self._outgoing.clear()
        self._drained.set()

    def _read(self) -> None:
        try:
            data = os.read(self._socket.fileno(), 64 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        self._tail += data
        if len(self._tail) > 2 * KEPT:
            del self._tail[: len(self._tail) - KEPT]
        for client in tuple(self._clients):
            if client.get_write_buffer_size() > KEPT:
                client.abort()  # a terminal that was suspended must not make us keep the whole log
            else:
                client.write(data)
        for listener in tuple(self._listeners):
            listener(data)

    def _send(self) -> None:
        try:
            del self._outgoing[: os.write(self._socket.fileno(), self._outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self._outgoing.clear()  # QEMU has ended: its death is reported elsewhere
        if not self._outgoing:
            self._loop.remove_writer(self._socket.fileno())
            self._drained.set()


class _Attached(asyncio.Protocol):
    """A person's terminal on the line."""

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._line.attach(self._transport)

    def data_received(self, data: bytes) -> None:
        self._line.type(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._line.detach(self._transport)
