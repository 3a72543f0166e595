"""Where an artifact grows: a folder beside its final place, so that one rename is enough.

Whoever makes one holds a lock on the folder itself (``flock``): the kernel releases it when the maker dies, however it
dies, and the next one removes what it finds unlocked. A ``FolderGuard`` that outlives the maker does
so at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from factory.drivers.protocols import FolderGuard
from factory.errors import HostError

STAGING = ".staging"
_TOLD_BY_THE_STORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
"""See ``engine.filesystem``."""
_CLAIMS = 100
"""Each loses only to a build that ends in the same moment."""


@contextmanager
def output_errors(folder: Path) -> Iterator[None]:
    """Turns what can happen to the folder of the artifacts into an error that names the place, and the way out.

    Raises: HostError. A full disk, and one that may not be written, are told as everywhere else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _TOLD_BY_THE_STORE:
            raise
        raise HostError(
            f"the artifact can't be written: {error.filename or folder}: {error.strerror or error}",
            hint="choose another folder with `--output`; all that was built is stored, and only the export runs again",
        ) from error


@contextmanager
def staging_folder(output: Path, name: str, guard: FolderGuard) -> Iterator[Path]:
    """A new folder below *output* for the artifact *name*; gone afterwards unless it was renamed.

    *guard* removes it when we are killed. Raises: OSError.
    """
    sweep_staging(output)
    folder, descriptor = _claim(output / STAGING, name)
    try:
        with guard(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
        with suppress(OSError):  # another build's is still there
            (output / STAGING).rmdir()


def sweep_staging(output: Path) -> tuple[Path, ...]:
    """Removes what dead builds have left half-made. Returns what was removed."""
    removed = []
    for folder in sorted((output / STAGING).glob("*")):
        descriptor = _lock(folder)
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
            removed.append(folder)
    with suppress(OSError):
        (output / STAGING).rmdir()
    return tuple(removed)


def _claim(parent: Path, name: str) -> tuple[Path, int]:
    """A new, locked folder. Raises: OSError where none can be made, which looks for a moment as if it was swept."""
    reason = OSError(errno.EAGAIN, "a folder made there is gone, or can't be opened, each time", str(parent))
    for _ in range(_CLAIMS):
        folder = parent / f"{name}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True, mode=0o755)
        except FileNotFoundError as error:  # somebody has just removed the empty parent, or it is a place like /proc
            reason = error
            continue
        descriptor = _lock(folder)
        if descriptor is not None and folder.exists():
            return folder, descriptor
        if descriptor is not None:  # swept in the moment before it was locked
            os.close(descriptor)
        else:
            with suppress(OSError):
                folder.rmdir()
    raise reason


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock; None when somebody else does, or the folder is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    return descriptor
