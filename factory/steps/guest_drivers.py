"""Which drivers a guest has, read from its disks, and what it lacks where it is going."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.disk.driver_readiness import Drivers, Need, drivers, judge
from factory.disk.partitions import Window, partitions
from factory.drivers.protocols import ApplianceDisk, ApplianceDriver, DiskAccess
from factory.errors import FactoryError
from factory.events import Emit, Note
from factory.outputs.driver_needs import driver_needs
from factory.quantity import Duration
from factory.seal.ext_files import open_ext
from factory.seal.guest_access import DiskLike, open_guest, opened
from factory.seal.host_layout import identify, read_layout
from factory.seal.kernel_drivers import kernel_drivers
from factory.seal.model import LINUX
from factory.template.output_options import OutputOptions

_DEADLINE = Duration(15 * 60)
_LEFT_TO_THE_APPLIANCE = frozenset({"xfs", "btrfs", "LVM2_member", "ext (unusual)"})
"""Where a root may be that is not looked into here."""


@dataclass(frozen=True, slots=True)
class GuestDrivers:
    """A resource: ``missing`` says in words what the outputs' platforms need and the guest lacks."""

    drivers: Drivers
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**self.drivers.to_json(), "missing": list(self.missing)}


def needs_of(outputs: Sequence[OutputOptions]) -> tuple[Need, ...]:
    return tuple(dict.fromkeys(need for o in outputs for need in driver_needs(o)))


def name_missing(found: Drivers, needs: Sequence[Need], emit: Emit) -> GuestDrivers:
    """Tells *emit* what of *needs* the guest lacks, and how to mend it."""
    ready = judge(found, needs)
    if found.unknown and needs:
        emit(Note(f"whether the guest has its platforms' drivers is not known: {found.unknown}"))
    for need in ready.missing:
        emit(Note(str(need), "warning"))
    if ready.missing:
        emit(Note(f"to mend it: {ready.mend}", "warning"))
    return GuestDrivers(found, tuple(map(str, ready.missing)))


def guest_drivers(disks: Sequence[DiskLike]) -> Drivers:
    """Blocking. What can't be read here is unknown, never an error: the boots will tell."""
    try:
        with opened(disks) as readers:
            layout = read_layout(readers)
            if layout is None:
                return Drivers(unknown="its disks can't be read on the host (LVM, btrfs, XFS, or no Linux)")
            if layout.guest.family not in LINUX:
                return Drivers(unknown="it is no Linux")
            root = open_ext(layout, readers, "/")
            if root is None:
                return Drivers(unknown="its root file system can't be read on the host")
            return drivers(root, open_ext(layout, readers, "/boot"))
    except (FactoryError, OSError, ValueError) as error:
        return Drivers(unknown=str(error))


async def look_for_drivers(
    disks: Sequence[DiskLike], *, driver: ApplianceDriver, runtime_dir: Path, emit: Emit
) -> Drivers:
    """As ``guest_drivers``, but libguestfs looks where a root may be that the host does not read."""
    found = await asyncio.to_thread(guest_drivers, disks)
    if not found.unknown or not await asyncio.to_thread(_may_hold_a_root, disks):
        return found
    images = [ApplianceDisk(d.path, d.format) for d in disks]
    deadline = Deadline.after(_DEADLINE, "the guest's drivers to be looked for")
    try:
        async with driver.launch(
            images, access=DiskAccess.READ_ONLY, runtime_dir=runtime_dir, deadline=deadline, emit=emit
        ) as appliance:
            layout, files = await open_guest(appliance, None)
            if layout.guest.family not in LINUX:
                return Drivers(unknown="it is no Linux")
            return await kernel_drivers(files)
    except FactoryError as error:
        return Drivers(unknown=f"{found.unknown}; {error.message}")


def _may_hold_a_root(disks: Sequence[DiskLike]) -> bool:
    try:
        with opened(disks) as readers:
            types = {identify(Window(r, p)).get("TYPE") for r in readers for p in partitions(r)}
    except (FactoryError, OSError, ValueError):
        return False
    return bool(types & _LEFT_TO_THE_APPLIANCE)
