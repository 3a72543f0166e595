"""Looks at sealed disks with readers that are neither libguestfs nor QEMU: is free space zero, where do secrets lie?"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from factory.disk.gaps import Loaders, bytes_left_to_loaders, gaps
from factory.disk.partitions import Partition, Window, partitions
from factory.disk.reader import DiskReader
from factory.seal.free_space import LVM, SWAP, Contents, FreeSpace, VolumeFiles, contents_of, dirty_bytes
from factory.seal.logical_volumes import LogicalVolume, LogicalVolumes
from factory.seal.packaged import Shipped
from factory.seal.secret_scan import Hit

FREE, METADATA, OUTSIDE = "free space", "file system metadata", "outside of all partitions"
GAPS = "gaps"
_SECTOR = 512


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

    def __init__(
        self,
        reader: DiskReader,
        disk: str,
        lvm: LogicalVolumes | None = None,
        shipped: Shipped | None = None,
        loaders: Loaders = Loaders.ANY,
    ) -> None:
        self._reader, self._disk, self._lvm = reader, disk, lvm
        self._volumes = [_volume(reader, p) for p in partitions(reader)]
        try:
            self._gaps, left = tuple(gaps(reader, loaders)), bytes_left_to_loaders(reader, loaders)
        except ValueError:  # a table that can't be read: seal has said so when it was to wipe them
            self._gaps, left = (), 0
        self._left_to_loaders = f"{left} bytes before the first partition of disk {disk}" if left else ""
        self._shipped = shipped or Shipped(lambda: file_systems([v.contents for v in self._volumes], lvm))

    @property
    def left_to_loaders(self) -> str:
        """What lies outside of partitions and was not wiped, as it may be a board's loader; nothing where all was."""
        return self._left_to_loaders

    @property
    def unchecked(self) -> list[str]:
        """Volumes whose free space only the secret scan has seen, because their format is not read here."""
        return [
            f"partition {v.partition.number} of disk {self._disk} ({v.contents.type})"
            for v in self._volumes
            if v.contents.is_unread
        ]

    def free_space(self) -> list[FreeSpace]:
        found = [
            FreeSpace(self._disk, v.partition.number, v.contents.type, *dirty_bytes(v.window, v.contents))
            for v in self._volumes
            if v.contents.free is not None
        ]
        between = Contents(GAPS, _SECTOR, self._gaps)
        if between.free:
            place = f"disk {self._disk} {OUTSIDE}"
            found.append(FreeSpace(self._disk, 0, GAPS, *dirty_bytes(self._reader, between), place))
        return found

    def places(self, hits: Sequence[Hit]) -> list[Place]:
        """For each hit where it is."""
        found = [Place()] * len(hits)
        for index, hit in enumerate(hits):
            if not any(_holds(v.partition, hit.offset) for v in self._volumes):
                found[index] = Place(OUTSIDE)
        for volume in self._volumes:
            inside = [i for i, hit in enumerate(hits) if _holds(volume.partition, hit.offset)]
            if volume.contents.type == LVM:
                self._place_below_lvm(hits, inside, found)
                continue
            offsets = [hits[i].offset - volume.partition.offset for i in inside]
            for i, place in zip(inside, self._places(volume.contents, offsets), strict=True):
                found[i] = place
        return found

    def _place_below_lvm(self, hits: Sequence[Hit], inside: Sequence[int], found: list[Place]) -> None:
        by_volume: dict[str, tuple[LogicalVolume, list[tuple[int, int]]]] = {}
        for i in inside:
            at = self._lvm.at(self._disk, hits[i].offset) if self._lvm is not None else None
            if at is not None:
                by_volume.setdefault(at[0].title, (at[0], []))[1].append((i, at[1]))
        for volume, members in by_volume.values():
            offsets = [offset for _, offset in members]
            places = [Place(FREE)] * len(offsets) if volume.is_free else self._places(volume.contents, offsets)
            for (i, _), place in zip(members, places, strict=True):
                found[i] = place

    def _places(self, contents: Contents, offsets: Sequence[int]) -> list[Place]:
        """Where bytes lie on one volume."""
        if not offsets or contents.type == SWAP:
            return [Place(SWAP)] * len(offsets)
        if contents.files is None:
            return [Place()] * len(offsets)
        try:
            return self._in_files(contents.files, offsets)
        except ValueError:  # a file system that makes no sense to this reader
            return [Place()] * len(offsets)

    def _in_files(self, files: VolumeFiles, offsets: Sequence[int]) -> list[Place]:
        owners = files.owners_at(set(offsets))
        paths = files.paths(set(owners.values()))
        shipped = self._shipped.among(files, paths)
        free = list(files.free_extents())
        places = []
        for offset in offsets:
            if offset in owners:
                places.append(Place(paths.get(owners[offset], METADATA), shipped.get(owners[offset], "")))
            else:
                at = bisect.bisect_right(free, (offset, sys.maxsize)) - 1
                places.append(Place(FREE if at >= 0 and sum(free[at]) > offset else METADATA))
        return places


def file_systems(contents: Sequence[Contents], lvm: LogicalVolumes | None) -> list[VolumeFiles]:
    """All of *contents*, and of logical volumes, that hold files which are read here."""
    below = [v.contents for v in lvm.volumes] if lvm is not None else []
    return [c.files for c in (*contents, *below) if c.files is not None]


def _holds(partition: Partition, offset: int) -> bool:
    return partition.offset <= offset < partition.offset + partition.length


def _volume(reader: DiskReader, partition: Partition) -> _Volume:
    window = Window(reader, partition)
    return _Volume(partition, window, contents_of(window))
