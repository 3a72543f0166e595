"""What a seal would do: found out without touching a byte."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers.protocols import ApplianceDisk, ApplianceDriver, DiskAccess
from factory.events import Emit
from factory.seal import sanitise
from factory.seal.ext_files import ExtFiles
from factory.seal.files import ImaginedFiles
from factory.seal.findings import FINDINGS, check_allow
from factory.seal.guest_access import DiskLike, open_guest, opened, read_on_host
from factory.seal.layout import Layout
from factory.seal.model import GuestInfo, SealOptions, Subject
from factory.seal.operations import check_names, select, select_devices
from factory.seal.operations.accounts import check_users
from factory.seal.shrink import install_growth


@dataclass(frozen=True, slots=True)
class Preview:
    """What a seal would do: operation → the paths that it would remove, empty, rewrite or make, or its devices.

    ``shrink`` says what would be cut, or why nothing would be; empty when nobody has asked.
    """

    guest: GuestInfo
    operations: Mapping[str, Sequence[str]]
    shrink: str = ""
    notes: Sequence[str] = ()


async def preview_seal(
    disks: Sequence[DiskLike], options: SealOptions, *, driver: ApplianceDriver, runtime_dir: Path, emit: Emit
) -> Preview:
    """What ``seal`` would do to *disks*, without touching them; needs the appliance only where ``seal`` reads by it.

    Raises: as ``seal``.
    """
    check_names((*options.only, *options.except_))
    check_users(options.remove_users)
    check_allow(options.allow, FINDINGS)
    view = await asyncio.to_thread(read_on_host, disks)
    if view is not None:
        with opened(disks) as readers:
            files = await asyncio.to_thread(ExtFiles, view.layout, readers)
            return await _previewed(Subject(files, view.layout.guest, options), view.layout)
    images = [ApplianceDisk(d.path, d.format) for d in disks]
    deadline = Deadline.after(options.deadline, "the disks to be looked at")
    async with driver.launch(
        images, access=DiskAccess.READ_ONLY, runtime_dir=runtime_dir, deadline=deadline, emit=emit
    ) as appliance:
        layout, listed = await open_guest(appliance, None)
        return await _previewed(Subject(listed, layout.guest, options), layout)


async def _previewed(subject: Subject, layout: Layout) -> Preview:
    operations = select(subject.guest, subject.options) if layout.mounts else []
    found: dict[str, Sequence[str]] = {o.name: await sanitise.preview(subject, o) for o in operations}
    found |= {o.name: o.targets(layout) for o in select_devices(subject.options) if layout.mounts}
    notes = (*layout.notes, *map(str, layout.unseen))
    return Preview(subject.guest, found, await _shrinking(subject, layout), notes)


async def _shrinking(subject: Subject, layout: Layout) -> str:
    if not subject.options.shrink:
        return ""
    why_not = await install_growth(replace(subject, files=ImaginedFiles(subject.files)), layout)
    root = next((m.device for m in layout.mounts if m.point == "/"), "")
    return f"not shrunk: {why_not}" if why_not else f"shrunk: the root on {root}, its partition and the disk"
