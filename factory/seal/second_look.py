"""Looks at sealed disks with readers that are neither libguestfs nor QEMU: is free space zero, where do secrets lie?"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.disk.ext import Ext
from factory.disk.partitions import Partition, Window, partitions
from factory.disk.reader import DiskReader
from factory.seal.packaged import packaged
from factory.seal.secret_scan import Hit

_PIECE = 256 * 1024
_PAGE = 4096
_SWAP_MAGIC = b"SWAPSPACE2"
FREE, SWAP, METADATA, OUTSIDE = "free space", "swap", "file system metadata", "outside of all partitions"
_SIGNATURES = (
    (0, b"XFSB", "xfs"),
    (0x10040, b"_BHRfS_M", "btrfs"),
    (3, b"NTFS", "ntfs"),
    (54, b"FAT", "vfat"),
    (82, b"FAT", "vfat"),
    (536, b"LVM2", "LVM"),
    (0, b"LUKS", "LUKS"),
)


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Free bytes of a file system (or of swap), and how many of them lie in blocks that are not all zeros."""

    disk: str
    partition: int
    type: str
    free: int
    dirty: int


@dataclass(frozen=True, slots=True)
class Place:
    """``where``: the path of a file, one of the words above, or "" when it can't be told.

    ``shipped_by`` names the package whose file it is, unchanged.
    """

    where: str = ""
    shipped_by: str = ""


@dataclass(frozen=True, slots=True)
class _Volume:
    partition: Partition
    window: Window
    type: str
    ext: Ext | None = None


class SecondLook:
    """What lies where on one disk. CPU-bound and blocking: for a thread."""

    def __init__(self, reader: DiskReader, disk: str) -> None:
        self._reader, self._disk = reader, disk
        self._volumes = [_volume(reader, p) for p in partitions(reader)]

    @property
    def unchecked(self) -> list[str]:
        """Volumes whose free space only the secret scan has seen, because their format is not read here."""
        return [
            f"partition {v.partition.number} of disk {self._disk} ({v.type})"
            for v in self._volumes
            if v.ext is None and v.type not in {SWAP, ""}
        ]

    def free_space(self) -> list[FreeSpace]:
        return [self._of(v) for v in self._volumes if v.ext is not None or v.type == SWAP]

    def _of(self, volume: _Volume) -> FreeSpace:
        if volume.ext is not None:
            free, block = list(volume.ext.free_extents()), volume.ext.block_size
        else:
            free, block = [(_PAGE, volume.window.size - _PAGE)], _PAGE  # the first page says that it is swap
        dirty = sum(_dirty(volume.window, offset, length, block) for offset, length in _overlap(volume.window, free))
        total = sum(length for _, length in free)
        return FreeSpace(self._disk, volume.partition.number, volume.type, total, dirty)

    def places(self, hits: Sequence[Hit]) -> list[Place]:
        """For each hit where it is."""
        found = [Place()] * len(hits)
        for index, hit in enumerate(hits):
            if not any(_holds(v.partition, hit.offset) for v in self._volumes):
                found[index] = Place(OUTSIDE)
        for volume in self._volumes:
            inside = [i for i, hit in enumerate(hits) if _holds(volume.partition, hit.offset)]
            if inside and volume.type == SWAP:
                for i in inside:
                    found[i] = Place(SWAP)
            elif inside and volume.ext is not None:
                offsets = [hits[i].offset - volume.partition.offset for i in inside]
                places = _ext_places(volume.ext, offsets)
                shipped = packaged(volume.ext, (p for p in places if p.startswith("/")))
                for i, place in zip(inside, places, strict=True):
                    found[i] = Place(place, shipped.get(place, ""))
        return found


def _holds(partition: Partition, offset: int) -> bool:
    return partition.offset <= offset < partition.offset + partition.length


def _volume(reader: DiskReader, partition: Partition) -> _Volume:
    window = Window(reader, partition)
    try:
        ext = Ext(window)
    except ValueError:
        ext = None
    if ext is not None:
        return _Volume(partition, window, "ext", ext)
    if window.read(_PAGE - 10, 10) == _SWAP_MAGIC:
        return _Volume(partition, window, SWAP)
    head = window.read(0, 0x10048)
    return _Volume(partition, window, next((t for at, m, t in _SIGNATURES if head[at : at + len(m)] == m), ""))


def _ext_places(ext: Ext, offsets: Sequence[int]) -> list[str]:
    blocks = {offset // ext.block_size for offset in offsets}
    owners = ext.owners(blocks)
    paths = ext.paths(set(owners.values()))
    free = list(ext.free_extents())
    places = []
    for offset in offsets:
        inode = owners.get(offset // ext.block_size)
        if inode is not None:
            places.append(paths.get(inode, METADATA))
        else:
            at = bisect.bisect_right(free, (offset, ext.block_size * 2**40)) - 1
            places.append(FREE if at >= 0 and sum(free[at]) > offset else METADATA)
    return places


def _overlap(window: Window, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What of *ranges* may hold data; both are in ascending order."""
    at = 0
    for offset, length in window.extents():
        end = offset + length
        while at < len(ranges) and sum(ranges[at]) <= offset:
            at += 1
        i = at
        while i < len(ranges) and ranges[i][0] < end:
            first, last = max(offset, ranges[i][0]), min(end, sum(ranges[i]))
            yield first, last - first
            i += 1


def _dirty(window: Window, offset: int, length: int, block: int) -> int:
    """Bytes of blocks that are not all zeros."""
    dirty = 0
    for at in range(offset, offset + length, _PIECE):
        data = window.read(at, min(_PIECE, offset + length - at))
        if data.count(0) != len(data):
            dirty += sum(
                min(block, len(data) - start)
                for start in range(0, len(data), block)
                if data[start : start + block].count(0) != len(data[start : start + block])
            )
    return dirty
