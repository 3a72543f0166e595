"""Content that an ext4 file has inside of its inode: 60 bytes of it, and an extended attribute for what is longer.

Source: the Linux kernel's ``Documentation/filesystems/ext4/inlinedata.rst`` and ``attributes.rst``.
"""

from __future__ import annotations

import struct

_MAGIC = 0xEA020000
_SYSTEM = 7  # the index of names that begin with "system."


def inline_data(inode: bytes) -> bytes:
    """All that is there; a file's size says how much of it counts. The place in the inode is 60 bytes, always."""
    return inode[40:100] + _attribute(inode)


def _attribute(inode: bytes) -> bytes:
    """The value of ``system.data``."""
    if len(inode) <= 132:
        return b""
    start = 128 + int(struct.unpack_from("<H", inode, 128)[0])
    if start + 4 > len(inode) or struct.unpack_from("<I", inode, start)[0] != _MAGIC:
        return b""
    first = at = start + 4
    while at + 16 <= len(inode):
        length, index, offset, _, size = struct.unpack_from("<BBHII", inode, at)
        if not length and not index:
            break
        if index == _SYSTEM and inode[at + 16 : at + 16 + length] == b"data":
            return inode[first + offset : first + offset + size]
        at += -(-(16 + length) // 4) * 4
    return b""
