"""Puts a finished folder in its final place: whole, at once, and on disk before it has its name."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
from pathlib import Path

from factory.errors import StepError
from factory.opening import read_content
from factory.outputs.manifest import CHECKSUMS, MANIFEST

SEAL_REPORT, SEAL_PAGE = "seal.json", "seal.html"
_ELSEWHERE = "move that away, or choose another folder with `--output`"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""``renameat2(2)`` and linux/fs.h: both names go on existing, with their contents swapped."""
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""What a kernel without the call, a file system without the flag (NFS, some FUSE) or a seccomp filter answers."""


def deliver(source: Path, destination: Path) -> None:
    """Puts *source* in *destination*'s place; what is there is removed (``refuse_foreign``).

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


def refuse_foreign(destination: Path) -> None:
    """Raises: StepError when *destination* holds anything that no artifact has brought: delivering would remove it."""
    if destination.is_symlink() or (destination.exists() and not destination.is_dir()):
        raise StepError(f"{destination} is no folder of an artifact", hint=_ELSEWHERE)
    if foreign := foreign_files(destination):
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise StepError(f"{destination} holds what factory did not put there: {foreign[0]}{more}", hint=_ELSEWHERE)


def foreign_files(folder: Path) -> list[str]:
    """The files below *folder* that its manifest does not name, by their relative paths; all, where there is none."""
    try:
        manifest = json.loads(read_content(folder / MANIFEST))
        named = {str(file["path"]) for file in manifest["files"]}
    except (OSError, ValueError, TypeError, KeyError):
        known = frozenset[str]()
    else:
        known = frozenset(named) | {MANIFEST, CHECKSUMS, SEAL_REPORT, SEAL_PAGE}
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(name for path in found if (name := path.relative_to(folder).as_posix()) not in known)


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
