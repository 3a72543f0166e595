"""Puts a finished folder in its final place: whole, at once, and on disk before it has its name."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""``renameat2(2)`` and linux/fs.h: both names go on existing, with their contents swapped."""
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""What a kernel without the call, a file system without the flag (NFS, some FUSE) or a seccomp filter answers."""


def deliver(source: Path, destination: Path) -> None:
    """Puts *source* in *destination*'s place.

    A reader of *destination* finds the old folder or the new one, never a mixture and never nothing; only where the
    file system can't exchange two names there is a moment without one. Raises: OSError; then the old one is where
    it was.
    """
    _flush(source)
    if not destination.exists():
        source.rename(destination)
    elif exchange(source, destination):
        # What was in its place is where the new one grew.
        shutil.rmtree(source, ignore_errors=True)
    else:
        _replace(source, destination)
    _fsync(destination.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swaps two names of one file system atomically. False where that is not offered. Raises: OSError."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False  # a C library without it
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def _replace(source: Path, destination: Path) -> None:
    aside = source.with_name(f"{source.name}-replaces-this")
    destination.rename(aside)
    try:
        source.rename(destination)
    except OSError:
        aside.rename(destination)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not path.is_symlink():
            _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
