"""LVM on a machine's disks, for the proof: what is free on each logical volume, and where on which a byte lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from factory.disk.lvm import Joined, Stretch, groups, is_physical_volume
from factory.disk.partitions import Partition, Window, partitions
from factory.disk.reader import DiskReader
from factory.seal.free_space import LVM, Contents, FreeSpace, contents_of, dirty_bytes

_UNIT = 4096


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """``title`` for people: "logical volume vg/root"; what no volume uses is one, too."""

    title: str
    volume: Joined
    contents: Contents
    stretches: tuple[Stretch, ...]
    is_free: bool = False


class LogicalVolumes:
    """The logical volumes of *disks* (by name). Blocking."""

    def __init__(self, disks: Mapping[str, DiskReader]) -> None:
        self._physical: list[tuple[str, Partition]] = []
        readers: list[Window] = []
        for disk, reader in disks.items():
            for partition in partitions(reader):
                window = Window(reader, partition)
                if is_physical_volume(window):
                    self._physical.append((disk, partition))
                    readers.append(window)
        self._volumes: list[LogicalVolume] = []
        self._striped: list[str] = []
        known = groups(readers)
        for group in known:
            for name, stretches in group.volumes.items():
                volume = Joined(readers, stretches)
                title = f"logical volume {group.name}/{name}"
                self._volumes.append(LogicalVolume(title, volume, contents_of(volume), stretches))
            if group.free:
                volume = Joined(readers, group.free)
                everything = Contents(LVM, _UNIT, ((0, volume.size),))
                title = f"free extents of {group.name}"
                self._volumes.append(LogicalVolume(title, volume, everything, group.free, is_free=True))
            self._striped += [f"logical volume {group.name}/{name}" for name in group.others]
        self._is_dark = bool(readers) and not known

    @property
    def volumes(self) -> Sequence[LogicalVolume]:
        return self._volumes

    @property
    def unread(self) -> list[str]:
        """What can't be told of: volumes whose free space only the secret scan sees."""
        found = [f"{v.title} ({v.contents.type})" for v in self._volumes if v.contents.is_unread]
        found += [f"{title} (striped, mirrored or thin)" for title in self._striped]
        return [*found, "LVM whose metadata can't be read here"] if self._is_dark else found

    def free_space(self) -> Iterator[FreeSpace]:
        for volume in self._volumes:
            if volume.contents.free is not None and volume.stretches:
                disk = self._physical[volume.stretches[0].volume][0]
                free, dirty = dirty_bytes(volume.volume, volume.contents)
                yield FreeSpace(disk, 0, volume.contents.type, free, dirty, volume.title)

    def at(self, disk: str, offset: int) -> tuple[LogicalVolume, int] | None:
        """The volume that holds the byte *offset* of *disk*, and where in it; None for LVM's own metadata."""
        for volume in self._volumes:
            start = 0
            for stretch in volume.stretches:
                name, partition = self._physical[stretch.volume]
                inside = offset - partition.offset - stretch.offset
                if name == disk and 0 <= inside < stretch.length:
                    return volume, start + inside
                start += stretch.length
        return None
