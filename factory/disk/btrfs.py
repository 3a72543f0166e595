"""Reads btrfs on one device: what is free, which file a block belongs to, and what files hold.

Source: the "On-disk Format" of btrfs' documentation, and Linux' ``include/uapi/linux/btrfs_tree.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from factory.disk.reader import DiskReader
from factory.disk.spans import inside

_SUPER, _MAGIC = 65536, b"_BHRfS_M"
_RESERVED = ((0, 2**20), (64 * 2**20, 65536), (256 * 2**30, 65536))
"""What no file ever lies in, and no trim gives back: the beginning, and the copies of the super block."""
_HEADER, _ITEM, _POINTER = 101, 25, 33
_EXTENT_TREE, _FILE_TREE, _FIRST_SUBVOLUME = 2, 5, 256
_LAST_SUBVOLUME = 2**64 - 256
_INODE, _INODE_REF, _NAME, _EXTENT_DATA = 1, 12, 84, 108
_ROOT, _EXTENT, _METADATA, _CHUNK = 132, 168, 169, 228
_PLAIN = 0x27
"""Kinds of chunks that are read: data, metadata and system, once or twice on the same device."""
_TOO_NEW = 1 << 12 | 1 << 13 | 1 << 14
"""Zoned devices, the second format of the extent tree, striped RAID."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    logical: int
    length: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    id: int
    type: int
    offset: int
    data: bytes
    place: int
    """The logical address of its data: what is small enough lies in the leaf itself."""


class Btrfs:
    """A btrfs on *reader* (the partition, not the disk).

    Raises: ValueError when there is none, when it lies on several devices, or was not unmounted.
    """

    def __init__(self, reader: DiskReader) -> None:
        self._reader = reader
        head = reader.read(_SUPER, 4096)
        if head[64:72] != _MAGIC:
            raise ValueError("no btrfs")
        root, chunk_root, log_root = struct.unpack_from("<QQQ", head, 80)
        (devices,), (incompatible,) = struct.unpack_from("<Q", head, 136), struct.unpack_from("<Q", head, 188)
        self.block_size, self._node_size = struct.unpack_from("<II", head, 144)
        if devices != 1 or log_root or incompatible & _TOO_NEW or not self.block_size or not self._node_size:
            raise ValueError("a btrfs that is not read here")
        self._identity = head[32:48]
        self._size = min(reader.size, struct.unpack_from("<Q", head, 112)[0])
        self._chunks = list(_system_chunks(head))
        self._chunks = [_chunk(i.offset, i.data) for i in self._items(chunk_root) if i.type == _CHUNK]
        self._roots = {i.id: struct.unpack_from("<Q", i.data, 176)[0] for i in self._items(root) if i.type == _ROOT}
        if _EXTENT_TREE not in self._roots:
            raise ValueError("a btrfs without an extent tree")

    # --- free blocks -------------------------------------------------------------------------------------------------

    def free_extents(self) -> Iterator[tuple[int, int]]:
        """``(offset, length)`` in bytes of everything that neither a file nor btrfs itself uses, in order."""
        used = [r for r in _RESERVED if r[0] < self._size]
        for item in self._items(self._roots[_EXTENT_TREE]):
            if item.type in (_EXTENT, _METADATA):
                length = item.offset if item.type == _EXTENT else self._node_size
                used += ((place, length) for place in self._places(item.id))
        at = 0
        for offset, length in sorted(used):
            if offset > at:
                yield at, offset - at
            at = max(at, offset + length)
        if at < self._size:
            yield at, self._size - at

    def is_old_node(self, offset: int) -> bool:
        """Whether the byte *offset* lies in a node that a tree of btrfs' own has left behind.

        Each commit writes such trees (of roots, extents, checksums, devices) anew, the last one after the last trim.
        They hold neither names nor contents of files; nodes of subvolumes do, and are none of these.
        """
        for start in range(offset - offset % self.block_size, offset - self._node_size, -self.block_size):
            head = self._reader.read(max(0, start), _HEADER)
            (address,), (owner,) = struct.unpack_from("<Q", head, 48), struct.unpack_from("<Q", head, 88)
            if head[32:48] == self._identity and start in self._places_if_any(address):
                return bool(owner != _FILE_TREE and owner < _FIRST_SUBVOLUME)
        return False

    # --- files -------------------------------------------------------------------------------------------------------

    def owners_at(self, offsets: set[int]) -> dict[int, tuple[int, int]]:
        """Of *offsets* (bytes), those that belong to a file → its subvolume and inode. Walks all subvolumes."""
        found: dict[int, tuple[int, int]] = {}
        wanted = sorted(offsets)
        for tree in self._subvolumes():
            for item in self._items(self._roots[tree]):
                if item.type != _EXTENT_DATA:
                    continue
                for first, length in self._lies_at(item):
                    for offset in inside(wanted, first, length):
                        found.setdefault(offset, (tree, item.id))
                if len(found) == len(offsets):
                    return found
        return found

    def paths(self, inodes: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
        """Paths of inodes, from the root of their subvolume."""
        found: dict[tuple[int, int], str] = {}
        for tree in {tree for tree, _ in inodes}:
            parents: dict[int, tuple[int, str]] = {}
            for item in self._items(self._roots[tree]):
                if item.type == _INODE_REF:
                    (length,) = struct.unpack_from("<H", item.data, 8)
                    parents.setdefault(item.id, (item.offset, _text(item.data[10 : 10 + length])))
            for inode in (i for t, i in inodes if t == tree):
                path = _path(inode, parents)
                if path:
                    found[tree, inode] = path
        return found

    def lookup(self, path: str) -> tuple[int, int] | None:
        """The file of an absolute path, in the first subvolume that has it; links are not followed."""
        for tree in self._subvolumes():
            number: int | None = _FIRST_SUBVOLUME  # the root folder of each is the inode 256
            for name in filter(None, path.split("/")):
                number = self._names(tree, number).get(name) if number is not None else None
            if number is not None and (path.strip("/") or tree == _FILE_TREE):
                return tree, number
        return None

    def folder(self, path: str) -> Mapping[str, tuple[int, int]]:
        """Names in a folder → files; nothing when it is not there."""
        found = self.lookup(path)
        return {} if found is None else {name: (found[0], n) for name, n in self._names(*found).items()}

    def content(self, file: tuple[int, int]) -> bytes:
        """A file's content. Raises: ValueError when it is no regular file, or compressed."""
        tree, number = file
        size, pieces = -1, []
        for item in self._items(self._roots[tree], (number, 0), (number, 255)):
            if item.type == _INODE and struct.unpack_from("<I", item.data, 52)[0] & 0xF000 == 0x8000:
                (size,) = struct.unpack_from("<Q", item.data, 16)
            elif item.type == _EXTENT_DATA:
                pieces.append(item)
        if size < 0:
            raise ValueError("no regular file")
        content = bytearray(size)
        for item in pieces:
            packed, kind = item.data[16], item.data[20]
            if packed:
                raise ValueError("a compressed file")
            if kind == 0:
                data = item.data[21:]
            elif kind == 1 and struct.unpack_from("<Q", item.data, 21)[0]:
                start, _, skip, length = struct.unpack_from("<QQQQ", item.data, 21)
                data = self._reader.read(self._places(start + skip)[0], min(length, max(0, size - item.offset)))
            else:
                continue
            content[item.offset : item.offset + len(data)] = data
        return bytes(content[:size])

    def _subvolumes(self) -> list[int]:
        return sorted(t for t in self._roots if t == _FILE_TREE or _FIRST_SUBVOLUME <= t <= _LAST_SUBVOLUME)

    def _lies_at(self, item: _Item) -> Iterator[tuple[int, int]]:
        if item.data[20] == 0:
            yield from ((place, len(item.data)) for place in self._places(item.place))
            return
        start, length = struct.unpack_from("<QQ", item.data, 21)
        if start:
            yield from ((place, length) for place in self._places(start))

    def _names(self, tree: int, folder: int) -> dict[str, int]:
        names: dict[str, int] = {}
        for item in self._items(self._roots[tree], (folder, _NAME), (folder, _NAME)):
            at = 0
            while at + 30 <= len(item.data):
                number, kind = struct.unpack_from("<QB", item.data, at)
                data, length = struct.unpack_from("<HH", item.data, at + 25)
                if kind == _INODE:  # and not another subvolume
                    names[_text(item.data[at + 30 : at + 30 + length])] = number
                at += 30 + length + data
        return names

    # --- trees -------------------------------------------------------------------------------------------------------

    def _places(self, logical: int) -> tuple[int, ...]:
        for chunk in self._chunks:
            if chunk.logical <= logical < chunk.logical + chunk.length:
                return tuple(place + logical - chunk.logical for place in chunk.places)
        raise ValueError(f"no chunk holds the address {logical}")

    def _places_if_any(self, logical: int) -> tuple[int, ...]:
        try:
            return self._places(logical)
        except ValueError:
            return ()

    def _items(
        self, node: int, first: tuple[int, int] = (0, 0), last: tuple[int, int] = (2**64, 0), above: int = 9
    ) -> Iterator[_Item]:
        """All items of a tree whose ``(id, type)`` lies between *first* and *last*, in order."""
        data = self._reader.read(self._places(node)[0], self._node_size)
        (address,), (count,), level = struct.unpack_from("<Q", data, 48), struct.unpack_from("<I", data, 96), data[100]
        if address != node or level >= above:
            raise ValueError(f"no node of a tree at {node}")
        if level:
            keys = [struct.unpack_from("<QBQQ", data, _HEADER + _POINTER * n) for n in range(count)]
            for number, (id_, type_, _, child) in enumerate(keys):
                following = keys[number + 1][:2] if number + 1 < count else (2**64, 0)
                if following >= first and (id_, type_) <= last:
                    yield from self._items(child, first, last, level)
            return
        for number in range(count):
            id_, type_, offset, at, size = struct.unpack_from("<QBQII", data, _HEADER + _ITEM * number)
            if first <= (id_, type_) <= last:
                yield _Item(id_, type_, offset, data[_HEADER + at : _HEADER + at + size], node + _HEADER + at)


def _system_chunks(head: bytes) -> Iterator[_Chunk]:
    """The chunks that hold the tree of chunks; the super block lists them."""
    (size,) = struct.unpack_from("<I", head, 160)
    at, end = 811, 811 + size
    while at + 17 + 48 <= end:
        (logical,) = struct.unpack_from("<Q", head, at + 9)
        (stripes,) = struct.unpack_from("<H", head, at + 17 + 44)
        yield _chunk(logical, head[at + 17 : end])
        at += 17 + 48 + 32 * stripes


def _chunk(logical: int, data: bytes) -> _Chunk:
    (length,), (kind,), (stripes,) = (
        struct.unpack_from(form, data, at) for form, at in (("<Q", 0), ("<Q", 24), ("<H", 44))
    )
    if kind & ~_PLAIN:
        raise ValueError("a btrfs that is striped or mirrored")
    return _Chunk(logical, length, tuple(struct.unpack_from("<Q", data, 48 + 32 * n + 8)[0] for n in range(stripes)))


def _path(inode: int, parents: Mapping[int, tuple[int, str]]) -> str:
    path, seen = "", set[int]()
    while inode != _FIRST_SUBVOLUME and inode in parents and inode not in seen:
        seen.add(inode)
        inode, name = parents[inode]
        path = f"/{name}{path}"
    return path if inode == _FIRST_SUBVOLUME else ""


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
