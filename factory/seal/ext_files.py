"""``GuestFiles`` for the proof: files read from sealed disks by our own ext reader, without libguestfs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from factory.disk.ext import Ext
from factory.disk.partitions import Window, partitions
from factory.disk.reader import DiskReader
from factory.errors import StepError
from factory.seal.files import FileStatus, PathIndex
from factory.seal.layout import Layout
from factory.seal.mounts import Mount

_EXT_MAGIC = b"\x53\xef"
_SMALL = frozenset({"vfat", "msdos", "fat"})
"""File systems that hold a boot loader at most: what the appliance saw there is good enough."""


def can_witness(layout: Layout) -> bool:
    """Whether all of a guest's files can be read here: ext on plain partitions, and an EFI system partition."""
    return bool(layout.mounts) and all(
        (m.type.startswith("ext") and _place(m) is not None) or m.type in _SMALL for m in layout.mounts
    )


def unread_ext(readers: Sequence[DiskReader]) -> dict[str, str]:
    """The ext file systems that our reader refuses, as the appliance names their devices → why."""
    found = {}
    for disk, reader in enumerate(readers):
        for partition in partitions(reader):
            window = Window(reader, partition)
            if window.read(1080, 2) != _EXT_MAGIC:
                continue
            try:
                Ext(window)
            except ValueError as error:
                found[f"/dev/sd{chr(ord('a') + disk)}{partition.number or ''}"] = str(error)
    return found


def left_to_the_appliance(layout: Layout) -> list[Mount]:
    """The mounts whose names somebody else must list."""
    return [m for m in layout.mounts if m.type in _SMALL]


def _place(mount: Mount) -> tuple[int, int] | None:
    """``(disk, partition)``, the disk from 0; partition 0 is the whole disk."""
    match = re.fullmatch(r"/dev/sd([a-z])([0-9]*)", mount.device)
    return (ord(match[1]) - ord("a"), int(match[2] or 0)) if match and not mount.options else None


@dataclass(frozen=True, slots=True)
class _Volume:
    ext: Ext
    inodes: Mapping[str, int]


class ExtFiles:
    """Read-only. Blocking inside: the whole tree is walked at first (some 50 000 names a second)."""

    def __init__(self, layout: Layout, readers: Sequence[DiskReader], more: Iterable[str] = ()) -> None:
        self._volumes: dict[str, _Volume] = {}
        for mount in layout.mounts:
            place = _place(mount)
            if mount.type.startswith("ext") and place is not None:
                ext = _open(readers[place[0]], place[1])
                prefix = mount.point.rstrip("/")
                self._volumes[mount.point] = _Volume(ext, {f"{prefix}{path}": n for path, n in ext.walk()})
        self._inodes = {path: (v.ext, n) for v in self._volumes.values() for path, n in v.inodes.items()}
        self._index = PathIndex([*self._inodes, *more])

    @property
    def paths(self) -> Iterable[str]:
        """All names, of all mounts."""
        return self._index

    async def find(self, globs: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        return self._index.find(globs, keep)

    async def exists(self, path: str) -> bool:
        return path in self._index

    async def status(self, paths: Sequence[str]) -> Mapping[str, FileStatus]:
        found = {}
        for path in (p for p in paths if p in self._inodes):
            ext, number = self._inodes[path]
            found[path] = FileStatus(*ext.status(number), f"{ext.uuid}:{number}")
        return found

    async def read(self, path: str) -> bytes:
        try:
            ext, number = self._inodes[posixpath.normpath(path)]
            return ext.content(number)
        except (KeyError, ValueError) as error:
            raise StepError(f"{path} can't be read on the sealed disk: {error}") from error

    async def target(self, path: str) -> str | None:
        if path not in self._inodes:
            return None
        ext, number = self._inodes[path]
        target = ext.target(number)
        return target.decode("utf-8", "surrogateescape") if target is not None else None

    async def write(self, path: str, content: bytes, *, mode: int | None = None) -> NoReturn:
        raise _read_only()

    async def remove(self, paths: Sequence[str]) -> NoReturn:
        raise _read_only()

    async def empty(self, paths: Sequence[str]) -> NoReturn:
        raise _read_only()

    async def link(self, target: str, path: str) -> NoReturn:
        raise _read_only()

    async def make_folder(self, path: str) -> NoReturn:
        raise _read_only()


def open_ext(layout: Layout, readers: Sequence[DiskReader], point: str) -> Ext | None:
    """The ext file system that is mounted at *point*, if one is. Raises: StepError when it is not clean."""
    mount = next((m for m in layout.mounts if m.point == point and m.type.startswith("ext")), None)
    place = _place(mount) if mount is not None else None
    return _open(readers[place[0]], place[1]) if place is not None else None


def _read_only() -> StepError:
    return StepError("the sealed disk is open for reading only")


def _open(reader: DiskReader, number: int) -> Ext:
    """Raises: StepError when there is no clean ext file system."""
    partition = next((p for p in partitions(reader) if p.number == number), None)
    try:
        ext = Ext(Window(reader, partition)) if partition is not None else None
    except ValueError as error:
        raise StepError(f"partition {number} can't be read for the proof: {error}") from error
    if ext is None or ext.needs_recovery:
        raise StepError(f"partition {number} was not unmounted cleanly", hint="build again; if it stays so, report it")
    return ext
