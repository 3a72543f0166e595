"""Reads ext2, ext3 and ext4 file systems: which blocks are free, and which file a block belongs to.

Source: the Linux kernel's ``Documentation/filesystems/ext4/``. Needs no libguestfs and no kernel, so it is a witness of
its own for what they have left.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from factory.disk.ext_inline import inline_data
from factory.disk.reader import DiskReader
from factory.disk.spans import clear_runs, inside

_MAGIC = 0xEF53
_COMPAT_SPARSE2 = 0x200
_INCOMPAT_64BIT, _INCOMPAT_META_BG, _INCOMPAT_RECOVER = 0x80, 0x10, 0x4
# file types, recovery, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data, encrypt,
# casefold
_INCOMPAT_KNOWN = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
_RO_SPARSE, _RO_GDT_CSUM, _RO_BIGALLOC, _RO_METADATA_CSUM = 0x1, 0x10, 0x200, 0x400
_BLOCK_UNINIT, _INODE_UNINIT = 0x2, 0x1
_EXTENTS, _INLINE = 0x80000, 0x10000000
_DIRECTORY, _REGULAR, _LINK = 0x4000, 0x8000, 0xA000
_ROOT_INODE = 2


@dataclass(frozen=True, slots=True)
class _Group:
    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    flags: int
    unused_inodes: int


class Ext:
    """An ext file system on *reader* (the partition, not the disk). Raises: ValueError when there is none."""

    def __init__(self, reader: DiskReader) -> None:
        self._reader = reader
        self._super = superblock = reader.read(1024, 1024)
        if len(superblock) < 1024 or struct.unpack_from("<H", superblock, 56)[0] != _MAGIC:
            raise ValueError("no ext file system")
        (
            self._inodes,
            low,
            _,
            _,
            _,
            self._first,
            log_block,
            log_cluster,
            self._per_group,
            _,
            self._inodes_per_group,
        ) = struct.unpack_from("<11I", superblock, 0)
        self._compat, self._incompat, self._ro = struct.unpack_from("<III", superblock, 92)
        self._wide = bool(self._incompat & _INCOMPAT_64BIT)
        self._blocks = low + ((struct.unpack_from("<I", superblock, 336)[0] << 32) if self._wide else 0)
        self.block_size = 1024 << log_block
        if self._incompat & ~_INCOMPAT_KNOWN:
            raise ValueError(f"ext4 with features that are not read here ({self._incompat & ~_INCOMPAT_KNOWN:#x})")
        # With bigalloc, bits of the bitmaps stand for clusters of several blocks.
        self._ratio = 1 << (log_cluster - log_block) if self._ro & _RO_BIGALLOC else 1
        self._inode_size = (
            struct.unpack_from("<H", superblock, 88)[0] if struct.unpack_from("<I", superblock, 76)[0] else 128
        )
        self._descriptor_size = struct.unpack_from("<H", superblock, 254)[0] if self._wide else 32
        self._per_table = self.block_size // self._descriptor_size
        (self._first_meta,) = struct.unpack_from("<I", superblock, 260)
        self._group_count = -(-(self._blocks - self._first) // self._per_group)
        self._groups = [self._group(n) for n in range(self._group_count)]

    @property
    def needs_recovery(self) -> bool:
        """True when its journal was not replayed: what is free can't be told then."""
        return bool(self._incompat & _INCOMPAT_RECOVER)

    @property
    def label(self) -> str:
        return self._super[120:136].split(b"\0")[0].decode("utf-8", "replace")

    @property
    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self._super[104:120]))

    # --- free blocks -----------------------------------------------------------------------------------------------

    def free_extents(self) -> Iterator[tuple[int, int]]:
        """``(offset, length)`` in bytes, from the start of the partition, of all free blocks, in order."""
        start = end = 0
        for number in range(self._group_count):
            base = self._first + number * self._per_group
            count = min(self._per_group, self._blocks - base)
            for first, last in clear_runs(self._bitmap(number), -(-count // self._ratio)):
                offset = (base + first * self._ratio) * self.block_size
                until = (base + min(count, last * self._ratio)) * self.block_size
                if offset == end:
                    end = until
                    continue
                if end > start:
                    yield start, end - start
                start, end = offset, until
        if end > start:
            yield start, end - start

    def _bitmap(self, number: int) -> bytes:
        group = self._groups[number]
        if group.flags & _BLOCK_UNINIT and self._ro & (_RO_GDT_CSUM | _RO_METADATA_CSUM):
            return self._uninitialised_bitmap(number)
        return self._reader.read(group.block_bitmap * self.block_size, self.block_size)

    def _uninitialised_bitmap(self, number: int) -> bytes:
        """What the kernel takes such a group's bitmap for: only the group's own metadata is in use."""
        bits = bytearray(self.block_size)
        base = self._first + number * self._per_group
        used = list(range(base, base + self._own_metadata(number)))
        table = -(-self._inodes_per_group * self._inode_size // self.block_size)
        # With flexible groups, other groups' bitmaps and tables may lie in this one.
        for group in self._groups:
            used += [group.block_bitmap, group.inode_bitmap]
            used += (
                range(group.inode_table, group.inode_table + table)
                if base <= group.inode_table < base + self._per_group
                else ()
            )
        for block in used:
            if base <= block < base + self._per_group:
                bit = (block - base) // self._ratio
                bits[bit // 8] |= 1 << (bit % 8)
        return bytes(bits)

    def _own_metadata(self, number: int) -> int:
        """Blocks of superblock and descriptors at the beginning of a group."""
        copies = int(self._has_super(number))
        if self._incompat & _INCOMPAT_META_BG and number // self._per_table >= self._first_meta:
            # The descriptors of one block's worth of groups lie in the first two of these groups, and in the last.
            return copies + int(number % self._per_table in {0, 1, self._per_table - 1})
        if not copies:
            return 0
        descriptors = -(-self._group_count * self._descriptor_size // self.block_size)
        if self._incompat & _INCOMPAT_META_BG:
            descriptors = self._first_meta
        reserved = struct.unpack_from("<H", self._super, 206)[0]
        return 1 + int(descriptors + reserved)

    def _has_super(self, number: int) -> bool:
        if number <= 1 and not (self._compat & _COMPAT_SPARSE2 and number == 1):
            return True
        if self._compat & _COMPAT_SPARSE2:
            return number in struct.unpack_from("<II", self._super, 0x24C)
        if not self._ro & _RO_SPARSE:
            return True
        return any(number == base**power for base in (3, 5, 7) for power in range(1, 16))

    def _group(self, number: int) -> _Group:
        block, slot = divmod(number, self._per_table)
        # Behind the superblock, which is in block 1 where blocks have 1 KiB, also where bigalloc counts groups from 0.
        place = 1024 // self.block_size + 1 + block
        if self._incompat & _INCOMPAT_META_BG and block >= self._first_meta:
            first = block * self._per_table
            if block:
                place = self._first + first * self._per_group + int(self._has_super(first))
        at = place * self.block_size + slot * self._descriptor_size
        raw = self._reader.read(at, self._descriptor_size)
        block_bitmap, inode_bitmap, inode_table = struct.unpack_from("<III", raw, 0)
        flags, unused = struct.unpack_from("<H", raw, 18)[0], struct.unpack_from("<H", raw, 28)[0]
        if self._descriptor_size >= 64:
            high = struct.unpack_from("<III", raw, 32)
            block_bitmap, inode_bitmap, inode_table = (
                low + (h << 32) for low, h in zip((block_bitmap, inode_bitmap, inode_table), high, strict=True)
            )
        return _Group(block_bitmap, inode_bitmap, inode_table, flags, unused)

    # --- files -----------------------------------------------------------------------------------------------------

    def owners(self, blocks: set[int]) -> dict[int, int]:
        """Of *blocks* (numbers), those that belong to an inode → its number. Walks all inodes."""
        owners: dict[int, int] = {}
        wanted = sorted(blocks)
        for number, inode in self._all_inodes():
            for first, count in self._runs(inode):
                owners |= dict.fromkeys(inside(wanted, first, count), number)
            if len(owners) == len(blocks):
                break
        return owners

    def owners_at(self, offsets: set[int]) -> dict[int, int]:
        """Of *offsets* (bytes), those that belong to an inode → its number."""
        owners = self.owners({offset // self.block_size for offset in offsets})
        found = {o: owners[o // self.block_size] for o in offsets if o // self.block_size in owners}
        return found | self._inline_owners(offsets - set(found))

    def _inline_owners(self, offsets: set[int]) -> dict[int, int]:
        """Of *offsets* those in inodes that hold their file's content."""
        found = {}
        for index, group in enumerate(self._groups):
            start = group.inode_table * self.block_size
            for offset in offsets:
                slot, _ = divmod(offset - start, self._inode_size)
                if 0 <= slot < self._inodes_per_group:
                    number = index * self._inodes_per_group + slot + 1
                    inode = self._inode(number)
                    if struct.unpack_from("<H", inode, 26)[0] and struct.unpack_from("<I", inode, 32)[0] & _INLINE:
                        found[offset] = number
        return found

    def paths(self, inodes: set[int]) -> dict[int, str]:
        """Paths of inodes, by walking the folders from the root; some may have none (the journal, deleted files)."""
        found: dict[int, str] = {}
        stack, seen = [(_ROOT_INODE, "")], {_ROOT_INODE}
        while stack and len(found) < len(inodes):
            folder, path = stack.pop()
            for name, (number, kind) in self._entries(folder).items():
                if number in inodes:
                    found.setdefault(number, f"{path}/{name}")
                if kind == 2 and number not in seen:
                    seen.add(number)
                    stack.append((number, f"{path}/{name}"))
        return found

    def lookup(self, path: str) -> int | None:
        """The inode of an absolute path; links are not followed."""
        number = _ROOT_INODE
        for name in filter(None, path.split("/")):
            entry = self._entries(number).get(name)
            if entry is None:
                return None
            number = entry[0]
        return number

    def folder(self, path: str) -> Mapping[str, int]:
        """Names in a folder → inodes; nothing when it is not there."""
        number = self.lookup(path)
        return {} if number is None else {name: n for name, (n, _) in self._entries(number).items()}

    def walk(self) -> Iterator[tuple[str, int]]:
        """``(path, inode)`` of everything below the root, folders before what is in them."""
        stack, seen = [(_ROOT_INODE, "")], {_ROOT_INODE}
        while stack:
            folder, path = stack.pop()
            for name, (number, kind) in self._entries(folder).items():
                yield f"{path}/{name}", number
                if kind == 2 and number not in seen:
                    seen.add(number)
                    stack.append((number, f"{path}/{name}"))

    def status(self, number: int) -> tuple[int, int]:
        """``(mode, size)`` of an inode."""
        inode = self._inode(number)
        mode, low, high = (struct.unpack_from(f, inode, at)[0] for f, at in (("<H", 0), ("<I", 4), ("<I", 108)))
        return mode, low + (high << 32 if mode & 0xF000 == _REGULAR else 0)

    def content(self, number: int) -> bytes:
        """A file's content. Raises: ValueError when it is no regular file."""
        inode = self._inode(number)
        if struct.unpack_from("<H", inode, 0)[0] & 0xF000 != _REGULAR:
            raise ValueError("no regular file")
        size = struct.unpack_from("<I", inode, 4)[0] + (struct.unpack_from("<I", inode, 108)[0] << 32)
        return self._data(inode, size)

    def _data(self, inode: bytes, size: int) -> bytes:
        flags = struct.unpack_from("<I", inode, 32)[0]
        if flags & _INLINE:
            return inline_data(inode)[:size]
        content = bytearray(size)
        runs = self._mapped_extents(inode[40:100]) if flags & _EXTENTS else self._mapped_blocks(inode)
        for logical, first, count in runs:
            at, length = logical * self.block_size, count * self.block_size
            content[at : at + length] = self._reader.read(first * self.block_size, min(length, max(0, size - at)))
        return bytes(content[:size])

    def target(self, number: int) -> bytes | None:
        """Where a symbolic link leads; None for what is no link."""
        inode = self._inode(number)
        mode, size, flags = (struct.unpack_from(f, inode, at)[0] for f, at in (("<H", 0), ("<I", 4), ("<I", 32)))
        if mode & 0xF000 != _LINK:
            return None
        is_fast = size < 60 and not flags & (_EXTENTS | _INLINE)  # in the place of the list of its blocks
        return inode[40 : 40 + size] if is_fast else self._data(inode, size)

    def _mapped_extents(self, node: bytes) -> Iterator[tuple[int, int, int]]:
        """``(logical block, first block, count)`` of written extents."""
        magic, count, _, depth = struct.unpack_from("<HHHH", node, 0)
        for number in range(count if magic == 0xF30A else 0):
            entry = node[12 + 12 * number : 24 + 12 * number]
            if depth:
                low, high = struct.unpack_from("<IH", entry, 4)
                yield from self._mapped_extents(
                    self._reader.read((low + (high << 32)) * self.block_size, self.block_size)
                )
            else:
                logical, length, high, low = struct.unpack_from("<IHHI", entry, 0)
                if length <= 32768:  # longer ones are reserved, but were never written
                    yield logical, low + (high << 32), length

    def _mapped_blocks(self, inode: bytes) -> Iterator[tuple[int, int, int]]:
        """The same of a file that lists its blocks the old way: 12 of them, then by one to three levels of tables."""
        numbers, per_block = struct.unpack_from("<15I", inode, 40), self.block_size // 4
        yield from ((logical, n, 1) for logical, n in enumerate(numbers[:12]) if n)
        start = 12
        for depth, number in enumerate(numbers[12:], 1):
            yield from self._table_blocks(number, depth, start)
            start += per_block**depth

    def _table_blocks(self, block: int, depth: int, start: int) -> Iterator[tuple[int, int, int]]:
        if not block:
            return
        data = self._reader.read(block * self.block_size, self.block_size)
        span = (self.block_size // 4) ** (depth - 1)
        for index, number in enumerate(struct.unpack(f"<{len(data) // 4}I", data)):
            if number and depth > 1:
                yield from self._table_blocks(number, depth - 1, start + index * span)
            elif number:
                yield start + index, number, 1

    def _entries(self, number: int) -> Mapping[str, tuple[int, int]]:
        inode = self._inode(number)
        entries: dict[str, tuple[int, int]] = {}
        for first, count in self._runs(inode):
            data = self._reader.read(first * self.block_size, count * self.block_size)
            for start in range(0, len(data), self.block_size):
                _read_entries(data[start : start + self.block_size], entries)
        if struct.unpack_from("<I", inode, 32)[0] & _INLINE:
            # The first four bytes are the number of the folder above; what does not fit is a list of its own.
            _read_entries(inode[44:100], entries)
            _read_entries(inline_data(inode)[60:], entries)
        entries.pop(".", None)
        entries.pop("..", None)
        return entries

    def _all_inodes(self) -> Iterator[tuple[int, bytes]]:
        for index, group in enumerate(self._groups):
            if group.flags & _INODE_UNINIT:
                continue
            used = self._inodes_per_group - group.unused_inodes
            table = self._reader.read(group.inode_table * self.block_size, used * self._inode_size)
            for number in range(used):
                inode = table[number * self._inode_size : (number + 1) * self._inode_size]
                if len(inode) >= 128 and struct.unpack_from("<H", inode, 26)[0]:  # has links: not deleted
                    yield index * self._inodes_per_group + number + 1, inode

    def _inode(self, number: int) -> bytes:
        index, slot = divmod(number - 1, self._inodes_per_group)
        offset = self._groups[index].inode_table * self.block_size + slot * self._inode_size
        return self._reader.read(offset, self._inode_size)

    def _runs(self, inode: bytes) -> Iterator[tuple[int, int]]:
        """``(first block, count)`` of an inode's data, and of the blocks that list them."""
        mode, flags = struct.unpack_from("<H", inode, 0)[0] & 0xF000, struct.unpack_from("<I", inode, 32)[0]
        if mode not in (_DIRECTORY, _REGULAR, _LINK) or flags & _INLINE:
            return
        if flags & _EXTENTS:
            yield from self._extent_runs(inode[40:100])
        elif mode != _LINK or struct.unpack_from("<I", inode, 28)[0]:
            yield from self._mapped_runs(inode)

    def _extent_runs(self, node: bytes) -> Iterator[tuple[int, int]]:
        magic, count, _, depth = struct.unpack_from("<HHHH", node, 0)
        if magic != 0xF30A:
            return
        for number in range(count):
            entry = node[12 + 12 * number : 24 + 12 * number]
            if depth:
                low, high = struct.unpack_from("<IH", entry, 4)
                yield low + (high << 32), 1
                yield from self._extent_runs(self._reader.read((low + (high << 32)) * self.block_size, self.block_size))
            else:
                length, high, low = struct.unpack_from("<HHI", entry, 4)
                yield low + (high << 32), length if length <= 32768 else length - 32768

    def _mapped_runs(self, inode: bytes) -> Iterator[tuple[int, int]]:
        numbers = struct.unpack_from("<15I", inode, 40)
        yield from ((n, 1) for n in numbers[:12] if n)
        for depth, number in enumerate(numbers[12:], 1):
            yield from self._indirect_runs(number, depth)

    def _indirect_runs(self, block: int, depth: int) -> Iterator[tuple[int, int]]:
        if not block:
            return
        yield block, 1
        data = self._reader.read(block * self.block_size, self.block_size)
        for number in struct.unpack(f"<{len(data) // 4}I", data):
            if number and depth > 1:
                yield from self._indirect_runs(number, depth - 1)
            elif number:
                yield number, 1


def _read_entries(data: bytes, entries: dict[str, tuple[int, int]]) -> None:
    at = 0
    while at + 8 <= len(data):
        number, length, name_length, kind = struct.unpack_from("<IHBB", data, at)
        if length < 8:
            return
        if number and name_length:
            entries[data[at + 8 : at + 8 + name_length].decode("utf-8", "surrogateescape")] = (number, kind)
        at += length
