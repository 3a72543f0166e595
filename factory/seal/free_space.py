"""What is free on a volume, and whether it is all zeros: asked of the bytes, by readers that are not libguestfs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from factory.disk.btrfs import Btrfs
from factory.disk.ext import Ext
from factory.disk.fat import Fat
from factory.disk.lvm import is_physical_volume
from factory.disk.reader import DiskReader
from factory.disk.xfs_files import XfsFiles

SWAP, LVM = "swap", "LVM"
_PIECE = 256 * 1024
_PAGE = 4096
_SWAP_MAGIC = b"SWAPSPACE2"
_UNREAD = ((0, b"XFSB", "xfs"), (0x10040, b"_BHRfS_M", "btrfs"), (3, b"NTFS", "ntfs"), (0, b"LUKS", "LUKS"))


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Free bytes of a file system (or of swap), and how many of them lie in blocks that are not all zeros.

    ``volume`` names what is no partition: "logical volume vg/root", "free extents of vg".
    """

    disk: str
    partition: int
    type: str
    free: int
    dirty: int
    volume: str = ""

    @property
    def place(self) -> str:
        return self.volume or f"partition {self.partition} of disk {self.disk}"


class VolumeFiles(Protocol):
    """A file system that is read here. What names a file is its own matter: an inode, or one in a subvolume."""

    def owners_at(self, offsets: set[int]) -> Mapping[int, Any]:
        """Of *offsets* (bytes), those that belong to a file → the file."""

    def paths(self, inodes: set[Any]) -> Mapping[Any, str]: ...

    def lookup(self, path: str) -> Any | None: ...

    def folder(self, path: str) -> Mapping[str, Any]: ...

    def content(self, number: Any) -> bytes:
        """Raises: ValueError when it can't be read."""

    def free_extents(self) -> Iterator[tuple[int, int]]: ...


@dataclass(frozen=True, slots=True)
class Contents:
    """What a volume holds. ``free`` is None where this program can't tell it; ``unit`` is what is freed at once."""

    type: str = ""
    unit: int = _PAGE
    free: tuple[tuple[int, int], ...] | None = None
    files: VolumeFiles | None = None
    is_harmless: Callable[[int], bool] | None = None
    """Tells of a byte that is free and not zero whether it is known to be no content of a file."""

    @property
    def is_unread(self) -> bool:
        return self.free is None and self.type not in {"", LVM}


def contents_of(volume: DiskReader) -> Contents:
    """Reads what a volume's file system says of itself."""
    for look in (_ext, _swap, _fat, _xfs, _btrfs):  # mkswap leaves the boot sector of a FAT that was there before
        try:
            return look(volume)
        except ValueError:
            continue
    if is_physical_volume(volume):
        return Contents(LVM)
    head = volume.read(0, 0x10048)
    return Contents(next((t for at, m, t in _UNREAD if head[at : at + len(m)] == m), ""))


def _ext(volume: DiskReader) -> Contents:
    ext = Ext(volume)
    return Contents("ext", ext.block_size, tuple(ext.free_extents()), ext)


def _swap(volume: DiskReader) -> Contents:
    if volume.read(_PAGE - 10, 10) != _SWAP_MAGIC:
        raise ValueError("no swap")
    return Contents(SWAP, _PAGE, ((_PAGE, volume.size - _PAGE),))  # the first page says that it is swap


def _fat(volume: DiskReader) -> Contents:
    fat = Fat(volume)
    return Contents("vfat", fat.cluster, tuple(fat.free_extents()))


def _xfs(volume: DiskReader) -> Contents:
    xfs = XfsFiles(volume)
    return Contents("xfs", xfs.block_size, tuple(xfs.free_extents()), xfs)


def _btrfs(volume: DiskReader) -> Contents:
    btrfs = Btrfs(volume)
    return Contents("btrfs", btrfs.block_size, tuple(btrfs.free_extents()), btrfs, btrfs.is_old_node)


def dirty_bytes(volume: DiskReader, contents: Contents) -> tuple[int, int]:
    """``(free, not zero)``: bytes that are free, and of these what lies in units that are not all zeros."""
    free = contents.free or ()
    units = (u for offset, length in _overlap(volume, free) for u in _dirty(volume, offset, length, contents.unit))
    dirty = sum(size for at, size in units if contents.is_harmless is None or not contents.is_harmless(at))
    return sum(length for _, length in free), dirty


def _overlap(volume: DiskReader, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What of *ranges* may hold data; both are in ascending order."""
    at = 0
    for offset, length in volume.extents():
        end = offset + length
        while at < len(ranges) and sum(ranges[at]) <= offset:
            at += 1
        i = at
        while i < len(ranges) and ranges[i][0] < end:
            first, last = max(offset, ranges[i][0]), min(end, sum(ranges[i]))
            yield first, last - first
            i += 1


def _dirty(volume: DiskReader, offset: int, length: int, unit: int) -> Iterator[tuple[int, int]]:
    """``(offset, length)`` of units that are not all zeros."""
    for at in range(offset, offset + length, _PIECE):
        data = volume.read(at, min(_PIECE, offset + length - at))
        if data.count(0) == len(data):
            continue
        for start in range(0, len(data), unit):
            piece = data[start : start + unit]
            if piece.count(0) != len(piece):
                yield at + start, len(piece)
