"""Seals disks: one appliance launch cleans, trims and checks; then a second reader looks at the raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from factory.deadline import Deadline
from factory.disk import reader as disk_reader
from factory.drivers.protocols import Appliance, ApplianceDisk, ApplianceDriver, DiskAccess, DiskImages
from factory.errors import StepError
from factory.events import Emit, Note, Progress
from factory.seal import sanitise, secret_scan, trim
from factory.seal.appliance_files import ApplianceFiles
from factory.seal.ext_files import ExtFiles, can_witness, left_to_the_appliance
from factory.seal.files import Case
from factory.seal.host_layout import read_layout
from factory.seal.layout import Layout, inspect
from factory.seal.model import Family, GuestInfo, Operation, SealOptions, Subject
from factory.seal.operations import check_names, select
from factory.seal.operations.windows import SYSPREP_NOTE
from factory.seal.report import Finding, SealReport, judge
from factory.seal.sanitise import Broken, Done
from factory.seal.second_look import FreeSpace, SecondLook
from factory.seal.secret_scan import Needles
from factory.seal.shrink import Cut, install_growth, shrink
from factory.seal.trim import Trimmed

T = TypeVar("T")


class DiskLike(Protocol):
    """What a seal needs of a disk; ``ApplianceDisk`` and ``DiskSpec`` have it. An ``id`` names it in the report."""

    @property
    def path(self) -> Path: ...

    @property
    def format(self) -> str: ...


class _Clock:
    """How long each part took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    async def time(self, name: str, work: Awaitable[T]) -> T:
        started = time.monotonic()
        try:
            return await work
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - started, 3)


async def seal(
    disks: Sequence[DiskLike],
    options: SealOptions,
    *,
    driver: ApplianceDriver,
    runtime_dir: Path,
    emit: Emit,
    images: DiskImages | None = None,
) -> SealReport:
    """Cleans *disks* in place (work copies of one machine's disks, raw or qcow2, no QEMU on them), and proves it.

    The first disk of the list is the guest's first. The report says what was done and found;
    ``SealReport.require_proven`` turns problems into an error. *images* is what cuts qcow2 disks after a shrink.

    Raises: HostError when libguestfs does not work here, StepError, DeadlineExpired, TemplateError for an unknown
    operation's name.
    """
    check_names((*options.only, *options.except_))
    if options.shrink and images is None and any(d.format != "raw" for d in disks):
        raise StepError("only raw disks can be shrunk without qemu-img", hint="hand it in, or leave `shrink` out")
    clock = _Clock()
    deadline = Deadline.after(options.deadline, "the disks to be sealed")
    sealed = await clock.time("appliance", _in_appliance(disks, options, driver, runtime_dir, deadline, clock, emit))
    if sealed.cut is not None:
        await _cut(disks[sealed.cut.disk], sealed.cut, images)
    if sealed.names is not None:
        sealed.broken = await clock.time("prove", _prove_without_appliance(disks, sealed, options))
    free_space, findings, notes = await clock.time("scan", _look_again(disks, options, emit))
    report = SealReport(
        guest=sealed.layout.guest,
        operations=tuple(sealed.done),
        broken=tuple(sealed.broken),
        trimmed=tuple(sealed.trimmed),
        free_space=tuple(free_space),
        findings=tuple(findings),
        shrunk=(str(sealed.cut),) if sealed.cut is not None else (),
        notes=(
            *sealed.layout.notes,
            *sealed.notes,
            *notes,
            *([SYSPREP_NOTE] if sealed.layout.guest.family is Family.WINDOWS else []),
        ),
        seconds=clock.seconds,
    )
    for note in report.notes:
        emit(Note(note))
    return report


class _Sealed:
    """What the appliance's part has given."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.done: list[Done] = []
        self.broken: list[Broken] = []
        self.trimmed: list[Trimmed] = []
        self.operations: Sequence[Operation] = ()
        self.names: list[str] | None = None
        """Names that the appliance lists for our own reader; None when the appliance has done the proof."""
        self.cut: Cut | None = None
        self.notes: list[str] = []


async def _in_appliance(
    disks: Sequence[DiskLike],
    options: SealOptions,
    driver: ApplianceDriver,
    runtime_dir: Path,
    deadline: Deadline,
    clock: _Clock,
    emit: Emit,
) -> _Sealed:
    started = time.monotonic()
    found = await asyncio.to_thread(_read_on_host, disks)
    coarsest = max(disk_reader.granularity(d.path, d.format) for d in disks)
    images = [ApplianceDisk(d.path, d.format) for d in disks]
    async with driver.launch(
        images, access=DiskAccess.READ_WRITE, runtime_dir=runtime_dir, deadline=deadline, emit=emit
    ) as appliance:
        clock.seconds["launch"] = round(time.monotonic() - started, 3)
        sealed, files = await clock.time("inspect", _open_guest(appliance, found))
        guest = sealed.layout.guest
        emit(Note(f"sealing {guest}"))
        operations = select(guest, options) if sealed.layout.mounts else []
        if sealed.layout.mounts:
            subject = Subject(files, guest, options)
            sealed.done = await clock.time("sanitise", sanitise.sanitise(subject, operations, emit))
            if options.shrink:
                sealed.notes += await install_growth(subject)
            if options.trim:
                sealed.trimmed = await clock.time("trim", trim.renew_swap_files(appliance, sealed.layout))
        if options.shrink:
            await appliance.call("umount_all")
            sealed.cut, why_not = await clock.time("shrink", shrink(appliance, sealed.layout))
            sealed.notes += [why_not] if why_not else []
        if options.trim:
            sealed.trimmed += await clock.time("trim", trim.trim(appliance, sealed.layout, coarsest, emit))
        sealed.operations = operations
        if can_witness(sealed.layout):
            sealed.names = await clock.time("prove", _small_names(appliance, sealed.layout))
        else:
            sealed.broken = await clock.time("prove", _prove(appliance, sealed.layout, operations, options))
    return sealed


async def _cut(disk: DiskLike, cut: Cut, images: DiskImages | None) -> None:
    if disk.format == "raw":
        await asyncio.to_thread(os.truncate, disk.path, int(cut.after))
    elif images is not None:
        await images.resize(disk.path, cut.after, format=disk.format)


@dataclass(frozen=True, slots=True)
class _Found:
    """A guest that could be read on the host: what is where, and all names on its ext file systems."""

    layout: Layout
    paths: tuple[str, ...]


def _read_on_host(disks: Sequence[DiskLike]) -> _Found | None:
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(disk_reader.open_disk(d.path, d.format)) for d in disks]
        layout = read_layout(readers)
        if layout is None or not can_witness(layout):
            return None
        return _Found(layout, tuple(ExtFiles(layout, readers).paths))


async def _open_guest(appliance: Appliance, found: _Found | None) -> tuple[_Sealed, ApplianceFiles]:
    """Mounts the guest for writing and lists its files; nothing is listed where no system is."""
    if found is not None:
        await appliance.batch(found.layout.mount_calls(read_only=False))
        more = []
        for mount in left_to_the_appliance(found.layout):
            names = await appliance.paths(mount.point)
            more += [f"{mount.point}/{name.decode('utf-8', 'surrogateescape')}" for name in names]
        return _Sealed(found.layout), ApplianceFiles.known(appliance, [*found.paths, *more])
    layout = await inspect(appliance)
    if not layout.mounts:
        return _Sealed(layout), ApplianceFiles.known(appliance, ())
    return _Sealed(layout), await _index(appliance, layout.guest)


async def _index(appliance: Appliance, guest: GuestInfo) -> ApplianceFiles:
    return await ApplianceFiles.index(appliance, Case.IGNORED if guest.family is Family.WINDOWS else Case.MATTERS)


async def _prove(
    appliance: Appliance, layout: Layout, operations: Sequence[Operation], options: SealOptions
) -> list[Broken]:
    """Opens the file systems again, read-only, and checks every promise on what is really on the disk."""
    if not layout.mounts:
        return []
    await appliance.batch([("umount_all",), ("sync",), *layout.mount_calls(read_only=True)])
    subject = Subject(await _index(appliance, layout.guest), layout.guest, options)
    return await sanitise.prove(subject, operations)


async def _small_names(appliance: Appliance, layout: Layout) -> list[str]:
    """Every path on the file systems that our own reader leaves to the appliance."""
    found: list[str] = []
    for mount in left_to_the_appliance(layout):
        await appliance.batch([("umount_all",), ("mount_ro", mount.device, "/")])
        names = await appliance.paths("/")
        found += [f"{mount.point.rstrip('/')}/{name.decode('utf-8', 'surrogateescape')}" for name in names]
    return found


async def _prove_without_appliance(disks: Sequence[DiskLike], sealed: _Sealed, options: SealOptions) -> list[Broken]:
    """Checks every promise on the closed disks, with a reader that shares nothing with what wrote them."""
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(disk_reader.open_disk(d.path, d.format)) for d in disks]
        files = await asyncio.to_thread(ExtFiles, sealed.layout, readers, sealed.names or ())
        return await sanitise.prove(Subject(files, sealed.layout.guest, options), sealed.operations)


async def _look_again(
    disks: Sequence[DiskLike], options: SealOptions, emit: Emit
) -> tuple[list[FreeSpace], list[Finding], list[str]]:
    """The proof by a reader that is not libguestfs."""
    notes: list[str] = []
    findings: list[Finding] = []
    free_space: list[FreeSpace] = []
    needles = Needles.of(options.secrets, options.build_keys)
    notes += [f"the secret {name!r} is too short to be looked for on a disk" for name in needles.skipped]
    for disk in disks:
        progress = _progress(f"scan {_name(disk)}", emit)
        free, found, more = await asyncio.to_thread(_look_at_disk, disk, needles, options, progress)
        free_space += free
        findings += found
        notes += more
    return free_space, findings, notes


def _look_at_disk(
    disk: DiskLike, needles: Needles, options: SealOptions, progress: Callable[[int, int], None]
) -> tuple[list[FreeSpace], list[Finding], list[str]]:
    with disk_reader.open_disk(disk.path, disk.format) as reader:
        look = SecondLook(reader, _name(disk))
        free = look.free_space() if options.trim else []
        hits = secret_scan.scan(reader, _name(disk), needles, progress) if options.scan else []
        findings = judge(hits, look.places(hits) if hits else [], options.allow)
        notes = [f"free space of {volume} was looked at by the secret scan only" for volume in look.unchecked]
        return free, findings, notes


def _name(disk: DiskLike) -> str:
    return getattr(disk, "id", "") or disk.path.stem


def _progress(task: str, emit: Emit) -> Callable[[int, int], None]:
    """A callback for another thread: events are emitted in the thread of the event loop."""
    loop = asyncio.get_running_loop()

    def report(done: int, total: int) -> None:
        loop.call_soon_threadsafe(emit, Progress(task, done, total))

    return report
