"""Opens what a person has named without waiting for it: a named pipe that nobody writes to would be waited for without
end, in a thread that not even Ctrl-C ends."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISDIR, "a folder"),
)


def require_content(path: Path) -> None:
    """Raises: OSError, also when *path* is neither a file nor a block device: nothing else has an end, or a size."""
    mode = path.stat().st_mode
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "")
    if kind:
        raise OSError(errno.EINVAL, f"it is {kind}, and no file", str(path))


def open_content(path: Path) -> BufferedReader:
    """Opens a file or block device for reading. Raises: as ``require_content``."""
    require_content(path)
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
