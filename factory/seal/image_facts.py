"""Tells what is in a disk image: system, partitions, packages, drivers, where the space goes. Changes nothing."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from factory.deadline import Deadline
from factory.disk.driver_readiness import Need, judge
from factory.disk.partitions import Window, partitions
from factory.disk.reader import DiskReader
from factory.drivers.protocols import ApplianceDisk, ApplianceDriver, DiskAccess
from factory.events import Emit
from factory.quantity import Duration, Size
from factory.seal.ext_files import ExtFiles
from factory.seal.files import GuestFiles
from factory.seal.guest_access import DiskLike, name_of, open_guest, opened, read_on_host
from factory.seal.host_layout import identify
from factory.seal.kernel_drivers import kernel_drivers
from factory.seal.layout import Layout
from factory.seal.model import LINUX, GuestInfo
from factory.seal.packages import Package, packages

_DEADLINE = Duration(15 * 60)
_LARGEST = 20


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """``type`` is the file system, "swap", or empty when it is none that is known."""

    disk: str
    number: int
    offset: Size
    size: Size
    type: str = ""
    label: str = ""
    mounted_at: str = ""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """``folders``: the largest, to a depth of two, with all that is below them; ``missing_drivers`` by platform."""

    guest: GuestInfo
    virtual_size: Size
    partitions: tuple[PartitionFacts, ...]
    packages: tuple[Package, ...] = ()
    folders: Mapping[str, Size] = field(default_factory=dict)
    kernel: str = ""
    missing_drivers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


async def image_facts(
    disks: Sequence[DiskLike],
    needs: Sequence[Need],
    *,
    driver: ApplianceDriver,
    runtime_dir: Path,
    emit: Emit,
) -> ImageFacts:
    """Looks at *disks* (raw or qcow2); *needs* are the drivers to look for. libguestfs runs only where it must.

    Raises: StepError for a format that is not read here, HostError when libguestfs is needed and does not work.
    """
    view = await asyncio.to_thread(read_on_host, disks)
    if view is not None:
        with opened(disks) as readers:
            files = await asyncio.to_thread(ExtFiles, view.layout, readers)
            return await _facts(disks, readers, view.layout, files, needs)
    images = [ApplianceDisk(d.path, d.format) for d in disks]
    deadline = Deadline.after(_DEADLINE, "the disks to be looked at")
    async with driver.launch(
        images, access=DiskAccess.READ_ONLY, runtime_dir=runtime_dir, deadline=deadline, emit=emit
    ) as appliance:
        layout, listed = await open_guest(appliance, None)
        with opened(disks) as readers:
            return await _facts(disks, readers, layout, listed, needs)


async def _facts(
    disks: Sequence[DiskLike],
    readers: Sequence[DiskReader],
    layout: Layout,
    files: GuestFiles,
    needs: Sequence[Need],
) -> ImageFacts:
    kernel, missing, notes = "", tuple[str, ...](), list(layout.notes)
    if layout.guest.family in LINUX:
        ready = judge(await kernel_drivers(files), needs)
        kernel, missing = ready.kernel, tuple(map(str, ready.missing))
        notes += [ready.unknown] if ready.unknown else []
    return ImageFacts(
        layout.guest,
        Size(sum(r.size for r in readers)),
        tuple(p for d, r in zip(disks, readers, strict=True) for p in _partitions(d, r, disks, layout)),
        tuple(await packages(files)),
        await _folders(files),
        kernel,
        missing,
        tuple(notes),
    )


def _partitions(disk: DiskLike, reader: DiskReader, disks: Sequence[DiskLike], layout: Layout) -> list[PartitionFacts]:
    letter = chr(ord("a") + list(disks).index(disk))
    places = {m.device: m.point for m in layout.mounts}
    found = []
    for partition in partitions(reader):
        known = identify(Window(reader, partition))
        device = f"/dev/sd{letter}{partition.number or ''}"
        found.append(
            PartitionFacts(
                name_of(disk),
                partition.number,
                Size(partition.offset),
                Size(partition.length),
                known.get("TYPE", ""),
                known.get("LABEL", ""),
                places.get(device, ""),
            )
        )
    return found


async def _folders(files: GuestFiles) -> dict[str, Size]:
    """The largest folders. A file with several names counts for the first of them."""
    sizes: dict[str, int] = {}
    seen: set[str] = set()
    for path, status in (await files.status(await files.find(["/**"]))).items():
        if stat.S_ISREG(status.mode) and (not status.identity or status.identity not in seen):
            seen.add(status.identity)
            names = path.split("/")
            for depth in range(1, min(3, len(names) - 1) + 1):
                folder = "/".join(names[:depth]) or "/"
                sizes[folder] = sizes.get(folder, 0) + status.size
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:_LARGEST]
    return {folder: Size(size) for folder, size in largest}
