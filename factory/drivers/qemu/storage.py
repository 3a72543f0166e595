"""Disks, CDs and floppies as QEMU arguments: a block graph (``-blockdev``) and a device on a bus for each.

Which controller stands for VMware's ``lsilogic``: VMware emulates an LSI53C1030, driven by Linux' ``mptspi``, which
QEMU does not have. QEMU's ``lsi53c895a`` needs the old ``sym53c8xx`` driver, which many distributions have dropped;
``mptsas1068`` is of the same Fusion-MPT family as VMware's (``mptbase``/``mptscsih`` with ``mptsas``), is VMware's own
``lsisas1068``, and SeaBIOS, Linux and Windows boot from it (OVMF does not). So ``lsilogic`` is ``mptsas1068`` here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from factory.drivers.machine_spec import Bus, CdromSpec, Discard, DiskSpec, FloppySpec, MachineSpec
from factory.drivers.qemu.argument import Argument, Slots, named, option

Pairs: TypeAlias = dict[str, str | int | None]

_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,23}")  # QEMU's rule; its names of block nodes end at 31 characters
_CONTROLLER = {Bus.SCSI: "scsi", Bus.LSILOGIC: "lsi", Bus.PVSCSI: "pvscsi"}
_CONTROLLER_MODEL = {"scsi": "virtio-scsi-pci", "lsi": "mptsas1068", "pvscsi": "pvscsi", "ahci": "ich9-ahci"}
_TARGETS = {"scsi": 256, "lsi": 8, "pvscsi": 16}
_LOCALLY_ASSIGNED = 0x3000_0000_0000_0100
"""World-wide names begin here: the form that anybody may give (NAA 3, SPC-4 §7.8.6.5)."""
_BY_DRIVE = frozenset({"drive", "blockdev"})
_BY_CDROM = _BY_DRIVE | {"cdrom"}
_BY_FLOPPY = _BY_DRIVE | {"fda"}
_BY_SCSI = _BY_DRIVE | {"device"}  # Packer too attaches these with -device, and the others with -drive if=…


def node_name(identifier: str) -> str:
    """The block node that a disk's device shows to the guest (overlays go on top of it)."""
    return f"{identifier}-format"


def file_node_name(identifier: str) -> str:
    return f"{identifier}-file"


class Storage:
    """Hands out places on buses while the arguments are written, in the order of the spec."""

    def __init__(self, spec: MachineSpec, slots: Slots) -> None:
        self._spec, self._slots = spec, slots
        self._pci = 0
        self._targets = dict.fromkeys(_TARGETS, 0)
        self._controllers: list[str] = []
        self._ahci = 0
        # pc: two PATA channels of two; a disk starts at the first, a CD at the second, as on a real computer.
        self._pata = [("ide.0", 0), ("ide.0", 1), ("ide.1", 0), ("ide.1", 1)]

    def arguments(self) -> Iterator[Argument]:
        """Controllers first, then disks, CDs, floppies. Raises: ValueError when a bus is full."""
        spec = self._spec
        for name in [*(d.id for d in spec.disks), *(c.id for c in spec.cdroms), *(f.id for f in spec.floppies)]:
            if not _ID.fullmatch(name):
                raise ValueError(f"{name!r} is no id: a letter, then up to 23 letters, digits, '-', '_' or '.'")
        devices: list[Argument] = []
        for disk in self._spec.disks:
            devices += self._disk(disk)
        for cdrom in self._spec.cdroms:
            devices += self._cdrom(cdrom)
        devices += self._floppies(self._spec.floppies)
        for name in self._controllers:
            place = self._slots.controller(name)
            # Whoever replaces the drives may still name our controller (Packer's is called scsi0 too).
            model = _CONTROLLER_MODEL[name]
            yield Argument("device", option(model, {"id": f"{name}0", **place}), frozenset({"device"}))
        yield from devices

    @property
    def needs_usb(self) -> bool:
        buses = [disk.bus for disk in self._spec.disks] + [cdrom.bus for cdrom in self._spec.cdroms]
        return Bus.USB in buses

    def _disk(self, disk: DiskSpec) -> Iterator[Argument]:
        yield Argument("blockdev", _disk_node(disk), _BY_DRIVE)
        common: Pairs = {
            "id": disk.id,
            "drive": node_name(disk.id),
            "bootindex": disk.boot_index,
            "serial": disk.serial or None,
        }
        if disk.logical_block_size != 512:
            common |= {
                "logical_block_size": disk.logical_block_size,
                "physical_block_size": disk.logical_block_size,
            }
        yield self._disk_device(disk, common | named(disk.device))

    def _disk_device(self, disk: DiskSpec, common: Pairs) -> Argument:
        if disk.bus is Bus.VIRTIO:
            return Argument("device", option("virtio-blk-pci", {**common, **self._next_pci()}), _BY_DRIVE)
        if disk.bus is Bus.NVME:
            common["serial"] = disk.serial or disk.id  # NVMe demands one
            return Argument("device", option("nvme", {**common, **self._next_pci()}), _BY_DRIVE)
        if disk.bus is Bus.USB:
            return Argument("device", option("usb-storage", {**common, "bus": "usb0.0"}), _BY_DRIVE)
        if disk.bus in _CONTROLLER:
            return Argument("device", option("scsi-hd", {**common, **self._next_target(disk.bus)}), _BY_SCSI)
        return Argument("device", option("ide-hd", {**common, **self._next_ide(disk.bus, cd=False)}), _BY_DRIVE)

    def _cdrom(self, cdrom: CdromSpec) -> Iterator[Argument]:
        common: Pairs = {"id": cdrom.id, "bootindex": cdrom.boot_index}
        if cdrom.path is not None:
            yield Argument("blockdev", _medium_node(cdrom.id, cdrom.path), _BY_CDROM)
            common["drive"] = node_name(cdrom.id)
        if cdrom.bus is Bus.VIRTIO:
            if cdrom.path is None:
                raise ValueError(f"CD {cdrom.id!r}: a virtio drive can't be empty; use sata or scsi")
            # virtio has no CD drive: the medium is a read-only disk, as with `-drive if=virtio,media=cdrom`.
            yield Argument("device", option("virtio-blk-pci", {**common, **self._next_pci()}), _BY_CDROM)
        elif cdrom.bus is Bus.NVME:
            raise ValueError(f"CD {cdrom.id!r}: there are no NVMe CD drives; use ide, sata, scsi, usb or virtio")
        elif cdrom.bus is Bus.USB:
            bot = f"{cdrom.id}-bot"
            yield Argument("device", option("usb-bot", {"id": bot, "bus": "usb0.0"}), _BY_CDROM)
            yield Argument("device", option("scsi-cd", {**common, "bus": f"{bot}.0"}), _BY_CDROM)
        elif cdrom.bus in _CONTROLLER:
            yield Argument(
                "device", option("scsi-cd", {**common, **self._next_target(cdrom.bus)}), _BY_SCSI | _BY_CDROM
            )
        else:
            yield Argument("device", option("ide-cd", {**common, **self._next_ide(cdrom.bus, cd=True)}), _BY_CDROM)

    def _floppies(self, floppies: tuple[FloppySpec, ...]) -> Iterator[Argument]:
        if len(floppies) > 2:
            raise ValueError(f"a machine takes 2 floppies, not {len(floppies)}")
        bus = "floppy-bus.0"
        if floppies and self._slots.q35:  # q35 has no floppy controller of its own
            yield Argument("device", option("isa-fdc", {"id": "fdc0"}), _BY_FLOPPY)
            bus = "fdc0.0"
        for unit, floppy in enumerate(floppies):
            yield Argument("blockdev", _medium_node(floppy.id, floppy.path), _BY_FLOPPY)
            place: Pairs = {"id": floppy.id, "drive": node_name(floppy.id), "bus": bus, "unit": unit}
            yield Argument("device", option("floppy", place), _BY_FLOPPY)

    def _next_pci(self) -> Pairs:
        place = self._slots.storage(self._pci)
        self._pci += 1
        return {**place}

    def _next_target(self, bus: Bus) -> Pairs:
        name = _CONTROLLER[bus]
        self._need(name)
        target = self._targets[name]
        if target >= _TARGETS[name]:
            raise ValueError(f"the {bus} bus takes {_TARGETS[name]} devices")
        self._targets[name] += 1
        # QEMU gives SAS drives the address 0, which Linux takes for "nothing there" (6.1.176 at the latest).
        address = {"wwn": f"0x{_LOCALLY_ASSIGNED + target:x}"} if name == "lsi" else {}
        return {"bus": f"{name}0.0", "scsi-id": target, "lun": 0, **address}

    def _next_ide(self, bus: Bus, *, cd: bool) -> Pairs:
        if bus is Bus.IDE and not self._slots.q35:
            if not self._pata:
                raise ValueError("an IDE machine takes 4 disks and CDs; attach the others with sata")
            place = min(self._pata, key=lambda place: ((place[0] == "ide.0") == cd, place))
            self._pata.remove(place)
            return {"bus": place[0], "unit": place[1]}
        port, self._ahci = self._ahci, self._ahci + 1
        if self._slots.q35 and port < 6:
            return {"bus": f"ide.{port}"}  # the AHCI controller that is part of q35
        port -= 6 if self._slots.q35 else 0
        if port >= 6:
            raise ValueError("too many SATA disks and CDs: 12 on q35, 6 on pc")
        self._need("ahci")
        return {"bus": f"ahci0.{port}"}

    def _need(self, controller: str) -> None:
        if controller not in self._controllers:
            self._controllers.append(controller)


def _disk_node(disk: DiskSpec) -> str:
    pairs: Pairs = {"driver": disk.format, "node-name": node_name(disk.id)}
    if disk.read_only:
        pairs["read-only"] = "on"
    else:
        pairs["discard"] = disk.discard.value
        pairs["detect-zeroes"] = "unmap" if disk.discard is Discard.UNMAP else "off"
    if not disk.flush:
        pairs["cache.no-flush"] = "on"
    prefix = "file"
    if disk.length and disk.format == "raw":
        pairs |= {"offset": disk.offset, "size": disk.length}
    elif disk.length:
        pairs |= {"file.driver": "raw", "file.offset": disk.offset, "file.size": disk.length}
        prefix = "file.file"
    pairs |= {f"{prefix}.driver": "file", f"{prefix}.filename": str(disk.path)}
    if prefix == "file":
        pairs["file.node-name"] = file_node_name(disk.id)
    return option("", pairs)


def _medium_node(identifier: str, path: Path) -> str:
    """A CD or a floppy: raw and read-only."""
    pairs: Pairs = {"driver": "raw", "node-name": node_name(identifier), "read-only": "on"}
    return option("", {**pairs, "file.driver": "file", "file.filename": str(path)})
