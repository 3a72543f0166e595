"""Tells whether a running machine has an image open for writing, by the locks that QEMU holds on it.

QEMU (block/file-posix.c) holds a shared lock on byte 100 + n for each permission n that it uses; writing is bit 1 of
``BlockPermission`` (include/block/block-common.h).
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from factory.opening import require_content

_PERMISSIONS, _WRITE = 100, 1
_FLOCK = "hhxxxxqqixxxx"  # struct flock on Linux with 64-bit offsets: type, whence, start, length, pid


def has_a_writer(path: Path) -> bool:
    """False, too, on file systems without locks: there QEMU itself can't tell. Raises: OSError."""
    require_content(path)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _PERMISSIONS + _WRITE, 1, 0)
        try:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, question)
        except OSError:
            return False
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)
    finally:
        os.close(fd)
