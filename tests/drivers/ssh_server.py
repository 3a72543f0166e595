"""An SSH server in the test's own process: real protocol, real shell commands, configurable bad manners."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from factory.deadline import Deadline, poll
from factory.drivers.protocols import Credentials, GuestAddress
from factory.drivers.ssh_keys import generate_build_key
from factory.quantity import Duration


@dataclass
class Guest:
    """A guest that is a folder of this host: its server's address, its users' ways in, and what may be changed."""

    home: Path
    address: GuestAddress
    key_file: Path
    acceptor: asyncssh.SSHAcceptor
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    terminals: list[str | None] = field(default_factory=list)
    forwarded: list[tuple[str, int]] = field(default_factory=list)  # where connections went on to: it is a bastion
    running: set[int] = field(default_factory=set)  # process groups of the commands
    sessions: int = 0
    leaders: bool = True  # commands lead a session of their own, as with OpenSSH; with dropbear they do not

    def credentials(self, user: str = "root") -> Credentials:
        return Credentials(user, private_key=self.key_file)

    def hang_up(self) -> None:
        """Breaks every connection as a guest does whose power is cut."""
        for connection in self.connections:
            connection.abort()

    async def stop(self) -> None:
        """Ends what runs, and waits for it: a command that outlives its event loop can't be reaped in order."""
        self.acceptor.close()
        self.hang_up()

        async def none_left() -> bool | None:
            for group in tuple(self.running):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            return not self.sessions or None

        await poll(none_left, Deadline.after(Duration(30), "the guest's commands to end"), every=Duration(0.01))


class _Server(asyncssh.SSHServer):
    def __init__(self, guest: list[Guest], public_key: str, password: str, methods: set[str], prompt: str) -> None:
        self._guest, self._public_key, self._password, self._methods = guest, public_key, password, methods
        self._prompt = prompt

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._guest[0].connections.append(conn)
        if self._prompt:
            conn.send_auth_banner(self._prompt)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return "publickey" in self._methods

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return bool(key == asyncssh.import_public_key(self._public_key))

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """The key that is let in may also be that which has signed others."""
        return bool(key == asyncssh.import_public_key(self._public_key))

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self._guest[0].forwarded.append((dest_host, dest_port))
        return True

    def password_auth_supported(self) -> bool:
        return "password" in self._methods

    def validate_password(self, username: str, password: str) -> bool:
        return password == self._password

    def kbdint_auth_supported(self) -> bool:
        return "keyboard-interactive" in self._methods

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password:", False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return list(responses) == [self._password]


@asynccontextmanager
async def guest(
    home: Path,
    *,
    sftp: bool = True,
    password: str = "hunter22",
    methods: frozenset[str] = frozenset({"publickey"}),
    public_key: str = "",
    port: int = 0,
    host_key: str = "ssh-ed25519",
    path: str = "",
    login_banner: str = "",
    version: str = "",
    leaders: bool = True,
    **options: Any,
) -> AsyncIterator[Guest]:
    """Runs a server whose users live in *home* and run commands with this host's shell."""
    home.mkdir(exist_ok=True)
    build_key = generate_build_key()
    key_file = home.parent / "build_key"
    if not public_key:
        key_file.write_bytes(build_key.private_pem.reveal())
    holder: list[Guest] = []

    async def process(session: Any) -> None:
        holder[0].sessions += 1
        try:
            await _run_command(holder[0], session, path)
        finally:
            holder[0].sessions -= 1

    class SftpServer(asyncssh.SFTPServer):
        """Starts in the user's home, without a chdir of the whole process."""

        def map_path(self, path: bytes) -> bytes:
            return os.path.join(os.fsencode(home), path)

    acceptor = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[asyncssh.generate_private_key(host_key)],
        server_factory=lambda: _Server(
            holder, public_key or build_key.public_line, password, set(methods), login_banner
        ),
        process_factory=process,
        sftp_factory=SftpServer if sftp else None,
        encoding=None,
        line_editor=False,
        server_version=version or (),
        **options,
    )
    address = GuestAddress("127.0.0.1", acceptor.get_port())
    holder.append(Guest(home, address, key_file, acceptor, leaders=leaders))
    try:
        yield holder[0]
    finally:
        await holder[0].stop()


async def _run_command(host: Guest, session: Any, path: str) -> None:
    host.commands.append(session.command)
    host.terminals.append(session.get_terminal_type())
    environment = {"PATH": path or os.environ["PATH"], "HOME": str(host.home)}
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        session.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=host.home,
        env=environment,
        start_new_session=host.leaders,
    )
    host.running.add(child.pid)

    def end(name: str) -> None:
        host.signals.append(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM) if host.leaders else os.kill(child.pid, signal.SIGTERM)

    session.signal_received = end
    try:
        async with asyncio.TaskGroup() as group:
            feed = group.create_task(_feed(session, child, end))
            pumps = [
                group.create_task(_pump(child.stdout, session.stdout)),
                group.create_task(_pump(child.stderr, session.stderr)),
            ]
            status = await child.wait()
            await asyncio.wait(pumps, timeout=20)
            feed.cancel()
        session.exit(status) if status >= 0 else session.exit_with_signal("KILL")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        host.running.discard(child.pid)


async def _feed(session: Any, child: asyncio.subprocess.Process, end: Callable[[str], None]) -> None:
    assert child.stdin is not None
    while True:
        try:
            data = await session.stdin.read(65536)
        except asyncssh.SignalReceived as received:  # before the command had been started
            end(received.signal)
            return
        except (asyncssh.Error, OSError):
            return
        if not data:
            break
        with contextlib.suppress(ConnectionError):
            child.stdin.write(data)
            await child.stdin.drain()
    child.stdin.close()


async def _pump(source: asyncio.StreamReader | None, target: Any) -> None:
    assert source is not None
    with contextlib.suppress(ConnectionError, asyncssh.Error, TimeoutError):
        while data := await source.read(65536):
            target.write(data)
            async with asyncio.timeout(5):  # a connection that was cut never takes more, and never says so
                await target.drain()
    while await source.read(65536):  # the end of a child is seen only behind the end of its output
        pass


@asynccontextmanager
async def mute_server() -> AsyncIterator[GuestAddress]:
    """Accepts connections and never says a word, as QEMU does for a guest without network."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield GuestAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


def unused_address() -> GuestAddress:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return GuestAddress("127.0.0.1", probe.getsockname()[1])
