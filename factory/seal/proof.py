"""Proves that sealed disks are clean: every promise, free space, secrets; without libguestfs where it can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from factory.disk.driver_readiness import Drivers, drivers
from factory.disk.gaps import Loaders
from factory.disk.partitions import Window, partitions
from factory.disk.reader import DiskReader
from factory.drivers.protocols import Appliance
from factory.events import Emit, Progress
from factory.seal import sanitise, secret_scan
from factory.seal.ext_files import ExtFiles, open_ext
from factory.seal.free_space import FreeSpace, VolumeFiles, contents_of
from factory.seal.guest_access import DiskLike, index, name_of, opened
from factory.seal.layout import Layout
from factory.seal.logical_volumes import LogicalVolumes
from factory.seal.model import Operation, SealOptions, Subject
from factory.seal.packaged import Shipped
from factory.seal.report import Finding, MoreFindings, few_of_each, judge
from factory.seal.sanitise import Broken
from factory.seal.second_look import SecondLook, file_systems
from factory.seal.secret_scan import Needles


async def prove_in_appliance(
    appliance: Appliance, layout: Layout, operations: Sequence[Operation], options: SealOptions
) -> list[Broken]:
    """Opens the file systems again, read-only, and checks every promise on what is really on the disk."""
    if not layout.mounts:
        return []
    await appliance.batch([("umount_all",), ("sync",), *layout.mount_calls(read_only=True)])
    subject = Subject(await index(appliance, layout.guest), layout.guest, options)
    return await sanitise.prove(subject, operations)


async def prove_on_host(
    disks: Sequence[DiskLike],
    layout: Layout,
    names: Sequence[str],
    operations: Sequence[Operation],
    options: SealOptions,
) -> list[Broken]:
    """Checks every promise on the closed disks, with a reader that shares nothing with what wrote them.

    *names*: what the appliance has listed of file systems that this reader does not read.
    """
    with opened(disks) as readers:
        files = await asyncio.to_thread(ExtFiles, layout, readers, names)
        return await sanitise.prove(Subject(files, layout.guest, options), operations)


@dataclass(frozen=True, slots=True)
class SecondWord:
    """What was seen in the raw bytes."""

    free_space: tuple[FreeSpace, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    more: tuple[MoreFindings, ...] = ()


async def look_again(disks: Sequence[DiskLike], options: SealOptions, loaders: Loaders, emit: Emit) -> SecondWord:
    """Reads all bytes of the closed disks: is free space zero, are there secrets, and where."""
    needles = Needles.of(options.secrets, options.build_keys)
    notes = [f"the secret {name!r} is too short to be looked for on a disk" for name in needles.skipped]
    free_space: list[FreeSpace] = []
    findings: list[Finding] = []
    for number, disk in enumerate(disks):
        progress = _progress(f"scan {name_of(disk)}", emit)
        word = await asyncio.to_thread(_look_at, disks, number, needles, options, loaders, progress)
        free_space += word.free_space
        findings += word.findings
        notes += word.notes
    shown, more = few_of_each(findings)
    return SecondWord(tuple(free_space), shown, tuple(notes), more)


def _unchecked(volume: str) -> str:
    return f"free space of {volume} was looked at by the secret scan only"


def _look_at(
    disks: Sequence[DiskLike],
    number: int,
    needles: Needles,
    options: SealOptions,
    loaders: Loaders,
    progress: Callable[[int, int], None],
) -> SecondWord:
    """One disk; LVM, which may lie on several, is told of with the first."""
    name = name_of(disks[number])
    with opened(disks) as readers:
        lvm = LogicalVolumes({name_of(d): r for d, r in zip(disks, readers, strict=True)})
        look = SecondLook(readers[number], name, lvm, Shipped(lambda: _file_systems(readers, lvm)), loaders)
        free = look.free_space() if options.trim else []
        unread = look.unchecked
        if number == 0:
            free += lvm.free_space() if options.trim else []
            unread += lvm.unread
        hits = secret_scan.scan(readers[number], name, needles, progress) if options.scan else []
        findings = judge(hits, look.places(hits) if hits else [], options.allow)
        left = look.left_to_loaders if options.trim else ""
        notes = [f"{left} may be a board's loader: only searched, not wiped"] if left else []
        return SecondWord(tuple(free), tuple(findings), (*notes, *map(_unchecked, unread)))


def _file_systems(readers: Sequence[DiskReader], lvm: LogicalVolumes) -> list[VolumeFiles]:
    """Of all disks: a /var of its own may hold the package database of what lies elsewhere."""
    return file_systems([contents_of(Window(r, p)) for r in readers for p in partitions(r)], lvm)


def _progress(task: str, emit: Emit) -> Callable[[int, int], None]:
    """A callback for another thread: events are emitted in the thread of the event loop."""
    loop = asyncio.get_running_loop()

    def report(done: int, total: int) -> None:
        loop.call_soon_threadsafe(emit, Progress(task, done, total))

    return report


async def host_drivers(disks: Sequence[DiskLike], layout: Layout) -> Drivers:
    """Which drivers a Linux on ext file systems has, read on the host."""

    def look() -> Drivers:
        with opened(disks) as readers:
            root = open_ext(layout, readers, "/")
            if root is None:
                return Drivers(unknown="the guest has no root file system that could be read for its drivers")
            return drivers(root, open_ext(layout, readers, "/boot"))

    return await asyncio.to_thread(look)
