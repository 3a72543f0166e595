"""Tells which blocks of an XFS file system are free.

Source: "XFS Algorithms & Data Structures" (kernel.org), *Allocation Groups* and *Short Format B+trees*. For a file
system that was unmounted cleanly: its log is not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from factory.disk.reader import DiskReader

_TREES = {b"ABTB": 16, b"AB3B": 56}
"""Magic of the free-space tree by block number → bytes of a block's header: version 4, version 5."""


def trim_ranges(head: bytes) -> list[tuple[int, int]]:
    """``(offset, length)`` in bytes of ranges that cover a file system, none of which holds a whole allocation group.

    *head*: its first 96 bytes. Linux from 6.7 on (seen: 6.18) walks a group that is trimmed as a whole by the sizes of
    its free extents, in batches, and passes many of equal size over: 786 freed blocks kept their contents. A part of a
    group is walked by place, and nothing is left.
    """
    block, blocks = struct.unpack_from(">IQ", head, 4)
    (group,) = struct.unpack_from(">I", head, 84)
    # The last group may be smaller than the others.
    starts = [at for base in range(0, blocks, group) for at in (base, base + min(group, blocks - base) // 2)]
    ends = [*starts[1:], blocks]
    return [(start * block, (end - start) * block) for start, end in zip(starts, ends, strict=True)]


class Xfs:
    """An XFS on *reader* (the partition, not the disk). Raises: ValueError when there is none."""

    def __init__(self, reader: DiskReader) -> None:
        self._reader = reader
        head = reader.read(0, 256)
        if head[:4] != b"XFSB" or len(head) < 256:
            raise ValueError("no XFS")
        self.block_size, self._blocks = struct.unpack_from(">IQ", head, 4)
        self._group_blocks, self._groups = struct.unpack_from(">II", head, 84)
        (self._sector,) = struct.unpack_from(">H", head, 102)
        if not self.block_size or not self._group_blocks:
            raise ValueError("an XFS without sizes")

    def free_extents(self) -> Iterator[tuple[int, int]]:
        """``(offset, length)`` in bytes of all free blocks, in order. Raises: ValueError for a damaged tree.

        The few blocks that each group keeps for its own trees are none of them: no trim gives them back.
        """
        for group in range(self._groups):
            base = group * self._group_blocks
            for first, count in self._free(base):
                yield (base + first) * self.block_size, count * self.block_size

    def _free(self, base: int) -> Iterator[tuple[int, int]]:
        """The leaves of one group's tree, from left to right."""
        header = self._reader.read(base * self.block_size + self._sector, self._sector)
        if header[:4] != b"XAGF":
            raise ValueError(f"no free-space header in the allocation group at block {base}")
        (number,) = struct.unpack_from(">I", header, 16)
        number, data = self._leftmost(base, number)
        seen: set[int] = set()
        while number not in seen:
            seen.add(number)
            start, records = _TREES[data[:4]], struct.unpack_from(">H", data, 6)[0]
            for record in range(records):
                first, count = struct.unpack_from(">II", data, start + 8 * record)
                yield first, count
            (number,) = struct.unpack_from(">I", data, 12)
            if number == 0xFFFFFFFF:
                return
            data = self._block(base, number)

    def _leftmost(self, base: int, number: int) -> tuple[int, bytes]:
        data = self._block(base, number)
        while level := struct.unpack_from(">H", data, 4)[0]:
            start = _TREES[data[:4]]
            most = (self.block_size - start) // 12  # keys of 8 bytes, then pointers of 4
            (number,) = struct.unpack_from(">I", data, start + 8 * most)
            data = self._block(base, number)
            if struct.unpack_from(">H", data, 4)[0] >= level:
                raise ValueError("a free-space tree that does not end")
        return number, data

    def _block(self, base: int, number: int) -> bytes:
        data = self._reader.read((base + number) * self.block_size, self.block_size)
        if data[:4] not in _TREES:
            raise ValueError(f"block {base + number} is no part of the free-space tree")
        return data
