"""Files and folders, into the guest and out of it.

Trailing slashes mean what they mean to rsync (and to Packer): ``folder/`` is its content, ``folder`` is the folder
itself; a destination that ends in a slash is a folder to put things into. Missing parent folders are made. Where the
guest's user may not write, ``sudo`` is used if it asks for no password.
"""

from __future__ import annotations

import enum
import re
import secrets
import shlex
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult
from factory.errors import GuestCommandFailed, StepError
from factory.events import Progress
from factory.provision.context import ProvisionContext
from factory.provision.untrusted_tar import unpack


class Direction(enum.StrEnum):
    UP = "upload"
    DOWN = "download"


@dataclass(frozen=True, slots=True)
class FileProvisioner:
    """Exactly one of ``source`` and ``content`` is set.

    ``source`` is a path on this host (on the guest for DOWN), with its trailing slash if it has one. ``mode`` counts
    for files, not for folders; ``owner`` is ``USER``, ``USER:GROUP`` or ``:GROUP``, and counts for all that is written.
    """

    destination: str
    source: str = ""
    content: bytes | None = None
    direction: Direction = Direction.UP
    mode: int | None = None
    owner: str = ""

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: GuestCommandFailed, GuestUnreachable, StepError for a source that is not there."""
        transfer = _Transfer(self, context, deadline)
        async with deadline.limit():
            await (transfer.down() if self.direction is Direction.DOWN else transfer.up())


class _Transfer:
    def __init__(self, options: FileProvisioner, context: ProvisionContext, deadline: Deadline) -> None:
        self._options, self._context, self._deadline = options, context, deadline
        self._stage = f"/tmp/factory-{secrets.token_hex(6)}"

    # --- up ------------------------------------------------------------------------------------------------------

    async def up(self) -> None:
        if _is_windows(self._options.destination):
            await self._up_to_windows()
        elif self._options.content is not None:
            await self._file(self._options.content, "", self._options.mode)
        elif _is_folder(source := self._local_source()):
            await self._folder(source)
        else:
            mode = self._options.mode
            await self._file(source, source.name, mode if mode is not None else _mode_of(source))

    def _local_source(self) -> Path:
        source = Path(self._options.source)
        if not _is_folder(source) and (not _is_file(source) or self._options.source.endswith("/")):
            raise StepError(f"there is no {self._options.source} on this host", hint="is `source` written right?")
        return source

    async def _up_to_windows(self) -> None:
        """Without modes, owners and sudo: Windows has none of them."""
        connection, destination = self._context.connection, self._options.destination
        if self._options.content is not None:
            await connection.upload(self._options.content, destination)
        elif _is_folder(source := self._local_source()):
            inside = self._options.source.endswith("/")
            await connection.upload_tree(source, destination if inside else f"{destination.rstrip('/')}/{source.name}")
        else:
            target = f"{destination}{source.name}" if destination.endswith(("/", "\\")) else destination
            await connection.upload(source, target, progress=self._progress(source.name))

    async def _file(self, source: Path | bytes, name: str, mode: int | None) -> None:
        target = await self._target(name)
        connection, progress = self._context.connection, self._progress(PurePosixPath(target).name)
        sudo = await self._prepare(str(PurePosixPath(target).parent), target)
        if not sudo and not self._options.owner:
            await connection.upload(source, target, mode=mode, progress=progress)
            return
        async with self._staged():
            staged = f"{self._stage}/file"
            await connection.upload(source, staged, mode=mode, progress=progress)
            owner = self._options.owner or "0:0"
            command = (
                f"{sudo}chown {shlex.quote(owner)} {staged} && "
                f"{sudo}cp -p {staged} {shlex.quote(target + '.part')} && "
                f"{sudo}mv -f {shlex.quote(target + '.part')} {shlex.quote(target)}"
            )
            await self._must(command, f"write {target}")

    async def _destination(self) -> str:
        """An absolute path: sudo and ``cd`` change what a relative one means. Its trailing slash is kept."""
        path = _home(self._options.destination)
        if path.startswith("/"):
            return path
        home = (await self._run("pwd")).stdout.strip()
        return f"{home}/" if path == "." else f"{home}/{path}"

    async def _target(self, name: str) -> str:
        """Where a file ends up: inside of what ends in a slash or is a folder already."""
        destination = await self._destination()
        if not destination.endswith("/"):
            if not name:
                return destination
            result = await self._run(f"test -d {shlex.quote(destination)}")
            if result.exit_status != 0:
                return destination
        elif not name:
            raise StepError(
                f"{destination} is a folder, and `content` has no name", hint="end `destination` in a file's name"
            )
        return f"{destination.rstrip('/')}/{name}"

    async def _folder(self, source: Path) -> None:
        base = (await self._destination()).rstrip("/") or "/"
        destination = base if self._options.source.endswith("/") else f"{base.rstrip('/')}/{source.resolve().name}"
        sudo = await self._prepare(destination, destination)
        if not sudo and not self._options.owner and self._options.mode is None:
            await self._context.connection.upload_tree(source, destination)
            return
        async with self._staged():
            tree = f"{self._stage}/tree"
            await self._context.connection.upload_tree(source, tree)
            # A folder that exists keeps its own mode and owner: only what was carried over gets the new ones.
            commands = [f"cd {tree}"]
            if self._options.mode is not None:
                commands.append(f"find . -type f -exec chmod {self._options.mode:04o} {{}} +")
            owner = self._options.owner or ("0:0" if sudo else "")
            if owner:
                commands.append(f"{sudo}chown -hR {shlex.quote(owner)} .")
            copy = (
                'for e in * .[!.]* ..?*; do if [ -e "$e" ] || [ -h "$e" ]; '
                f'then cp -pPR "$e" {shlex.quote(destination)}/ || exit 1; fi; done'
            )
            commands.append(f"{sudo}sh -c {shlex.quote(copy)}")
            await self._must(f"sh -c {shlex.quote(' && '.join(commands))}", f"write {destination}")

    async def _prepare(self, folder: str, target: str) -> str:
        """Makes *folder*, and says whether it takes sudo to write *target*: its prefix, or an empty text."""
        quoted, file = shlex.quote(folder), shlex.quote(target)
        plain = f"mkdir -p {quoted} 2>/dev/null && test -w {quoted} && {{ test ! -e {file} || test -w {file}; }}"
        root = "" if not self._options.owner else '&& [ "$(id -u)" = 0 ]'
        script = (
            f"if {{ {plain}; }} {root}; then echo plain; "
            f"elif sudo -n mkdir -p {quoted} 2>/dev/null; then echo sudo; "
            f"else mkdir -p {quoted} && test -w {quoted} || echo 'permission denied' >&2; exit 1; fi"
        )
        result = await self._run(f"sh -c {shlex.quote(script)}")
        if result.exit_status != 0:
            what = f"give {target} to {self._options.owner}" if self._options.owner else f"write {target}"
            raise self._refused(what, result)
        return "sudo -n " if result.stdout.strip().endswith("sudo") else ""

    # --- down ----------------------------------------------------------------------------------------------------

    async def down(self) -> None:
        source = self._options.source
        if _is_windows(source):
            name = PureWindowsPath(source).name
            await self._context.connection.download(source, _local_target(self._options.destination, name))
            return
        bare = _quoted(source.rstrip("/") or "/")
        script = f"if [ -d {bare} ]; then echo folder; elif [ -e {bare} ]; then echo file; fi"
        kind = (await self._run(f"sh -c {shlex.quote(script)}")).stdout.strip()
        if not kind:  # it may lie where only root may look
            kind = (await self._run(f"sudo -n sh -c {shlex.quote(script)} 2>/dev/null")).stdout.strip()
        if kind == "folder":
            await self._folder_down(source)
        elif kind == "file":
            await self._file_down(source)
        else:
            raise GuestCommandFailed(f"there is no {source} in the guest", hint="is `source` written right?")

    async def _file_down(self, source: str) -> None:
        target = _local_target(self._options.destination, PurePosixPath(source).name)
        if (await self._run(f"test -r {_quoted(source)}")).exit_status == 0:
            await self._context.connection.download(source, target)
        else:
            async with self._staged():
                copy = f"sudo -n cat {_quoted(source)} > {self._stage}/file"
                await self._must(copy, f"read {source}")
                await self._context.connection.download(f"{self._stage}/file", target)
        _dress(target, self._options.mode)

    async def _folder_down(self, source: str) -> None:
        name = PurePosixPath(source).name
        base = Path(self._options.destination)
        target = base if source.endswith("/") else base / name
        folder = _quoted(source.rstrip("/") or "/")
        async with self._staged():
            archive = f"{self._stage}/tree.tar"
            pack = f"tar -cf - -C {folder} . > {archive}"
            command = f"{pack} 2>/dev/null || sudo -n {pack}"
            await self._must(f"{{ {command}; }} && test -s {archive}", f"read {source}")
            with tempfile.TemporaryDirectory(dir=self._context.workdir) as here:
                local = Path(here) / "tree.tar"
                await self._context.connection.download(archive, local)
                _unpack(local, target)

    # --- both ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _staged(self) -> AsyncIterator[None]:
        """A folder in the guest that only its user can read, gone at the end."""
        await self._must(f"mkdir -m 700 {self._stage}", f"make {self._stage}")
        try:
            yield
        finally:
            gone = f"rm -rf {self._stage} 2>/dev/null || sudo -n rm -rf {self._stage}"
            await self._context.connection.run(gone, deadline=self._deadline)

    def _progress(self, name: str) -> _Report:
        return _Report(self._context, f"{self._context.name}: {name}")

    async def _run(self, command: str) -> CommandResult:
        return await self._context.connection.run(command, deadline=self._deadline)

    async def _must(self, command: str, what: str) -> None:
        result = await self._run(command)
        if result.exit_status != 0:
            raise self._refused(what, result)

    def _refused(self, what: str, result: CommandResult) -> GuestCommandFailed:
        reason = (result.stderr or result.stdout).strip() or f"exit status {result.exit_status}"
        user = self._context.connection.credentials.user
        return GuestCommandFailed(
            f"can't {what} in the guest: {reason.splitlines()[-1]}",
            exit_status=result.exit_status,
            hint=f"may {user!r} do that, or sudo without a password? else carry it to a folder of {user!r} and move it "
            "with a `shell` step",
        )


@dataclass(frozen=True, slots=True)
class _Report:
    context: ProvisionContext
    task: str

    def __call__(self, done: int, total: int) -> None:
        self.context.emit(Progress(self.task, done, total))


def _home(path: str) -> str:
    """``~/x`` as ``x``: a quoted tilde means nothing to a shell, and commands start in the home folder."""
    return "." if path == "~" else path.removeprefix("~/")


def _quoted(path: str) -> str:
    return shlex.quote(_home(path))


def _is_windows(path: str) -> bool:
    return re.match(r"[A-Za-z]:[/\\]|\\\\", path) is not None


def _is_folder(path: Path) -> bool:
    return path.is_dir()


def _is_file(path: Path) -> bool:
    return path.is_file()


def _mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def result_of_download(source: str, destination: str) -> Path:
    """Where on this host that lies which DOWN brings from *source*, once it has."""
    if source.endswith("/"):
        return Path(destination)
    name = PureWindowsPath(source).name if _is_windows(source) else PurePosixPath(source).name
    return _inside(destination, name)


def _inside(destination: str, name: str) -> Path:
    path = Path(destination)
    return path / name if destination.endswith("/") or path.is_dir() else path


def _local_target(destination: str, name: str) -> Path:
    target = _inside(destination, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _dress(path: Path, mode: int | None) -> None:
    if mode is not None:
        path.chmod(mode)


def _unpack(archive: Path, target: Path) -> None:
    """What comes from a guest is not trusted: nothing is written outside of *target*."""
    target.mkdir(parents=True, exist_ok=True)
    try:
        unpack(archive, target)
    except (tarfile.TarError, OSError) as error:
        raise StepError(f"can't unpack what the guest sent: {error}", hint="is there room on this disk?") from error
