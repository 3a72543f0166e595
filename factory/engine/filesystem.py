"""Durable writes: a reader never sees half of anything."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from factory.errors import StoreError
from factory.quantity import Size

_FICLONE = 0x40049409  # linux/fs.h
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)

_ELSEWHERE = "set FACTORY_CACHE (and FACTORY_RUNS, and --output) to folders that you may write to"


def fsync_path(path: Path) -> None:
    """Flushes a file or a folder's entries to disk. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(root: Path) -> None:
    """Flushes every file and folder below *root*, and *root* itself."""
    for path in root.rglob("*"):
        if not path.is_symlink() and (path.is_file() or path.is_dir()):
            fsync_path(path)
    fsync_path(root)


def write_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Writes a file whole or not at all (temporary name, fsync, rename). Raises: OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    fsync_path(path.parent)


def write_json(path: Path, value: Any, *, mode: int = 0o600) -> None:
    """Writes JSON as ``write_text`` does."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n", mode=mode)


def remove_anything(path: Path) -> None:
    """A file, a link (not what it points to) or a folder with all that is in it; best effort."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Removes what a killed ``write_text`` has left in *folder*: its name tells whose it was."""
    for path in folder.glob(".*.tmp"):
        pid = path.name.removesuffix(".tmp").rpartition(".")[2].partition("-")[0]
        if not pid.isdigit() or not Path("/proc", pid).exists():
            with suppress(OSError):
                path.unlink()


def rename_durably(source: Path, destination: Path) -> None:
    """Makes *source* appear at *destination* after its whole content is on disk."""
    fsync_tree(source)
    source.rename(destination)
    fsync_path(destination.parent)


def copy_file(source: Path, destination: Path) -> None:
    """Copies a file with its mode: in no time where the file system shares blocks (Btrfs, XFS, bcachefs), else byte by
    byte. ioctl_ficlone(2). Raises: OSError.
    """
    with source.open("rb") as read, destination.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:
            shutil.copyfileobj(read, write, 2**20)
    shutil.copymode(source, destination)


def make_folder(folder: Path) -> None:
    """Makes a folder (0700), and what is above it, unless it is there. Raises: StoreError, also below a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise disk_error(error, folder) or StoreError(
            f"can't make {folder}: {error.strerror}", hint=_ELSEWHERE
        ) from error


@contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Turns what a disk can do to us into ``StoreError`` with the way out."""
    try:
        yield
    except OSError as error:
        known = disk_error(error, root)
        if known is None:
            raise
        raise known from error


def disk_error(error: OSError, root: Path) -> StoreError | None:
    """The ``StoreError`` for a disk that is full or may not be written; None for every other error.

    *root* is named when *error* does not say which file it was.
    """
    place = Path(error.filename) if isinstance(error.filename, str) else root
    if error.errno in _DISK_FULL:
        return disk_full(place)
    if error.errno in _READ_ONLY:
        refused = "can't write to" if error.errno == errno.EROFS else "this user may not use"
        return StoreError(
            f"{refused} {place}: {error.strerror}",
            hint=_ELSEWHERE,
        )
    return None


def disk_full(place: Path) -> StoreError:
    """Names the file system that *place* is on, and what is free there."""
    folder = place
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return StoreError(
        f"no space left in {folder} ({Size(shutil.disk_usage(folder).free)} free)",
        hint="free space there, run `factory cache gc`, or set FACTORY_CACHE to a larger disk",
    )
