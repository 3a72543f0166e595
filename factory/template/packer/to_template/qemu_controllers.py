"""Controllers that ``qemuargs`` name: which factory has itself, and what others are called beside its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from factory.drivers.machine_spec import Bus
from factory.template.packer.to_template.qemu_options import properties

_SCSI = re.compile(r"virtio-scsi|lsi5|megasas|mptsas|pvscsi|am53c974|dc390")
_AHCI = re.compile(r"(?:ich9-)?ahci\Z")
_BUS_OF_DEVICE = (
    (re.compile(r"virtio-blk"), Bus.VIRTIO),
    (re.compile(r"nvme"), Bus.NVME),
    (re.compile(r"scsi-hd|scsi-block"), Bus.SCSI),
    (re.compile(r"ide-hd|ide-drive"), Bus.SATA),
    (re.compile(r"usb-storage"), Bus.USB),
)
_OURS = re.compile(
    r"(?:scsi|lsi|pvscsi|ahci|usb|fdc|video|tpm|tablet)0|main|disk\d+|installer|seed(?:-floppy)?|(?:cd|floppy|net)\d+"
)
"""Ids of devices that factory attaches itself."""


@dataclass(frozen=True, slots=True)
class Controllers:
    """*needless* are values of ``-device`` whose controller factory has itself; *names* are new ids by those given."""

    needless: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)

    def named(self, device: str) -> str:
        """The value *device* of ``-device`` with the new ids in it."""
        for old, new in self.names.items():
            device = re.sub(rf"(,id=|,bus=){re.escape(old)}(?=[.,]|\Z)", rf"\g<1>{new}", device)
        return device


def bus_of_device(model: str) -> Bus | None:
    """The bus of a disk that is the device *model*; None for no disk."""
    return next((bus for pattern, bus in _BUS_OF_DEVICE if pattern.match(model)), None)


def controllers_of(devices: Sequence[str], disks: Iterable[str], media: Iterable[str], bus: Bus) -> Controllers:
    """*disks* and *media* are the drives that factory attaches itself, the disks to *bus* where no device says another.

    A controller stays when something of the template's is on it. It takes another name where factory's own has it;
    only ``scsi0`` is one and the same, for its devices find a free place by themselves.
    """
    own_disks = frozenset(disks)
    drives = own_disks | frozenset(media)
    said = [bus_of_device(_model(d)) for d in map(properties, devices) if d.get("drive") in own_disks]
    scsi = next((one for one in reversed(said) if one), bus) is Bus.SCSI
    needless: set[str] = set()
    for value in devices:
        known = properties(value)
        model = _model(known)
        if not (_SCSI.match(model) or _AHCI.match(model)):
            continue
        on_it = list(_devices_on(known, devices))
        others = [one for one in on_it if one.get("drive") not in drives]
        shared = scsi and model.startswith("virtio-scsi") and _may_be_ours(known, others)
        if shared or (not others and (on_it or model.startswith("virtio-scsi"))):
            needless.add(value)
    kept = [properties(d) for d in devices if d not in needless]
    ids = [d["id"] for d in kept if "id" in d and d.get("drive") not in drives]
    taken = {properties(d).get("id", "") for d in devices}
    names = {name: _free(name, taken) for name in ids if _OURS.fullmatch(name)}
    return Controllers(frozenset(needless), names)


def _model(known: Mapping[str, str]) -> str:
    return known.get("", "") or known.get("driver", "")


def _devices_on(controller: Mapping[str, str], devices: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """Those that name it; without a name of its own, those that name no bus of a name."""
    kind = "ide-" if _AHCI.match(_model(controller)) else "scsi-"
    for known in map(properties, devices):
        bus = known.get("bus", "").partition(".")[0]
        if "id" in controller:
            if bus == controller["id"]:
                yield known
        elif _model(known).startswith(kind) and bus in ("", kind.rstrip("-")):
            yield known


def _may_be_ours(controller: Mapping[str, str], others: Iterable[Mapping[str, str]]) -> bool:
    if "id" in controller:
        return controller["id"] == "scsi0"
    return not any("bus" in one for one in others)


def _free(name: str, taken: set[str]) -> str:
    wanted = f"template-{name}"
    while wanted in taken:
        wanted += "-"
    return wanted
