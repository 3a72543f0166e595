"""Whole folders into a guest: as one tar stream where the guest has tar, else file by file."""

from __future__ import annotations

import os
import shlex
import stat
import tarfile
import tempfile
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult, GuestConnection
from factory.drivers.threads import in_thread
from factory.errors import GuestCommandFailed
from factory.quantity import Duration

_BUDGET = Duration(30 * 60)


async def upload_tree(connection: GuestConnection, source: Path, destination: str) -> None:
    """Writes the content of *source* below *destination*, which is made when it is missing.

    Modes and symbolic links are kept; owners are not: everything belongs to the guest's user. Sockets, pipes and
    devices are left out. Raises: GuestCommandFailed, GuestUnreachable, OSError (NotADirectoryError).
    """
    entries = _entries(source)
    deadline = Deadline.after(_BUDGET, f"{source.name} to be copied into the guest")
    target = shlex.quote(destination.removeprefix("~/") or ".")
    made = await connection.run(f"mkdir -p {target} && command -v tar", deadline=deadline)
    if not made.stdout.strip():
        exists = await connection.run(f"test -d {target}", deadline=deadline)
        if exists.exit_status != 0:
            raise _refused(destination, made)
        await _by_files(connection, entries, destination, deadline)
        return
    with tempfile.TemporaryDirectory(prefix="factory-tree-") as folder:
        archive = Path(folder) / "tree.tar"
        await in_thread(lambda: _pack(source, archive))
        remote = f"{destination.removeprefix('~/').rstrip('/') or '/'}/.factory-{os.urandom(4).hex()}.tar"
        await connection.upload(archive, remote, mode=0o600)
        quoted = shlex.quote(remote)
        # -o: everything belongs to who extracts it, also for root
        done = await connection.run(f"tar -xof {quoted} -C {target}; s=$?; rm -f {quoted}; exit $s", deadline=deadline)
    if done.exit_status != 0:
        raise _refused(destination, done)


def _pack(source: Path, archive: Path) -> None:
    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry if entry.isfile() or entry.isdir() or entry.issym() or entry.islnk() else None

    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:  # busybox reads GNU's long names, not pax'
        for path in sorted(source.iterdir()):
            tar.add(path, path.name, filter=kept)


def _entries(source: Path) -> dict[str, Path]:
    if not source.is_dir():
        raise NotADirectoryError(f"{source} is not a folder")
    return {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*"))}


async def _by_files(
    connection: GuestConnection, entries: dict[str, Path], destination: str, deadline: Deadline
) -> None:
    base = destination.removeprefix("~/").rstrip("/")
    for name, path in entries.items():
        target = f"{base}/{name}"
        status = path.lstat()
        if path.is_symlink():
            await _must(
                connection, f"ln -sf {shlex.quote(str(path.readlink()))} {shlex.quote(target)}", target, deadline
            )
        elif path.is_dir():
            command = (
                f"mkdir -p {shlex.quote(target)} && chmod {stat.S_IMODE(status.st_mode):04o} {shlex.quote(target)}"
            )
            await _must(connection, command, target, deadline)
        elif path.is_file():
            await connection.upload(path, target, mode=stat.S_IMODE(status.st_mode))


async def _must(connection: GuestConnection, command: str, target: str, deadline: Deadline) -> None:
    result = await connection.run(command, deadline=deadline)
    if result.exit_status != 0:
        raise _refused(target, result)


def _refused(destination: str, result: CommandResult) -> GuestCommandFailed:
    reason = result.stderr.strip() or f"exit status {result.exit_status}"
    return GuestCommandFailed(
        f"can't write {destination} in the guest: {reason}",
        exit_status=result.exit_status,
        hint="does the user have the right to it, and has the disk room?",
    )
