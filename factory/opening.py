"""Opens what a person has named without waiting for it: a named pipe that nobody writes to would be waited for without
end, in a thread that not even Ctrl-C ends.

All of it goes through here, so that it can be noted what a plan was made from, see ``noting``."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias

_KINDS = (
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISDIR, "a folder"),
)

Stamp: TypeAlias = tuple[int, int, int, int]
"""Size, mtime and ctime (ns) and inode. Nobody but the kernel sets a ctime: what was written to and put back shows."""
_noted: ContextVar[dict[str, Stamp] | None] = ContextVar("noted", default=None)


def stamp_of(path: Path) -> Stamp:
    """Raises: OSError."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@contextmanager
def noting() -> Iterator[dict[str, Stamp]]:
    """Gives the stamps, by absolute path, of what is opened in the body (and in threads that it starts), as they were
    right before."""
    noted: dict[str, Stamp] = {}
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def note(path: Path) -> None:
    """Notes a file that counts, though it is not opened, or a folder that is listed."""
    noted = _noted.get()
    if noted is not None:
        with suppress(OSError):  # whoever opens it is told
            noted.setdefault(str(path.absolute()), stamp_of(path))


def other_kind(path: Path) -> str:
    """What *path* is in place of a file or block device ("a named pipe (FIFO)"); empty when it is one, or not there."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "")


def require_content(path: Path) -> None:
    """Raises: OSError, also when *path* is neither a file nor a block device: nothing else has an end, or a size."""
    path.stat()
    if kind := other_kind(path):
        raise OSError(errno.EINVAL, f"it is {kind}, and no file", str(path))


def open_content(path: Path) -> BufferedReader:
    """Opens a file or block device for reading. Raises: as ``require_content``."""
    require_content(path)
    note(path)
    return path.open("rb")


def read_content(path: Path) -> bytes:
    """All that is in a file. Raises: as ``require_content``."""
    with open_content(path) as stream:
        return stream.read()


def open_text(path: Path) -> BufferedReader:
    """Opens what may come through a pipe, too (``<(command)``). A named pipe that nobody writes to is empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")
