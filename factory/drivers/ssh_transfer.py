"""Files over SSH: by SFTP, or through the shell where a guest has no sftp-server (dropbear, minimal images).

Blocking: belongs in threads. A file appears whole or not at all: it is written under a temporary name in the same
folder, its length is checked, and it is renamed. An existing file keeps its mode and owner.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shlex
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import paramiko

from factory.drivers.line_output import Tail
from factory.drivers.ssh_command import Command, ConnectionBroke
from factory.opening import open_content
from factory.quantity import Duration

_CHUNK = 32 * 1024  # the largest packet that every SFTP server takes
_PATIENCE = Duration(60)
_NEGOTIATION = Duration(30)

OnProgress = Callable[[int, int], None]


class TransferRefused(Exception):
    """The guest did not take or give a file; the message says why, in the guest's words."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way into the guest. ``progress(done, total)`` is called in the transferring thread."""

    source: Path | bytes
    destination: str
    mode: int | None = None
    progress: OnProgress | None = None

    def open(self) -> tuple[BinaryIO, int]:
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source), len(self.source)
        stream = open_content(self.source)
        return stream, os.fstat(stream.fileno()).st_size

    def chunks(self, stream: BinaryIO, size: int) -> Iterator[bytes]:
        """Reads the file, telling how far it is."""
        done = 0
        while chunk := self._read(stream):
            yield chunk
            done += len(chunk)
            if self.progress is not None:
                self.progress(done, size)
        if not size and self.progress is not None:
            self.progress(0, 0)

    def _read(self, stream: BinaryIO) -> bytes:
        try:
            return stream.read(_CHUNK)
        except OSError as error:  # with a name, so that it is not taken for the guest's
            raise OSError(error.errno, error.strerror, str(self.source)) from error


class Transfer:
    """Moves files over one transport. ``abort`` ends what runs, from any thread."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._without_sftp = False
        self._running: list[Callable[[], None]] = []
        self._idle: list[paramiko.SFTPClient] = []

    def abort(self) -> None:
        for end in tuple(self._running):
            end()

    def upload(self, upload: Upload) -> None:
        """Raises: TransferRefused, ConnectionBroke, OSError for a source that can't be read."""
        stream, size = upload.open()
        with stream, self._sftp() as sftp:
            if sftp is None:
                self._shell_upload(upload, stream, size)
            else:
                _SftpUpload(sftp, upload).run(stream, size)

    def download(self, source: str, destination: Path) -> None:
        """Writes *destination* at once when all is there. Raises: TransferRefused, ConnectionBroke, OSError."""
        partial = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.part")
        try:
            with partial.open("wb") as stream, self._sftp() as sftp:
                if sftp is None:
                    self._shell_download(source, stream)
                else:
                    for chunk in _sftp_chunks(sftp, source):
                        stream.write(chunk)
            partial.replace(destination)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self, paths: Sequence[str]) -> None:
        """Removes files; what can't be removed stays. By SFTP no process is started for it. Raises: ConnectionBroke."""
        with self._sftp() as sftp:
            if sftp is None:
                words = " ".join(shlex.quote(_without_home(path)) for path in paths)
                with contextlib.suppress(TransferRefused):
                    self._shell(f"rm -f -- {words}", (), lambda data: None, "remove files")
                return
            for path in paths:
                try:
                    sftp.remove(_without_home(path))
                except OSError as error:
                    if _is_connection(error):
                        raise

    @contextlib.contextmanager
    def _sftp(self) -> Iterator[paramiko.SFTPClient | None]:
        """A session for one transfer, None where the guest has no SFTP (it is asked once).

        A session that served well is kept for the next transfer: opening one starts a process in the guest.
        """
        self._idle = [kept for kept in self._idle if not kept.sock.closed]
        client = self._idle.pop() if self._idle else self._open_sftp()
        if client is None:
            yield None
            return
        usable = False
        self._running.append(client.close)
        try:
            yield client
            usable = True
        except TransferRefused:
            usable = True
            raise
        except OSError as error:
            if _is_connection(error) or not self._transport.is_active():
                raise ConnectionBroke(str(error) or "the guest stopped answering") from error
            raise
        except (paramiko.SSHException, EOFError) as error:
            raise ConnectionBroke(str(error) or "the connection was closed") from error
        finally:
            self._running.remove(client.close)
            if usable:
                self._idle.append(client)
            else:
                with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # it may be broken already
                    client.close()

    def _open_sftp(self) -> paramiko.SFTPClient | None:
        with self._lock:
            if self._without_sftp:
                return None
            try:
                channel = self._transport.open_session(timeout=float(_NEGOTIATION))
                channel.settimeout(float(_NEGOTIATION))
                channel.invoke_subsystem("sftp")
                client = paramiko.SFTPClient(channel)
                channel.settimeout(float(_PATIENCE))
            except (paramiko.SSHException, EOFError, OSError) as error:
                if not self._transport.is_active():
                    raise ConnectionBroke(str(error) or "the connection was closed") from error
                self._without_sftp = True
                return None
            return client

    def _shell_upload(self, upload: Upload, stream: BinaryIO, size: int) -> None:
        script = shell_upload_script(_without_home(upload.destination), size, upload.mode)
        self._shell(script, upload.chunks(stream, size), lambda data: None, f"write {upload.destination}")

    def _shell_download(self, source: str, stream: BinaryIO) -> None:
        self._shell(f"cat < {shlex.quote(_without_home(source))}", (), stream.write, f"read {source}")

    def _shell(
        self, script: str, stdin: Iterator[bytes] | tuple[bytes, ...], sink: Callable[[bytes], object], what: str
    ) -> None:
        command, said = Command(self._transport, script), Tail()

        def output(stream: str, data: bytes) -> None:
            if stream == "stderr":
                said.add(data)
            else:
                sink(data)

        self._running.append(command.abort)
        try:
            status = command.run(stdin, output, patience=_PATIENCE)
        finally:
            self._running.remove(command.abort)
        if status != 0:
            raise TransferRefused(f"can't {what} in the guest: {said.text().strip() or f'exit status {status}'}")


def shell_upload_script(destination: str, size: int, mode: int | None) -> str:
    """A POSIX shell script that writes its input to *destination*, whole or not at all.

    When the connection breaks, ``cat`` sees an ordinary end: the length decides. An existing file is overwritten in
    place once all is there, so that it keeps its mode, its owner and the links to it.
    """
    lines = [
        "umask 077",
        f"d={shlex.quote(destination)}; t={shlex.quote(f'{destination}.{secrets.token_hex(4)}.part')}",
        "trap 'rm -f \"$t\"' EXIT",
        'if [ -d "$d" ]; then echo "$d is a folder" >&2; exit 1; fi',
        'if [ -e "$d" ]; then new=no; else new=yes; fi',
        # An unwritable folder may hold a writable file: then the file itself is written.
        'if (: > "$t") 2>/dev/null; then cat > "$t" || exit 1; else cat > "$d"; exit; fi',
        f'if [ "$(($(wc -c < "$t")))" -ne {size} ]; then echo "the file did not arrive whole" >&2; exit 1; fi',
        'if [ $new = no ]; then cat "$t" > "$d" || exit 1; fi',
        f'if [ $new = yes ]; then chmod {0o644 if mode is None else mode:04o} "$t" && mv -f "$t" "$d" || exit 1; fi',
    ]
    if mode is not None:
        lines.append(f'[ $new = yes ] || chmod {mode:04o} "$d"')
    return "\n".join(lines)


class _SftpUpload:
    def __init__(self, sftp: paramiko.SFTPClient, upload: Upload) -> None:
        self._sftp = sftp
        self._upload = upload
        self._target = _without_home(upload.destination)

    def run(self, stream: BinaryIO, size: int) -> None:
        existing = self._existing()
        temporary = f"{self._target}.{secrets.token_hex(4)}.part"
        try:
            handle = self._sftp.open(temporary, "wb")
        except OSError as error:
            if existing is None or error.errno != errno.EACCES:
                raise self._refused(error) from error
            self._in_place(stream, size)  # an unwritable folder may hold a writable file
            return
        try:
            self._dress(temporary, existing)  # before there is anything in it to read
            self._fill(handle, stream, size)
            self._rename(temporary)
        except OSError as error:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                self._sftp.remove(temporary)
            raise self._refused(error) from error

    def _existing(self) -> paramiko.SFTPAttributes | None:
        try:
            found = self._sftp.lstat(self._target)
            if found.st_mode is not None and stat.S_ISLNK(found.st_mode):
                self._target = self._sftp.normalize(self._target)  # write through a link, as cp does
                found = self._sftp.stat(self._target)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise self._refused(error) from error
        if found.st_mode is not None and stat.S_ISDIR(found.st_mode):
            raise TransferRefused(f"can't write {self._upload.destination} in the guest: it is a folder")
        return found

    def _fill(self, handle: paramiko.SFTPFile, stream: BinaryIO, size: int) -> None:
        sent = 0
        with handle:
            handle.set_pipelined(True)
            for chunk in self._upload.chunks(stream, size):
                handle.write(chunk)
                sent += len(chunk)
            handle.set_pipelined(False)
            arrived = handle.stat().st_size
        if arrived != sent:
            raise TransferRefused(
                f"can't write {self._upload.destination} in the guest: {arrived} of {sent} bytes arrived"
            )

    def _dress(self, temporary: str, existing: paramiko.SFTPAttributes | None) -> None:
        mode = self._upload.mode
        if existing is not None and existing.st_uid is not None and existing.st_gid is not None:
            with contextlib.suppress(OSError):  # only root may give files away
                self._sftp.chown(temporary, existing.st_uid, existing.st_gid)
        if mode is None and existing is not None and existing.st_mode is not None:
            mode = stat.S_IMODE(existing.st_mode)
        if mode is not None:
            self._sftp.chmod(temporary, mode)

    def _rename(self, temporary: str) -> None:
        try:
            self._sftp.posix_rename(temporary, self._target)
        except OSError:  # a server without OpenSSH's extension: its plain rename refuses existing targets
            with contextlib.suppress(OSError):
                self._sftp.remove(self._target)
            self._sftp.rename(temporary, self._target)

    def _in_place(self, stream: BinaryIO, size: int) -> None:
        try:
            self._fill(self._sftp.open(self._target, "wb"), stream, size)
            if self._upload.mode is not None:
                self._sftp.chmod(self._target, self._upload.mode)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> Exception:
        if _is_connection(error) or error.filename is not None:  # the latter is a source of ours
            return error
        words = {
            errno.ENOENT: "its folder does not exist",
            errno.EACCES: "permission denied",
        }
        reason = words.get(error.errno or 0, str(error))
        return TransferRefused(f"can't write {self._upload.destination} in the guest: {reason}")


def _sftp_chunks(sftp: paramiko.SFTPClient, source: str) -> Iterator[bytes]:
    try:
        with sftp.open(_without_home(source), "rb") as handle:
            _silence_prefetch(handle)
            handle.prefetch(handle.stat().st_size or 0)
            while chunk := handle.read(_CHUNK):
                yield chunk
    except OSError as error:
        if _is_connection(error):
            raise
        words = {errno.ENOENT: "there is no such file", errno.EACCES: "permission denied"}
        reason = words.get(error.errno or 0, str(error))
        raise TransferRefused(f"can't read {source} in the guest: {reason}") from error


def _silence_prefetch(handle: paramiko.SFTPFile) -> None:
    """paramiko asks for what comes next in a thread, which prints a traceback when the connection breaks meanwhile; the
    reader is told of it anyway."""
    ask = handle._prefetch_thread  # type: ignore[attr-defined]  # not public; looked up when the thread is made

    def quietly(*arguments: object) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            ask(*arguments)

    handle._prefetch_thread = quietly  # type: ignore[attr-defined]


def _is_connection(error: OSError) -> bool:
    """True for what paramiko raises when the channel and not the file is the problem."""
    return isinstance(error, (TimeoutError, ConnectionError)) or "closed" in str(error).lower()


def _without_home(path: str) -> str:
    """``~/x`` as ``x``: both SFTP and a fresh shell start in the home folder, and neither expands a quoted tilde."""
    return "." if path == "~" else path.removeprefix("~/")
