"""Which drivers a sealed guest has, read from its disks on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from factory.disk.driver_readiness import Drivers, drivers
from factory.errors import FactoryError
from factory.plan.resources import SealedDisk
from factory.seal.ext_files import open_ext
from factory.seal.guest_access import opened
from factory.seal.host_layout import read_layout
from factory.seal.model import LINUX


@dataclass(frozen=True, slots=True)
class GuestDrivers:
    """A resource: ``missing`` says in words what the outputs' platforms need and the guest lacks."""

    drivers: Drivers
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**self.drivers.to_json(), "missing": list(self.missing)}


def guest_drivers(disks: Sequence[SealedDisk]) -> Drivers:
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
