"""Opens a guest: on the host where its file systems can be read there, in the appliance otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.disk.reader import DiskReader, open_disk
from factory.drivers.protocols import Appliance
from factory.seal.appliance_files import ApplianceFiles
from factory.seal.ext_files import ExtFiles, can_witness, left_to_the_appliance, unread_ext
from factory.seal.files import Case
from factory.seal.host_layout import read_layout
from factory.seal.layout import Layout, inspect
from factory.seal.model import Family, GuestInfo


class DiskLike(Protocol):
    """What a seal needs of a disk; ``ApplianceDisk`` and ``DiskSpec`` have it. An ``id`` names it in the report."""

    @property
    def path(self) -> Path: ...

    @property
    def format(self) -> str: ...


def name_of(disk: DiskLike) -> str:
    return getattr(disk, "id", "") or disk.path.stem


@contextlib.contextmanager
def opened(disks: Sequence[DiskLike]) -> Iterator[list[DiskReader]]:
    """Readers of all disks. Raises: StepError for a format that is not read here."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open_disk(d.path, d.format)) for d in disks]


@dataclass(frozen=True, slots=True)
class HostView:
    """A guest that could be read on the host: what is where, and all names on its ext file systems."""

    layout: Layout
    paths: tuple[str, ...]


def read_on_host(disks: Sequence[DiskLike]) -> HostView | None:
    """None when the appliance must look: another file system, or a journal to be replayed. Blocking."""
    with opened(disks) as readers:
        layout = read_layout(readers)
        if layout is None or not can_witness(layout):
            return None
        return HostView(layout, tuple(ExtFiles(layout, readers).paths))


def refused_on_host(disks: Sequence[DiskLike]) -> dict[str, str]:
    """The ext file systems that can't be read on the host, by the appliance's names → why. Blocking."""
    with opened(disks) as readers:
        return unread_ext(readers)


async def open_guest(appliance: Appliance, view: HostView | None) -> tuple[Layout, ApplianceFiles]:
    """Mounts the guest for writing and lists its files; there are none where no system is."""
    if view is not None:
        await appliance.batch(view.layout.mount_calls(read_only=False))
        more = []
        for mount in left_to_the_appliance(view.layout):
            more += _below(mount.point, await appliance.paths(mount.point))
        return view.layout, ApplianceFiles.known(appliance, [*view.paths, *more])
    layout = await inspect(appliance)
    if not layout.mounts:
        return layout, ApplianceFiles.known(appliance, ())
    return layout, await index(appliance, layout.guest)


async def index(appliance: Appliance, guest: GuestInfo) -> ApplianceFiles:
    """Lists the mounted guest."""
    return await ApplianceFiles.index(appliance, Case.IGNORED if guest.family is Family.WINDOWS else Case.MATTERS)


async def names_left_to_the_appliance(appliance: Appliance, layout: Layout) -> list[str]:
    """Every path on the file systems that our own reader does not read. Nothing else is mounted on return."""
    found: list[str] = []
    for mount in left_to_the_appliance(layout):
        await appliance.batch([("umount_all",), ("mount_ro", mount.device, "/")])
        found += _below(mount.point, await appliance.paths("/"))
    return found


def _below(point: str, names: Sequence[bytes]) -> list[str]:
    return [f"{point.rstrip('/')}/{name.decode('utf-8', 'surrogateescape')}" for name in names]
