"""Tells which clusters of a FAT file system are free, and what lies in its topmost folder.

Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from factory.disk.reader import DiskReader

_FAT12_BELOW, _FAT16_BELOW = 4085, 65525
"""Counts of clusters, which alone tell the three kinds apart."""


def unit_of(head: bytes) -> int:
    """The largest part, 4096 bytes at most, in which whole clusters lie. *head*: its first 96 bytes.

    Raises: ValueError when it is no FAT. Clusters may be large and yet begin in the middle of 4 KiB.
    """
    return math.gcd(*_sizes(head), 4096)


def _sizes(head: bytes) -> tuple[int, int]:
    """``(bytes of a cluster, offset of the first)``."""
    if head[54:57] != b"FAT" and head[82:85] != b"FAT":
        raise ValueError("no FAT")
    sector, per_cluster, reserved, tables, root_entries = struct.unpack_from("<HBHBH", head, 11)
    (narrow,), (wide,) = struct.unpack_from("<H", head, 22), struct.unpack_from("<I", head, 36)
    if not sector or not per_cluster or not tables:
        raise ValueError("a FAT without sizes")
    root = -(-root_entries * 32 // sector) * sector
    return sector * per_cluster, reserved * sector + tables * (narrow or wide) * sector + root


class Fat:
    """A FAT on *reader* (the partition, not the disk). Raises: ValueError when there is none."""

    def __init__(self, reader: DiskReader) -> None:
        head = reader.read(0, 512)
        self.cluster, self._data = _sizes(head)
        sector, reserved = struct.unpack_from("<HxH", head, 11)
        (small,), (large,) = struct.unpack_from("<H", head, 19), struct.unpack_from("<I", head, 32)
        self._count = ((small or large) * sector - self._data) // self.cluster
        self._table = reader.read(reserved * sector, self._data - reserved * sector)
        (root_entries,), (self._root,) = struct.unpack_from("<H", head, 17), struct.unpack_from("<I", head, 44)
        self._fixed_root = self._data - root_entries * 32, root_entries * 32  # nothing of it on FAT32
        self._reader = reader

    def names(self) -> list[str]:
        """Of the files and folders in the topmost folder."""
        found, long = [], ""
        folder = self._root_folder()
        for at in range(0, len(folder), 32):
            entry = folder[at : at + 32]
            if entry[0] == 0:
                break
            if entry[0] != 0xE5 and entry[11] == 0x0F:  # a piece of a long name: the last piece comes first
                piece = (entry[1:11] + entry[14:26] + entry[28:32]).decode("utf-16-le", "replace")
                long = piece.split("\0")[0] + ("" if entry[0] & 0x40 else long)
                continue
            if entry[0] != 0xE5 and not entry[11] & 0x08:
                name, end = (part.decode("cp437").rstrip() for part in (entry[:8], entry[8:11]))
                found.append(long or (f"{name}.{end}" if end else name))
            long = ""
        return found

    def _root_folder(self) -> bytes:
        offset, length = self._fixed_root
        if length:
            return self._reader.read(offset, length)
        entries, number, data = list(self._entries()), self._root, b""
        for _ in entries:
            if not 2 <= number < len(entries) + 2:
                break
            data += self._reader.read(self._data + (number - 2) * self.cluster, self.cluster)
            number = entries[number - 2]
        return data

    def free_extents(self) -> Iterator[tuple[int, int]]:
        """``(offset, length)`` in bytes of all free clusters, in order."""
        start = end = 0
        for number, entry in enumerate(self._entries()):
            if entry:
                continue
            offset = self._data + number * self.cluster
            if offset != end:
                if end > start:
                    yield start, end - start
                start = offset
            end = offset + self.cluster
        if end > start:
            yield start, end - start

    def _entries(self) -> Iterator[int]:
        """What the table says of each cluster, from the first (number 2); 0 is free."""
        last = self._count + 2
        if self._count < _FAT12_BELOW:
            for number in range(2, last):
                pair = int.from_bytes(self._table[number * 3 // 2 : number * 3 // 2 + 2], "little")
                yield pair >> 4 if number & 1 else pair & 0xFFF
        elif self._count < _FAT16_BELOW:
            yield from struct.unpack_from(f"<{self._count}H", self._table, 4)
        else:
            yield from (entry & 0x0FFFFFFF for entry in struct.unpack_from(f"<{self._count}I", self._table, 8))
