"""Looks at sealed disks with readers that are neither libguestfs nor QEMU: is free space zero, where do secrets lie?"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from factory.disk.ext import Ext
from factory.disk.partitions import Partition, Window, partitions
from factory.disk.reader import DiskReader
from factory.seal.free_space import SWAP, Contents, FreeSpace, contents_of, dirty_bytes
from factory.seal.packaged import packaged
from factory.seal.secret_scan import Hit

FREE, METADATA, OUTSIDE = "free space", "file system metadata", "outside of all partitions"


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
    contents: Contents


class SecondLook:
    """What lies where on one disk. CPU-bound and blocking: for a thread."""

    def __init__(self, reader: DiskReader, disk: str) -> None:
        self._reader, self._disk = reader, disk
        self._volumes = [_volume(reader, p) for p in partitions(reader)]

    @property
    def unchecked(self) -> list[str]:
        """Volumes whose free space only the secret scan has seen, because their format is not read here."""
        return [
            f"partition {v.partition.number} of disk {self._disk} ({v.contents.type})"
            for v in self._volumes
            if v.contents.is_unread
        ]

    def free_space(self) -> list[FreeSpace]:
        return [
            FreeSpace(self._disk, v.partition.number, v.contents.type, *dirty_bytes(v.window, v.contents))
            for v in self._volumes
            if v.contents.free is not None
        ]

    def places(self, hits: Sequence[Hit]) -> list[Place]:
        """For each hit where it is."""
        found = [Place()] * len(hits)
        for index, hit in enumerate(hits):
            if not any(_holds(v.partition, hit.offset) for v in self._volumes):
                found[index] = Place(OUTSIDE)
        for volume in self._volumes:
            inside = [i for i, hit in enumerate(hits) if _holds(volume.partition, hit.offset)]
            if inside and volume.contents.type == SWAP:
                for i in inside:
                    found[i] = Place(SWAP)
            elif inside and volume.contents.ext is not None:
                offsets = [hits[i].offset - volume.partition.offset for i in inside]
                places = _ext_places(volume.contents.ext, offsets)
                shipped = packaged(volume.contents.ext, (p for p in places if p.startswith("/")))
                for i, place in zip(inside, places, strict=True):
                    found[i] = Place(place, shipped.get(place, ""))
        return found


def _holds(partition: Partition, offset: int) -> bool:
    return partition.offset <= offset < partition.offset + partition.length


def _volume(reader: DiskReader, partition: Partition) -> _Volume:
    window = Window(reader, partition)
    return _Volume(partition, window, contents_of(window))


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
