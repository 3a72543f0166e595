"""Windows guests over WinRM, by pypsrp in threads. Needs the extra ``winrm``.

Commands run in ``cmd.exe`` (WinRS, code page UTF-8) and print as they go. Files travel through PowerShell remoting,
which checks their digest at the other end. Negotiated authentication encrypts what is sent, over HTTP too; a
certificate is not checked, because the port is one that we forward on loopback to a machine that we started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from factory.drivers.threads import in_thread
from factory.errors import DeadlineExpired, GuestCommandFailed, GuestUnreachable, HostError
from factory.events import ConnectAttempt, Emit
from factory.quantity import Duration

logging.getLogger("pypsrp").addHandler(logging.NullHandler())

IN_SETUP = r"reg query HKLM\SYSTEM\Setup /v SystemSetupInProgress"
"""Prints 0x1 while Windows Setup is still at work: WinRM may answer before it has finished."""
BOOT_TIME = "powershell -NoProfile -Command (Get-CimInstance Win32_OperatingSystem).LastBootUpTime.Ticks"
_UTF8 = 65001
_POLL_SECONDS = 5
_STEP = Duration(60)
_BUDGET_FOR_TREES = Duration(3600)


@dataclass(frozen=True, slots=True)
class WinRmSettings:
    """``auth`` as pypsrp names it: "negotiate" (NTLM with a local account), "basic", …"""

    tls: bool = False
    auth: str = "negotiate"
    between_attempts: Duration = Duration(5)
    patience: Duration = Duration(30)


@dataclass(frozen=True, slots=True)
class _Refusal:
    state: ConnectState
    message: str
    hint: str


class WinRmCommunicator:
    """``protocols.Communicator``."""

    def __init__(self, settings: WinRmSettings | None = None) -> None:
        self.settings = settings or WinRmSettings()

    def connect(
        self, address: GuestAddress, credentials: Credentials, *, deadline: Deadline, emit: Emit,
        guest: Guest = Guest.STARTED,
    ) -> AbstractAsyncContextManager[GuestConnection]:  # fmt: skip
        """Tries until it works or *deadline* passes. Raises: GuestUnreachable; HostError without pypsrp."""
        return self._connected(address, credentials, deadline, emit)

    @asynccontextmanager
    async def _connected(
        self, address: GuestAddress, credentials: Credentials, deadline: Deadline, emit: Emit
    ) -> AsyncIterator[GuestConnection]:
        _require_pypsrp()
        connection = await self._until_connected(address, credentials, deadline, emit)
        try:
            yield connection
        finally:
            await connection.close()

    async def _until_connected(
        self, address: GuestAddress, credentials: Credentials, deadline: Deadline, emit: Emit
    ) -> WinRmConnection:
        last: _Refusal | None = None
        try:
            async with deadline.limit():
                while True:
                    connection = WinRmConnection(address, credentials, self.settings)
                    try:
                        last = await self._refusal(connection)
                    except BaseException:
                        await connection.close()
                        raise
                    if last is None:
                        emit(ConnectAttempt(str(address), ConnectState.CONNECTED, "WinRM"))
                        return connection
                    await connection.close()
                    emit(ConnectAttempt(str(address), last.state, last.message))
                    await pause(self.settings.between_attempts)
        except DeadlineExpired as expired:
            if last is None:
                raise GuestUnreachable(expired.message, layer=ConnectState.NO_BANNER) from expired
            message = f"{expired.message}; the last try said: {last.message}"
            raise GuestUnreachable(message, layer=last.state, hint=last.hint) from expired

    async def _refusal(self, connection: WinRmConnection) -> _Refusal | None:
        """Why this connection is not usable yet; None when it is."""
        try:
            setup = await connection.command(IN_SETUP, Deadline.after(_STEP, "Windows to answer"))
        except DeadlineExpired as error:
            return _Refusal(ConnectState.NO_BANNER, error.message, "is Windows still starting?")
        except Exception as error:  # requests, urllib3 and pypsrp have no common base
            return _explain(connection, error)
        if "0x1" in setup.stdout:
            return _Refusal(
                ConnectState.INSTALLER, "Windows Setup is still running", "wait for it, or look at the screen"
            )
        return None


class WinRmConnection:
    """``protocols.GuestConnection`` on Windows. Each command has a shell of its own."""

    def __init__(self, address: GuestAddress, credentials: Credentials, settings: WinRmSettings) -> None:
        self._address, self._credentials, self._settings = address, credentials, settings
        self._clients: list[Any] = []

    @property
    def address(self) -> GuestAddress:
        return self._address

    @property
    def credentials(self) -> Credentials:
        return self._credentials

    async def run(
        self, command: str, *, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
    ) -> CommandResult:
        """Runs *command* in cmd.exe. Raises: GuestUnreachable, DeadlineExpired."""
        try:
            return await self.command(command, deadline, on_line, stdin)
        except (DeadlineExpired, GuestUnreachable):
            raise
        except Exception as error:
            if not _is_remote(error):
                raise
            raise self._broken(error) from error

    async def run_given(self, command: str, *, deadline: Deadline, on_line: OnLine | None = None) -> CommandResult:
        """As ``run``: WinRM knows no terminals."""
        return await self.run(command, deadline=deadline, on_line=on_line)

    async def command(
        self, command: str, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
    ) -> CommandResult:
        """As ``run``, with the library's own exceptions."""
        running = _Command(self._client(), command, stdin)
        output = LineOutput(on_line, running.abort)
        try:
            async with deadline.limit():
                status = await in_thread(lambda: running.run(output.take), on_cancel=running.abort)
        except DeadlineExpired:
            raise deadline.error(seen=output.seen(), evidence=output.evidence()) from None
        except Exception:
            output.raise_failure()
            raise
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
        """Writes a file; Windows has no modes, so *mode* is not used. Raises: GuestCommandFailed, GuestUnreachable."""
        with tempfile.TemporaryDirectory(prefix="factory-winrm-") as folder:
            path = source if isinstance(source, Path) else _write(Path(folder) / "file", source)
            size = path.stat().st_size
            client = self._client()
            await self._files(lambda: client.copy(str(path), _windows(destination)), f"write {destination}")
        if progress is not None:
            progress(size, size)

    async def download(self, source: str, destination: Path) -> None:
        """Reads a file, whole or not at all. Raises: GuestCommandFailed, GuestUnreachable."""
        partial = destination.with_name(f".{destination.name}.{os.urandom(4).hex()}.part")
        client = self._client()
        try:
            await self._files(lambda: client.fetch(_windows(source), str(partial)), f"read {source}")
            partial.replace(destination)
        finally:
            partial.unlink(missing_ok=True)

    async def upload_tree(self, source: Path, destination: str) -> None:
        """Writes a folder's content below *destination*, as one archive. Raises: GuestCommandFailed, OSError."""
        remote = rf"C:\Windows\Temp\factory-{os.urandom(6).hex()}.zip"
        with tempfile.TemporaryDirectory(prefix="factory-winrm-") as folder:
            archive = Path(folder) / "tree.zip"
            await in_thread(lambda: _zip(source, archive))
            await self.upload(archive, remote)
        target = _windows(destination).replace("'", "''")
        script = f"Expand-Archive -Force -LiteralPath '{remote}' -DestinationPath '{target}'; Remove-Item '{remote}'"
        deadline = Deadline.after(_BUDGET_FOR_TREES, "the guest to unpack a folder")
        result = await self.run(f'powershell -NoProfile -Command "{script}"', deadline=deadline)
        if result.exit_status != 0:
            raise GuestCommandFailed(
                f"can't write {destination} in the guest: {(result.stderr or result.stdout).strip()}",
                exit_status=result.exit_status,
            )

    async def remove(self, paths: Sequence[str], *, deadline: Deadline) -> None:
        """Removes files. Raises: GuestUnreachable, DeadlineExpired."""
        words = " ".join('"{}"'.format(path.replace("/", "\\")) for path in paths)
        await self.run(f"del /f /q {words}", deadline=deadline)

    async def boot_id(self) -> str:
        """When Windows was started."""
        result = await self.run(BOOT_TIME, deadline=Deadline.after(Duration(120), "the guest's time of boot"))
        if result.exit_status != 0 or not result.stdout.strip():
            raise GuestCommandFailed("the guest can't tell when it was started", exit_status=result.exit_status)
        return result.stdout.strip()

    async def close(self) -> None:
        clients, self._clients = self._clients, []
        for client in clients:
            await asyncio.shield(in_thread(client.close))

    async def _files(self, work: Callable[[], object], what: str) -> None:
        try:
            await in_thread(work)
        except Exception as error:
            if not _is_remote(error):
                raise
            if type(error).__name__ == "WinRMError":  # PowerShell's own refusal: everything else is a subclass
                raise GuestCommandFailed(f"can't {what} in the guest: {error}") from error
            raise self._broken(error) from error

    def _client(self) -> Any:
        from pypsrp.client import Client

        password = self._credentials.password
        client = Client(
            self._address.host,
            port=self._address.port,
            username=self._credentials.user,
            password=password.reveal() if password is not None else None,
            ssl=self._settings.tls,
            auth=self._settings.auth,
            cert_validation=False,
            no_proxy=True,
            encryption="never" if self._settings.auth == "basic" else "auto",
            connection_timeout=round(self._settings.patience),
            read_timeout=round(self._settings.patience) + _POLL_SECONDS,
            operation_timeout=round(self._settings.patience),
        )
        self._clients.append(client)
        return client

    def _broken(self, error: Exception) -> GuestUnreachable:
        return GuestUnreachable(
            f"the connection to {self._address} broke: {_words(error)}",
            layer=ConnectState.CONNECTED,
            hint="did the guest reboot, power off, or restart its network or WinRM?",
        )


class _Command:
    """One command; ``run`` blocks."""

    def __init__(self, client: Any, command: str, stdin: bytes) -> None:
        self._client, self._command, self._stdin = client, command, stdin
        self._aborted = threading.Event()

    def run(self, on_output: Callable[[str, bytes], None]) -> int:
        from pypsrp.shell import CommandState, Process, SignalCode, WinRS

        with WinRS(self._client.wsman, codepage=_UTF8) as shell:
            process = Process(shell, self._command)
            process.begin_invoke()
            if self._stdin:
                process.send(self._stdin, end=True)
            while process.state != CommandState.DONE and not self._aborted.is_set():
                process.poll_invoke(timeout=_POLL_SECONDS)
                for stream in ("stdout", "stderr"):
                    data: bytes = getattr(process, stream)
                    setattr(process, stream, b"")
                    if data:
                        on_output(stream, data)
            with suppress(Exception):  # it has ended already, or never will: the shell ends it all the same
                process.signal(SignalCode.TERMINATE)
            return int(process.rc if process.rc is not None else -1)

    def abort(self) -> None:
        """Ends the command at its next answer, which takes some seconds at most."""
        self._aborted.set()


def _explain(connection: WinRmConnection, error: Exception) -> _Refusal:
    name, address, words = type(error).__name__, connection.address, _words(error)
    user = connection.credentials.user
    if name == "AuthenticationError":
        return _Refusal(
            ConnectState.AUTHENTICATION,
            f"Windows on {address} refused user {user!r}: {words}",
            "are user and password those of the answer file, and is the account enabled?",
        )
    if "refused" in words.lower():
        hint = "is the machine running, and is this port forwarded into it?"
        return _Refusal(ConnectState.REFUSED, f"nothing answers on {address}", hint)
    if name in ("WinRMTransportError", "WSManFaultError"):
        return _Refusal(
            ConnectState.KEY_EXCHANGE,
            f"a web server answers on {address}, but not as WinRM does: {words}",
            "is it HTTPS (`tls: true`), and is WinRM set up (`winrm quickconfig`)?",
        )
    return _Refusal(
        ConnectState.NO_BANNER,
        f"{address} accepts connections, but WinRM does not answer: {words}",
        "QEMU accepts in the guest's place: look at the screen, has Windows booted, and is WinRM enabled?",
    )


def _is_remote(error: Exception) -> bool:
    """True for what the network and the guest do; a bug of ours stays what it is."""
    return type(error).__module__.split(".")[0] in ("requests", "urllib3", "pypsrp", "spnego", "http")


def _words(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]


def _windows(path: str) -> str:
    return path.replace("/", "\\")


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _zip(source: Path, archive: Path) -> None:
    if not source.is_dir():
        raise NotADirectoryError(f"{source} is not a folder")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for path in sorted(source.rglob("*")):
            writer.write(path, path.relative_to(source).as_posix())


def _require_pypsrp() -> None:
    import importlib.util

    if importlib.util.find_spec("pypsrp") is None:
        raise HostError("WinRM needs the Python package pypsrp", hint="install factory with its extra: factory[winrm]")
