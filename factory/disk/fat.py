"""Tells which clusters of a FAT file system are free.

Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from factory.disk.reader import DiskReader

_FAT12_BELOW, _FAT16_BELOW = 4085, 65525
"""Counts of clusters, which alone tell the three kinds apart."""


class Fat:
    """A FAT on *reader* (the partition, not the disk). Raises: ValueError when there is none."""

    def __init__(self, reader: DiskReader) -> None:
        head = reader.read(0, 512)
        if head[54:57] != b"FAT" and head[82:85] != b"FAT":
            raise ValueError("no FAT")
        sector, per_cluster, reserved, tables, root_entries, small = struct.unpack_from("<HBHBHH", head, 11)
        (narrow,), (large, wide) = struct.unpack_from("<H", head, 22), struct.unpack_from("<II", head, 32)
        if not sector or not per_cluster or not tables:
            raise ValueError("a FAT without sizes")
        table = (narrow or wide) * sector
        self.cluster = sector * per_cluster
        self._data = reserved * sector + tables * table + -(-root_entries * 32 // sector) * sector
        self._count = ((small or large) * sector - self._data) // self.cluster
        self._table = reader.read(reserved * sector, table)

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
