"""Which machines are started from an artifact, and how many at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from factory.disk.driver_readiness import Drivers
from factory.errors import VerificationFailed
from factory.outputs.hardware_for_verify import Firmware, choices
from factory.outputs.model import Exported
from factory.quantity import Size
from factory.verify.model import Boot, Request

_OVERHEAD = Size(192 * 2**20)
"""What QEMU takes besides the guest's memory: video memory, translated code, the block layer."""


def plan_boots(files: Sequence[Exported], request: Request, drivers: Drivers, firmware: Firmware) -> tuple[Boot, ...]:
    """One boot for each format that is asked for, and for the first of them the clones.

    Raises: VerificationFailed when a format is asked for that is not there.
    """
    bootable = [f for f in files if not f.sidecar and f.parts and f.target is not None]
    wanted = _chosen(bootable, request.formats)
    boots = []
    for number, file in enumerate(wanted):
        assert file.target is not None
        machines = choices(file.target, drivers, firmware)
        # Who can't be logged in to can't be asked for its identity: a second one would tell nothing.
        count = request.clones if number == 0 and request.asks else 1
        boots += [Boot(file, clone, machines) for clone in range(1, count + 1)]
    return tuple(boots)


def _chosen(bootable: Sequence[Exported], formats: str | tuple[str, ...]) -> list[Exported]:
    """One file for each machine: of an output with several disks the first, whose parts name them all."""
    heads = heads_of(bootable)
    if formats == "all":
        return heads
    if formats == "first":
        return heads[:1]
    names = (formats,) if isinstance(formats, str) else formats
    there = {f.format for f in heads}
    missing = [name for name in names if name not in there]
    if missing:
        raise VerificationFailed(
            f"there is no {', '.join(missing)} to boot",
            hint=f"the artifact has {', '.join(sorted(there)) or 'nothing'}",
        )
    return [f for f in heads if f.format in names]


def heads_of(files: Sequence[Exported]) -> list[Exported]:
    """Files with the machine's first disk, each with the parts of the further disks that lie in files of their own.

    ``x.qcow2`` and ``x-data.qcow2`` are one machine; an OVA holds all its disks itself.
    """
    first = next((f.parts[0].disk for f in files if f.parts), "")
    return [f for f in files if f.parts and f.parts[0].disk == first]


def companions(head: Exported, files: Sequence[Exported], name: str) -> tuple[Exported, ...]:
    """The files of one machine of the artifact *name*: *head*, and those of the same output with its further disks."""
    own = {p.disk for p in head.parts}
    suffix = head.path.name.removeprefix(f"{name}.")
    others = [
        f
        for f in files
        if f.format == head.format and f.parts and f.parts[0].disk not in own
        and f.path.name == f"{name}-{f.parts[0].disk}.{suffix}"
    ]  # fmt: skip
    return (head, *others)


def at_once(memory: Size, available: Size, cores: int) -> int:
    """How many machines of *memory* run side by side: as many as cores, and as fit four fifths of what is free."""
    return max(1, min(cores, int(available * 0.8) // int(memory + _OVERHEAD)))
