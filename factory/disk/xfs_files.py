"""Reads files of an XFS: which file a block belongs to, where it is, and what it holds.

Source: "XFS Algorithms & Data Structures" (kernel.org), *On-disk Inode*, *Data Extents*, *Directories*.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from factory.disk.reader import DiskReader
from factory.disk.spans import inside
from factory.disk.xfs import Xfs

_CHUNK = 64  # inodes that lie together
_INODE_TREES = {b"IABT": 16, b"IAB3": 56}
_EXTENT_TREES = {b"BMAP": 24, b"BMA3": 72}
_DIRECTORY_BLOCKS = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}
_WITH_TAIL = frozenset({b"XD2B", b"XDB3"})
_DIRECTORY, _REGULAR = 0x4000, 0x8000
_LOCAL, _EXTENTS, _TREE = 1, 2, 3
_DATA_ENDS = 2**35
"""Bytes of a folder's logical space that hold names; what is above are indexes."""
_FTYPE_V4, _FTYPE_V5, _SPARSE = 0x200, 0x1, 0x2
_MANY_EXTENTS = 1 << 4


@dataclass(frozen=True, slots=True)
class _Inode:
    mode: int
    format: int
    size: int
    extents: int
    fork: bytes


class XfsFiles(Xfs):
    """An XFS with its files. Raises: ValueError when there is none."""

    def __init__(self, reader: DiskReader) -> None:
        super().__init__(reader)
        head = reader.read(0, 256)
        (self._root,), (self._inode_size,) = struct.unpack_from(">Q", head, 56), struct.unpack_from(">H", head, 104)
        self._per_block_bits, self._group_bits = head[123], head[124]
        self._folder_block = self.block_size << head[192]
        is_v5 = struct.unpack_from(">H", head, 100)[0] & 15 == 5
        (incompatible,), (features,) = struct.unpack_from(">I", head, 216), struct.unpack_from(">I", head, 200)
        self._has_types = bool(incompatible & _FTYPE_V5 if is_v5 else features & _FTYPE_V4)
        self._has_holes = is_v5 and bool(incompatible & _SPARSE)

    # --- as of disk.ext.Ext ------------------------------------------------------------------------------------------

    def owners(self, blocks: set[int]) -> dict[int, int]:
        """Of *blocks* (numbers), those that belong to an inode → its number. Walks all inodes."""
        found: dict[int, int] = {}
        wanted = sorted(blocks)
        for number, inode in self._all_inodes():
            if inode.mode & 0xF000 not in (_DIRECTORY, _REGULAR):
                continue
            for _, first, count in self._runs(inode):
                found |= dict.fromkeys(inside(wanted, first, count), number)
            if len(found) == len(blocks):
                break
        return found

    def owners_at(self, offsets: set[int]) -> dict[int, int]:
        """Of *offsets* (bytes), those that belong to an inode → its number."""
        owners = self.owners({offset // self.block_size for offset in offsets})
        return {o: owners[o // self.block_size] for o in offsets if o // self.block_size in owners}

    def paths(self, inodes: set[int]) -> dict[int, str]:
        """Paths of inodes, by walking the folders from the root."""
        found: dict[int, str] = {}
        stack, seen = [(self._root, "")], {self._root}
        while stack and len(found) < len(inodes):
            folder, path = stack.pop()
            for name, number in self._entries(folder).items():
                if number in inodes:
                    found.setdefault(number, f"{path}/{name}")
                if number not in seen and self._inode(number).mode & 0xF000 == _DIRECTORY:
                    seen.add(number)
                    stack.append((number, f"{path}/{name}"))
        return found

    def lookup(self, path: str) -> int | None:
        """The inode of an absolute path; links are not followed."""
        number: int | None = int(self._root)
        for name in filter(None, path.split("/")):
            number = self._entries(number).get(name) if number is not None else None
        return number

    def folder(self, path: str) -> Mapping[str, int]:
        """Names in a folder → inodes; nothing when it is not there."""
        number = self.lookup(path)
        return {} if number is None else self._entries(number)

    def content(self, number: int) -> bytes:
        """A file's content. Raises: ValueError when it is no regular file."""
        inode = self._inode(number)
        if inode.mode & 0xF000 != _REGULAR:
            raise ValueError("no regular file")
        content = bytearray(inode.size)
        for logical, first, count in self._runs(inode, written=True):
            at, length = logical * self.block_size, count * self.block_size
            content[at : at + length] = self._reader.read(first * self.block_size, min(length, max(0, inode.size - at)))
        return bytes(content[: inode.size])

    # --- inodes ------------------------------------------------------------------------------------------------------

    def _all_inodes(self) -> Iterator[tuple[int, _Inode]]:
        for group in range(self._groups):
            base = group * self._group_blocks
            header = self._reader.read(base * self.block_size + 2 * self._sector, self._sector)
            if header[:4] != b"XAGI":
                raise ValueError(f"no inode header in the allocation group {group}")
            (root,) = struct.unpack_from(">I", header, 20)
            for record in self._inode_records(base, root, 0):
                yield from self._chunk(group, record)

    def _inode_records(self, base: int, number: int, depth: int) -> Iterator[bytes]:
        data = self._reader.read((base + number) * self.block_size, self.block_size)
        if data[:4] not in _INODE_TREES or depth > 8:
            raise ValueError(f"block {base + number} is no part of the inode tree")
        start, (level, count) = _INODE_TREES[data[:4]], struct.unpack_from(">HH", data, 4)
        if level == 0:
            yield from (data[start + 16 * n : start + 16 * n + 16] for n in range(count))
            return
        pointers = start + 4 * ((self.block_size - start) // 8)  # keys of 4 bytes, then pointers of 4
        for child in struct.unpack_from(f">{count}I", data, pointers):
            yield from self._inode_records(base, child, depth + 1)

    def _chunk(self, group: int, record: bytes) -> Iterator[tuple[int, _Inode]]:
        first, holes, _, free = struct.unpack(">IHHQ", record)
        whole = (group << (self._group_bits + self._per_block_bits)) | first
        for index in range(_CHUNK):
            if free >> index & 1 or (self._has_holes and holes >> (index // 4) & 1):
                continue
            yield whole + index, self._inode(whole + index)

    def _inode(self, number: int) -> _Inode:
        bits = self._group_bits + self._per_block_bits
        group, within = number >> bits, number & ((1 << bits) - 1)
        block, index = within >> self._per_block_bits, within & ((1 << self._per_block_bits) - 1)
        offset = (group * self._group_blocks + block) * self.block_size + index * self._inode_size
        raw = self._reader.read(offset, self._inode_size)
        if raw[:2] != b"IN":
            raise ValueError(f"{number} is no inode")
        (mode,), version, kind = struct.unpack_from(">H", raw, 2), raw[4], raw[5]
        (size,), (extents,), forkoff = struct.unpack_from(">Q", raw, 56), struct.unpack_from(">I", raw, 76), raw[82]
        header = 176 if version >= 3 else 100
        if version >= 3 and struct.unpack_from(">Q", raw, 120)[0] & _MANY_EXTENTS:
            (extents,) = struct.unpack_from(">Q", raw, 24)
        return _Inode(mode, kind, size, extents, raw[header : header + forkoff * 8 if forkoff else None])

    # --- extents -----------------------------------------------------------------------------------------------------

    def _runs(self, inode: _Inode, *, written: bool = False) -> Iterator[tuple[int, int, int]]:
        """``(logical block, first block, count)``; *written* leaves out what is reserved and reads as zeros."""
        for high, low in self._records(inode):
            if written and high >> 63:
                continue
            place = (high & 0x1FF) << 43 | low >> 21
            group, block = place >> self._group_bits, place & ((1 << self._group_bits) - 1)
            yield high >> 9 & (2**54 - 1), group * self._group_blocks + block, low & 0x1FFFFF

    def _records(self, inode: _Inode) -> Iterator[tuple[int, int]]:
        if inode.format == _EXTENTS:
            yield from struct.iter_unpack(">QQ", inode.fork[: 16 * inode.extents])
        elif inode.format == _TREE:
            level, count = struct.unpack_from(">HH", inode.fork, 0)
            most = (len(inode.fork) - 4) // 16  # keys of 8 bytes, then pointers of 8
            for child in struct.unpack_from(f">{count}Q", inode.fork, 4 + 8 * most):
                yield from self._extent_leaves(child, level)

    def _extent_leaves(self, place: int, above: int) -> Iterator[tuple[int, int]]:
        group, block = place >> self._group_bits, place & ((1 << self._group_bits) - 1)
        data = self._reader.read((group * self._group_blocks + block) * self.block_size, self.block_size)
        start, (level, count) = _EXTENT_TREES.get(data[:4], 0), struct.unpack_from(">HH", data, 4)
        if not start or level >= above:
            raise ValueError(f"block {place} is no part of a file's extents")
        if level == 0:
            yield from struct.iter_unpack(">QQ", data[start : start + 16 * count])
            return
        most = (self.block_size - start) // 16
        for child in struct.unpack_from(f">{count}Q", data, start + 8 * most):
            yield from self._extent_leaves(child, level)

    # --- folders -----------------------------------------------------------------------------------------------------

    def _entries(self, number: int) -> dict[str, int]:
        inode = self._inode(number)
        if inode.mode & 0xF000 != _DIRECTORY:
            return {}
        if inode.format == _LOCAL:
            return dict(self._short_entries(inode.fork))
        entries: dict[str, int] = {}
        for logical, first, count in self._runs(inode):
            if logical * self.block_size >= _DATA_ENDS:
                continue
            data = self._reader.read(first * self.block_size, count * self.block_size)
            for start in range(0, len(data), self._folder_block):
                entries.update(self._block_entries(data[start : start + self._folder_block]))
        entries.pop(".", None)
        entries.pop("..", None)
        return entries

    def _short_entries(self, fork: bytes) -> Iterator[tuple[str, int]]:
        count, wide = fork[0], bool(fork[1])
        form, width = (">Q", 8) if wide else (">I", 4)
        at = 2 + width
        for _ in range(count):
            length = fork[at]
            name = fork[at + 3 : at + 3 + length].decode("utf-8", "surrogateescape")
            at += 3 + length + self._has_types
            yield name, int(struct.unpack_from(form, fork, at)[0])
            at += width

    def _block_entries(self, data: bytes) -> Iterator[tuple[str, int]]:
        at, end = _DIRECTORY_BLOCKS.get(data[:4], 0), len(data)
        if not at:
            return
        if data[:4] in _WITH_TAIL:
            end -= 8 + 8 * int(struct.unpack_from(">I", data, end - 8)[0])
        while at + 16 <= end:
            if data[at : at + 2] == b"\xff\xff":
                length = int(struct.unpack_from(">H", data, at + 2)[0])
                if length < 8:
                    return
                at += length
                continue
            (number,), length = struct.unpack_from(">Q", data, at), data[at + 8]
            yield data[at + 9 : at + 9 + length].decode("utf-8", "surrogateescape"), int(number)
            at += -(-(11 + length + self._has_types) // 8) * 8
