"""Guests behind another host: SSH to that one, and from there on to the guest (RFC 4254 §7.2, ``direct-tcpip``).

A port of this host's loopback leads through the bastion, so that whoever speaks SSH to the guest needs to know nothing
of it.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import paramiko

from factory.deadline import Deadline
from factory.drivers.protocols import Communicator, Credentials, Guest, GuestAddress, GuestConnection
from factory.drivers.ssh import InstallerMarks, SshCommunicator, SshConnection, SshSettings
from factory.drivers.threads import in_thread
from factory.errors import GuestUnreachable
from factory.events import Emit
from factory.quantity import Duration

_OPEN = Duration(30)
_LOOK = Duration(1)
_PIECE = 32 * 1024


@dataclass(frozen=True, slots=True)
class BastionHost:
    """Where it is, and who logs in."""

    address: GuestAddress
    credentials: Credentials


class ThroughBastion:
    """A ``Communicator`` that reaches guests by *inner* through *bastion*, which sees the addresses."""

    def __init__(self, inner: Communicator, bastion: BastionHost) -> None:
        self._inner, self._bastion = inner, bastion
        self._outer = SshCommunicator(SshSettings(installer=InstallerMarks(files=())))
        self._port = 0

    def connect(
        self, address: GuestAddress, credentials: Credentials, *, deadline: Deadline, emit: Emit,
        guest: Guest = Guest.STARTED,
    ) -> AbstractAsyncContextManager[GuestConnection]:  # fmt: skip
        """Tries until it works or *deadline* passes. Raises: GuestUnreachable, of the bastion too."""
        return self._connected(address, credentials, deadline, emit, guest)

    @asynccontextmanager
    async def _connected(
        self, address: GuestAddress, credentials: Credentials, deadline: Deadline, emit: Emit, guest: Guest
    ) -> AsyncIterator[GuestConnection]:
        async with AsyncExitStack() as stack:
            reaching = self._outer.connect(
                self._bastion.address, self._bastion.credentials, deadline=deadline, emit=emit
            )
            try:
                outer = await stack.enter_async_context(reaching)
            except GuestUnreachable as error:
                raise GuestUnreachable(
                    f"the bastion lets nobody through: {error.message}", layer=error.layer, hint=error.hint
                ) from error
            assert isinstance(outer, SshConnection)
            # The same port each time, for as long as it is free: the guest's host key is remembered by its address.
            listener = stack.enter_context(_listener(self._port))
            self._port = listener.getsockname()[1]
            await stack.enter_async_context(_tunnel(listener, outer.transport, address))
            here = GuestAddress("127.0.0.1", self._port)
            reaching = self._inner.connect(here, credentials, deadline=deadline, emit=emit, guest=guest)
            yield await stack.enter_async_context(reaching)


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


@asynccontextmanager
async def _tunnel(listener: socket.socket, transport: paramiko.Transport, target: GuestAddress) -> AsyncIterator[None]:
    """What connects to *listener* is carried on to *target*, each by a channel of *transport*."""
    relays: set[asyncio.Task[None]] = set()
    failure: BaseException | None = None
    listener.setblocking(False)
    async with asyncio.TaskGroup() as group:
        accepting = group.create_task(_accept(listener, transport, target, group, relays))
        try:
            yield
        except BaseException as error:
            failure = error  # raised below: a task group would wrap it
        finally:
            for task in (accepting, *relays):
                task.cancel()
    if failure is not None:
        raise failure


async def _accept(
    listener: socket.socket,
    transport: paramiko.Transport,
    target: GuestAddress,
    group: asyncio.TaskGroup,
    relays: set[asyncio.Task[None]],
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        accepted, _ = await loop.sock_accept(listener)
        accepted.setblocking(True)
        relay = _Relay(accepted, transport, target)
        task = group.create_task(in_thread(relay.run, on_cancel=relay.stop))
        relays.add(task)
        task.add_done_callback(relays.discard)


class _Relay:
    """Carries one connection both ways until either end closes. ``run`` blocks; ``stop`` ends it from outside."""

    def __init__(self, accepted: socket.socket, transport: paramiko.Transport, target: GuestAddress) -> None:
        self._accepted, self._transport, self._target = accepted, transport, target
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        with suppress(OSError):
            self._accepted.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        with self._accepted:
            try:
                channel = self._transport.open_channel(
                    "direct-tcpip",
                    (self._target.host, self._target.port),
                    self._accepted.getpeername(),
                    timeout=float(_OPEN),
                )
            except (paramiko.SSHException, EOFError, OSError):
                return  # the guest is not there yet: whoever called sees the connection close, and tries again
            with channel, suppress(OSError, EOFError):
                self._carry(channel)

    def _carry(self, channel: paramiko.Channel) -> None:
        while not self._stopped and self._transport.is_active():
            both: list[socket.socket | paramiko.Channel] = [self._accepted, channel]
            ready, _, _ = select.select(both, [], [], float(_LOOK))
            if self._accepted in ready:
                if not (piece := self._accepted.recv(_PIECE)):
                    return
                channel.sendall(piece)
            if channel in ready:
                if not (piece := channel.recv(_PIECE)):
                    return
                self._accepted.sendall(piece)
