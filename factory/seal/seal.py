"""Seals disks: one appliance launch cleans and trims; then readers of our own prove it on the raw bytes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from factory.deadline import Deadline
from factory.disk.driver_readiness import Drivers, Readiness, judge
from factory.disk.gaps import Loaders
from factory.disk.reader import granularity
from factory.drivers.protocols import Appliance, ApplianceDisk, ApplianceDriver, DiskAccess, DiskImages
from factory.errors import StepError
from factory.events import Emit, Note
from factory.seal import proof, sanitise, trim
from factory.seal.ext_files import can_witness
from factory.seal.findings import FINDINGS, check_allow
from factory.seal.guest_access import (
    DiskLike,
    names_left_to_the_appliance,
    open_guest,
    read_on_host,
    refused_on_host,
)
from factory.seal.kernel_drivers import kernel_drivers
from factory.seal.layout import Layout
from factory.seal.loaders import loaders_of
from factory.seal.model import LINUX, Family, Operation, SealOptions, Subject
from factory.seal.operations import check_names, select, select_devices
from factory.seal.operations.accounts import check_users, homes_of
from factory.seal.operations.windows import SYSPREP_NOTE
from factory.seal.report import SealReport
from factory.seal.sanitise import Broken, Done
from factory.seal.shrink import Cut, install_growth, shrink
from factory.seal.trim import Trimmed
from factory.seal.unseen import judge_unseen
from factory.seal.wipe_gaps import wipe_gaps

T = TypeVar("T")


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


class _Sealed:
    """What the appliance's part has given."""

    def __init__(self, layout: Layout, options: SealOptions, refused: Mapping[str, str]) -> None:
        """*refused*: ext file systems that our own reader does not read."""
        self.layout = layout
        self.options = options
        """As given, and with what the guest itself tells."""
        self.operations: Sequence[Operation] = ()
        self.done: list[Done] = []
        self.broken: list[Broken] = []
        self.trimmed: list[Trimmed] = []
        self.names: list[str] | None = None
        """What the appliance lists for our own reader; None when the appliance has done the proof."""
        self.cut: Cut | None = None
        self.why_not_shrunk = ""
        self.loaders = Loaders.ANY
        self.drivers: Drivers | None = None
        """What the appliance has seen of the guest's drivers, where the host can't look."""
        self.notes: list[str] = list(layout.notes)
        unread = [f"{m.device} ({refused[m.device]})" for m in layout.mounts if m.device in refused]
        self.is_witnessed = can_witness(layout) and not unread
        """Whether a reader of our own can prove what the appliance has done."""
        if unread:
            self.notes.append(f"libguestfs alone has proven what the operations promise: {', '.join(unread)}")


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
    check_users(options.remove_users)
    check_allow(options.allow, FINDINGS)
    if options.shrink and images is None and any(d.format != "raw" for d in disks):
        raise StepError("only raw disks can be shrunk without qemu-img", hint="hand it in, or leave `shrink` out")
    clock = _Clock()
    deadline = Deadline.after(options.deadline, "the disks to be sealed")
    sealed = await clock.time("appliance", _in_appliance(disks, options, driver, runtime_dir, deadline, clock, emit))
    if sealed.cut is not None:
        await _cut(disks[sealed.cut.disk], sealed.cut, images)
    if sealed.names is not None:
        work = proof.prove_on_host(disks, sealed.layout, sealed.names, sealed.operations, sealed.options)
        sealed.broken = await clock.time("prove", work)
    ready = await clock.time("drivers", _readiness(disks, sealed, options))
    word = await clock.time("scan", proof.look_again(disks, options, sealed.loaders, emit))
    report = _report(sealed, word, ready, clock, options)
    _tell(report, ready, emit)
    return report


async def _readiness(disks: Sequence[DiskLike], sealed: _Sealed, options: SealOptions) -> Readiness:
    """Whether the guest has the drivers that *options* say it needs."""
    if not options.needs or sealed.layout.guest.family not in LINUX:
        return Readiness()
    return judge(sealed.drivers or await proof.host_drivers(disks, sealed.layout), options.needs)


def _report(
    sealed: _Sealed, word: proof.SecondWord, ready: Readiness, clock: _Clock, options: SealOptions
) -> SealReport:
    windows = [SYSPREP_NOTE] if sealed.layout.guest.family is Family.WINDOWS else []
    return SealReport(
        guest=sealed.layout.guest,
        operations=tuple(sealed.done),
        broken=tuple(sealed.broken),
        trimmed=tuple(sealed.trimmed),
        free_space=word.free_space,
        unseen=judge_unseen(sealed.layout.unseen, options.allow),
        findings=word.findings,
        more_findings=word.more,
        shrunk=(str(sealed.cut),) if sealed.cut is not None else (),
        missing_drivers=tuple(map(str, ready.missing)),
        drivers=sealed.drivers.to_json() if sealed.drivers else None,
        notes=(*sealed.notes, *filter(None, [ready.unknown]), *word.notes, *windows),
        searched=options.scan,
        seconds=clock.seconds,
    )


def _tell(report: SealReport, ready: Readiness, emit: Emit) -> None:
    for note in report.notes:
        emit(Note(note))
    for unseen in report.unseen:
        emit(Note(str(unseen), "warning"))
    if ready.missing:
        emit(Note(f"{'; '.join(report.missing_drivers)}. To mend it, {ready.mend}", "warning"))


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
    view = await asyncio.to_thread(read_on_host, disks)
    refused = await asyncio.to_thread(refused_on_host, disks)
    coarsest = max(granularity(d.path, d.format) for d in disks)
    images = [ApplianceDisk(d.path, d.format) for d in disks]
    async with driver.launch(
        images, access=DiskAccess.READ_WRITE, runtime_dir=runtime_dir, deadline=deadline, emit=emit
    ) as appliance:
        clock.seconds["launch"] = round(time.monotonic() - started, 3)
        layout, files = await clock.time("inspect", open_guest(appliance, view))
        emit(Note(f"sealing {layout.guest}"))
        sealed = _Sealed(layout, options, refused)
        if layout.mounts:
            await _clean(appliance, Subject(files, layout.guest, options), sealed, clock, emit)
        if options.shrink and not sealed.why_not_shrunk:
            await appliance.call("umount_all")
            sealed.cut, sealed.why_not_shrunk = await clock.time("shrink", shrink(appliance, layout))
        if sealed.why_not_shrunk:
            sealed.notes.append(f"not shrunk: {sealed.why_not_shrunk}")
        if options.trim:
            sealed.trimmed += await clock.time("trim", trim.trim(appliance, layout, coarsest, emit))
            for number in range(len(disks)):
                cut_to = int(sealed.cut.after) if sealed.cut is not None and sealed.cut.disk == number else None
                sealed.trimmed += await clock.time("trim", wipe_gaps(appliance, number, sealed.loaders, cut_to))
        if sealed.is_witnessed:
            sealed.names = await clock.time("prove", names_left_to_the_appliance(appliance, layout))
        else:
            work = proof.prove_in_appliance(appliance, layout, sealed.operations, sealed.options)
            sealed.broken = await clock.time("prove", work)
    return sealed


async def _clean(appliance: Appliance, subject: Subject, sealed: _Sealed, clock: _Clock, emit: Emit) -> None:
    """The part that needs the guest mounted."""
    sealed.loaders = await loaders_of(subject)
    homes = await homes_of(subject.files, subject.options.remove_users)
    sealed.options = replace(subject.options, homes=homes)
    subject = replace(subject, options=sealed.options)
    if subject.guest.family in LINUX and not sealed.is_witnessed:
        sealed.drivers = await clock.time("drivers", kernel_drivers(subject.files))
    sealed.operations = select(subject.guest, subject.options)
    sealed.done = await clock.time("sanitise", sanitise.sanitise(subject, sealed.operations, emit))
    for operation in select_devices(subject.options):
        started = time.monotonic()
        changed = await operation.run(appliance, sealed.layout, subject.files)
        sealed.done.append(Done(operation.name, operation.what, changed, round(time.monotonic() - started, 3)))
    if subject.options.shrink:
        sealed.why_not_shrunk = await install_growth(subject, sealed.layout)
    if subject.options.trim:
        sealed.trimmed = await clock.time("trim", trim.renew_swap_files(appliance, sealed.layout))


async def _cut(disk: DiskLike, cut: Cut, images: DiskImages | None) -> None:
    if disk.format == "raw":
        await asyncio.to_thread(os.truncate, disk.path, int(cut.after))
    elif images is not None:
        await images.resize(disk.path, cut.after, format=disk.format)
