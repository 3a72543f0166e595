"""Guests over SSH, by paramiko in threads.

No agent is asked, no known_hosts file is read or written, no configuration file is read: a build does the same on
every host. The host key is pinned in memory after first contact.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from factory.deadline import Deadline, pause
from factory.drivers.line_output import LineOutput
from factory.drivers.protocols import (
    CommandResult,
    ConnectState,
    Credentials,
    Guest,
    GuestAddress,
    GuestConnection,
    OnLine,
)
from factory.drivers.ssh_command import Command, ConnectionBroke
from factory.drivers.ssh_connect import (
    Attempt,
    AttemptFailed,
    HostKeys,
    Patience,
    load_keys,
    matches_banner,
    no_answer,
    no_banner,
)
from factory.drivers.ssh_dial import FIRST_GAP, Dialler, Silent
from factory.drivers.ssh_transfer import Transfer, TransferRefused, Upload
from factory.drivers.ssh_tree import upload_tree
from factory.drivers.threads import in_thread, post
from factory.errors import DeadlineExpired, Evidence, GuestCommandFailed, GuestUnreachable
from factory.events import ConnectAttempt, Emit
from factory.quantity import Duration

INSTALLER_FILES = (
    "/run/anaconda",  # Fedora, RHEL and kin
    "/run/subiquity",  # Ubuntu Server
    "/bin/anna",  # Debian's installer
    "/usr/bin/anna",
    "/run/agama",  # openSUSE
    "/run/archiso",
    "/tmp/bsdinstall_etc",  # FreeBSD
)
"""What exists in a running installer and never in the system that it installs."""

BOOT_ID = "cat /proc/sys/kernel/random/boot_id 2>/dev/null || sysctl -n kern.boottime 2>/dev/null || uptime -s"


@dataclass(frozen=True, slots=True)
class InstallerMarks:
    """How to tell the installer's own sshd from the installed system's. Empty fields are not asked."""

    files: tuple[str, ...] = INSTALLER_FILES
    hostnames: tuple[str, ...] = ()  # regular expressions for the whole name
    banners: tuple[str, ...] = ()  # regular expressions, searched in the version line and the login banner
    check: Callable[[GuestConnection], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class SshSettings:
    installer: InstallerMarks = field(default_factory=InstallerMarks)
    patience: Patience = field(default_factory=Patience)
    between_attempts: Duration = Duration(1)
    after_refusal: Duration = Duration(5)
    """Longer: OpenSSH 9.8 and newer punishes an address that is refused often (PerSourcePenalties)."""
    keepalive: Duration = Duration(5)
    with_terminal: bool = False
    """For commands of the template's only."""


class SshCommunicator:
    """Connects to guests. One object per build: it remembers the host keys of that build's guests."""

    def __init__(self, settings: SshSettings | None = None) -> None:
        self.settings = settings or SshSettings()
        self._host_keys = HostKeys()

    def forget(self, address: GuestAddress) -> None:
        """Unpins the host key: another system runs behind *address* from now on."""
        self._host_keys.forget(address)

    def connect(
        self, address: GuestAddress, credentials: Credentials, *, deadline: Deadline, emit: Emit,
        guest: Guest = Guest.STARTED,
    ) -> AbstractAsyncContextManager[GuestConnection]:  # fmt: skip
        """Tries until it works or *deadline* passes. Raises: GuestUnreachable."""
        return self._connected(address, credentials, deadline, emit, guest)

    @asynccontextmanager
    async def _connected(
        self, address: GuestAddress, credentials: Credentials, deadline: Deadline, emit: Emit, guest: Guest
    ) -> AsyncIterator[GuestConnection]:
        connection = await self._until_connected(address, credentials, deadline, emit, guest)
        try:
            yield connection
        finally:
            await connection.close()

    async def _until_connected(
        self, address: GuestAddress, credentials: Credentials, deadline: Deadline, emit: Emit, guest: Guest
    ) -> SshConnection:
        last: AttemptFailed | None = None

        def note(failure: AttemptFailed) -> None:
            nonlocal last
            last = failure
            emit(ConnectAttempt(str(address), failure.state, failure.message))

        dialler = self._dialler(address, note, guest)
        try:
            async with deadline.limit():
                load_keys(credentials)  # what can't be used is told at once, not after the guest has booted
                while True:
                    answered = await dialler.answer()
                    attempt = self._attempt(address, credentials, answered)
                    try:
                        connection = await self._try(attempt, address, credentials, guest)
                    except AttemptFailed as failure:
                        if failure.final:
                            raise
                        note(failure)
                        await pause(self._wait_after(failure))
                    else:
                        emit(ConnectAttempt(str(address), ConnectState.CONNECTED, _who(connection.transport)))
                        return connection
                    finally:
                        dialler.state = attempt.state
        except AttemptFailed as failure:
            note(failure)
            raise GuestUnreachable(failure.message, layer=failure.state, hint=failure.hint) from failure
        except DeadlineExpired as expired:
            if last is None and dialler.state is ConnectState.NO_BANNER:  # patience was longer than the deadline
                note(no_banner(address, f"nothing came on {dialler.tries} connections"))
            raise _given_up(expired.message, last, dialler) from (last or expired)

    def _dialler(self, address: GuestAddress, note: Callable[[AttemptFailed], None], guest: Guest) -> Dialler:
        def silent(how: Silent) -> None:
            tell = no_answer if how.state is ConnectState.REFUSED else no_banner
            note(tell(address, how.reason))

        patience = self.settings.patience
        return Dialler(
            address,
            connect=patience.connect,
            banner=patience.banner,
            between=self.settings.between_attempts,
            # Each connection makes the guest start a process of its server's: one that is there needs but one.
            first_gap=FIRST_GAP if guest is Guest.STARTED else self.settings.between_attempts,
            on_silent=silent,
        )

    def _attempt(self, address: GuestAddress, credentials: Credentials, answered: socket.socket) -> Attempt:
        return Attempt(
            address,
            credentials,
            host_keys=self._host_keys,
            answered=answered,
            installer_banners=self.settings.installer.banners,
            patience=self.settings.patience,
        )

    def _wait_after(self, failure: AttemptFailed) -> Duration:
        refused = failure.state is ConnectState.AUTHENTICATION
        return self.settings.after_refusal if refused else self.settings.between_attempts

    async def _try(
        self, attempt: Attempt, address: GuestAddress, credentials: Credentials, guest: Guest
    ) -> SshConnection:
        transport = await in_thread(attempt.open, on_cancel=attempt.abort)
        connection = SshConnection(transport, address, credentials, self.settings)
        try:
            sign = await self._installer_sign(connection) if guest is Guest.STARTED else ""
        except GuestUnreachable as error:
            await connection.close()
            raise AttemptFailed(ConnectState.AUTHENTICATION, f"let in, but then: {error.message}") from error
        except BaseException:
            attempt.abort()
            raise
        if sign:
            attempt.state = ConnectState.INSTALLER
            await connection.close()
            raise AttemptFailed(
                ConnectState.INSTALLER,
                f"the installer's own sshd answers on {address}: {sign}",
                hint="the installation has not finished: wait for it, or look at the screen for what it waits for",
            )
        self._host_keys.pin(address, transport.get_remote_server_key())
        transport.set_keepalive(max(1, round(self.settings.keepalive)))
        return connection

    async def _installer_sign(self, connection: SshConnection) -> str:
        marks = self.settings.installer
        banner = matches_banner(connection.transport, marks.banners)
        if banner:
            return banner
        if marks.files or marks.hostnames:
            found = await connection.run(_probe(marks.files), deadline=Deadline.after(Duration(60), "the guest's name"))
            name, *files = [*found.stdout.splitlines(), ""]
            if files[:-1]:
                return f"it has {files[0]}"
            if any(re.fullmatch(pattern, name.strip()) for pattern in marks.hostnames):
                return f"it is called {name.strip()}"
        if marks.check is not None and await marks.check(connection):
            return "the boot profile's own check says so"
        return ""


def _probe(files: tuple[str, ...]) -> str:
    tests = "; ".join(f"test -e {path} && echo {path}" for path in files)
    return f"(uname -n || hostname || echo) 2>/dev/null; {tests or ':'}"


def _who(transport: paramiko.Transport) -> str:
    return f"{transport.remote_version}, host key {transport.get_remote_server_key().fingerprint}"


def _given_up(waited: str, last: AttemptFailed | None, dialler: Dialler) -> GuestUnreachable:
    state, tries = dialler.state, dialler.tries
    if last is None or (last.state is ConnectState.REFUSED and state is not ConnectState.REFUSED):
        # What was tried last has not ended: tell how far it got.
        words = {
            ConnectState.REFUSED: "nothing accepted the connection",
            ConnectState.NO_BANNER: "connections are accepted, but no SSH server spoke",
            ConnectState.KEY_EXCHANGE: "the SSH server never agreed on algorithms",
        }
        seen = words.get(state, "the SSH server never let us in")
        return GuestUnreachable(f"{waited}; {seen}", layer=state, hint="look at the screen: has the guest booted?")
    times = f"after {tries} tries, the last said: " if tries > 1 else ""
    return GuestUnreachable(f"{waited}; {times}{last.message}", layer=last.state, hint=last.hint)


class SshConnection:
    """A shell and a way to carry files over one SSH connection."""

    def __init__(
        self, transport: paramiko.Transport, address: GuestAddress, credentials: Credentials, settings: SshSettings
    ) -> None:
        self.transport = transport
        self._address = address
        self._credentials = credentials
        self._settings = settings
        self._transfer = Transfer(transport)

    @property
    def address(self) -> GuestAddress:
        return self._address

    @property
    def credentials(self) -> Credentials:
        return self._credentials

    async def run(
        self, command: str, *, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
    ) -> CommandResult:
        """Runs *command* in the user's shell; a cancelled or expired one is ended in the guest too, where it can be.

        Raises: GuestUnreachable when the connection breaks, DeadlineExpired.
        """
        return await self._run(Command(self.transport, command), deadline, on_line, stdin)

    async def run_given(self, command: str, *, deadline: Deadline, on_line: OnLine | None = None) -> CommandResult:
        """As ``run``, on a terminal where the settings say so. Raises: as ``run``."""
        running = Command(self.transport, command, with_terminal=self._settings.with_terminal)
        return await self._run(running, deadline, on_line, b"")

    async def _run(self, running: Command, deadline: Deadline, on_line: OnLine | None, stdin: bytes) -> CommandResult:
        output = LineOutput(on_line, running.abort)
        feed = _pieces(stdin)
        try:
            async with deadline.limit():
                status = await in_thread(
                    lambda: running.run(feed, output.take, patience=self._settings.patience.key_exchange),
                    on_cancel=running.abort,
                )
        except DeadlineExpired:
            raise deadline.error(seen=output.seen(), evidence=output.evidence()) from None
        except ConnectionBroke as error:
            output.raise_failure()  # then it was us who broke off
            raise _broken(self._address, str(error), output.evidence()) from error
        finally:
            output.stop()
        output.finish()
        return CommandResult(status, output.tails["stdout"].text(), output.tails["stderr"].text())

    async def upload(
        self,
        source: Path | bytes,
        destination: str,
        *,
        mode: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Writes a file, whole or not at all. Raises: GuestCommandFailed, GuestUnreachable, OSError."""
        loop = asyncio.get_running_loop()
        tell = None if progress is None else lambda done, total: post(loop, lambda: progress(done, total))
        await self._move(lambda transfer: transfer.upload(Upload(source, destination, mode, tell)))

    async def download(self, source: str, destination: Path) -> None:
        """Reads a file, whole or not at all. Raises: GuestCommandFailed, GuestUnreachable, OSError."""
        await self._move(lambda transfer: transfer.download(source, destination))

    async def _move(self, work: Callable[[Transfer], None]) -> None:
        try:
            await in_thread(lambda: work(self._transfer), on_cancel=self._transfer.abort)
        except TransferRefused as error:
            raise GuestCommandFailed(
                str(error), hint=f"does user {self._credentials.user!r} have the right to it, and has the disk room?"
            ) from error
        except ConnectionBroke as error:
            raise _broken(self._address, str(error), None) from error

    async def upload_tree(self, source: Path, destination: str) -> None:
        """Writes a folder's content below *destination*. Raises: GuestCommandFailed, GuestUnreachable, OSError."""
        await upload_tree(self, source, destination)

    async def remove(self, paths: Sequence[str], *, deadline: Deadline) -> None:
        """Removes files of the user's. Raises: GuestUnreachable, DeadlineExpired."""
        async with deadline.limit():
            await self._move(lambda transfer: transfer.remove(paths))

    async def boot_id(self) -> str:
        """A value that differs after each boot (Linux' boot id, else the time of boot)."""
        result = await self.run(BOOT_ID, deadline=Deadline.after(Duration(60), "the guest's boot id"))
        value = result.stdout.strip()
        if result.exit_status != 0 or not value:
            raise GuestCommandFailed(
                "the guest can't tell one boot from another", exit_status=result.exit_status, hint="mount /proc in it"
            )
        return value

    async def close(self) -> None:
        await asyncio.shield(in_thread(self.transport.close))


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + 32 * 1024] for start in range(0, len(data), 32 * 1024))


def _broken(address: GuestAddress, reason: str, evidence: Evidence | None) -> GuestUnreachable:
    return GuestUnreachable(
        f"the connection to {address} broke: {reason}",
        layer=ConnectState.CONNECTED,
        hint="did the guest reboot, power off, or restart its network or sshd?",
        evidence=evidence,
    )
