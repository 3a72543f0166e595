"""How a machine must look to resemble the one that an exported file is meant for, and what stands in for it.

What QEMU can't be is stood in for by the nearest thing it can: Hyper-V's own SCSI by AHCI, its network by e1000. Where
the guest, or the UEFI firmware of this host, has no driver for that hardware, the image is booted on the next of a
fixed list that both have drivers for; the manifest says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from factory.disk.driver_readiness import Drivers, named
from factory.drivers.machine_spec import Bus
from factory.template.output_options import OutputOptions, Ova, Vagrant, Vmdk


@dataclass(frozen=True, slots=True)
class TargetMachine:
    """``type`` is "q35" or "pc" (IDE exists on pc only); ``nic`` a QEMU device. Firmware is the image's own.

    ``instead`` says why this is not the target's own hardware; empty where it is.
    """

    type: str
    bus: Bus
    nic: str
    stands_for: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.type}, {self.bus}, {self.nic}"


class Firmware(Enum):
    """What of a machine's firmware limits the hardware that it boots from."""

    BIOS = "BIOS"
    UEFI = "UEFI"
    SECURE_BOOT = "UEFI with secure boot"


_NOT_BY_UEFI = frozenset({Bus.LSILOGIC, Bus.PVSCSI})
"""Neither QEMU's mptsas1068 (which is no LSI 53C1030) nor its pvscsi is found by OVMF as Debian builds it: tried with
2022.11, where virtio, virtio-scsi, AHCI, IDE, NVMe and USB are. VMware's own firmware has drivers for both."""
KVM = "KVM"
"""The platform whose machines look like the one that was built: same buses, same UEFI variables."""
_KVM = TargetMachine("q35", Bus.VIRTIO, "virtio-net-pci", KVM)
_CONTROLLERS = {"lsilogic": Bus.LSILOGIC, "pvscsi": Bus.PVSCSI, "sata": Bus.SATA, "ide": Bus.IDE}

BUS_FALLBACKS: dict[Bus, tuple[Bus, ...]] = {
    Bus.LSILOGIC: (Bus.PVSCSI, Bus.SATA, Bus.IDE, Bus.VIRTIO, Bus.SCSI, Bus.NVME),
    Bus.PVSCSI: (Bus.LSILOGIC, Bus.SATA, Bus.IDE, Bus.VIRTIO, Bus.SCSI, Bus.NVME),
    Bus.SATA: (Bus.IDE, Bus.LSILOGIC, Bus.PVSCSI, Bus.VIRTIO, Bus.SCSI, Bus.NVME),
    Bus.IDE: (Bus.SATA, Bus.LSILOGIC, Bus.PVSCSI, Bus.VIRTIO, Bus.SCSI, Bus.NVME),
    Bus.VIRTIO: (Bus.SCSI, Bus.NVME, Bus.SATA, Bus.IDE),
    Bus.SCSI: (Bus.VIRTIO, Bus.NVME, Bus.SATA, Bus.IDE),
    Bus.NVME: (Bus.VIRTIO, Bus.SCSI, Bus.SATA, Bus.IDE),
    Bus.USB: (Bus.SATA, Bus.VIRTIO),
}
NIC_FALLBACKS = ("e1000", "vmxnet3", "e1000e", "virtio-net-pci")
"""In this order, the wanted one before them all."""
_BUS_DRIVERS: dict[Bus, tuple[str, ...]] = {
    Bus.VIRTIO: ("virtio_blk",),
    Bus.SCSI: ("virtio_scsi",),
    Bus.LSILOGIC: ("mptsas",),
    Bus.PVSCSI: ("vmw_pvscsi",),
    Bus.SATA: ("ahci",),
    Bus.IDE: ("ata_piix", "ata_generic"),
    Bus.NVME: ("nvme",),
    Bus.USB: ("usb_storage", "uas"),
}
_UNDERNEATH: dict[Bus, tuple[str, ...]] = {
    Bus.VIRTIO: ("virtio_pci",), Bus.SCSI: ("virtio_pci", "sd_mod"), Bus.LSILOGIC: ("sd_mod",), Bus.PVSCSI: ("sd_mod",),
    Bus.SATA: ("sd_mod",), Bus.IDE: ("sd_mod",), Bus.USB: ("sd_mod",),
}  # fmt: skip
"""Modules without which a bus's driver finds nothing, or makes no disks of it."""
_NIC_DRIVERS = {"virtio-net-pci": "virtio_net", "e1000": "e1000", "e1000e": "e1000e", "vmxnet3": "vmxnet3"}


def target_machine(options: OutputOptions) -> TargetMachine | None:
    """The machine for what *options* write; None for what nothing boots from (a libvirt volume boots where it is)."""
    if isinstance(options, Vmdk):
        return _vmware(options.adapter, "vmxnet3" if options.adapter == "pvscsi" else "e1000")
    if isinstance(options, Ova):
        return _vmware(options.controller, options.network)
    if isinstance(options, Vagrant) and options.provider == "virtualbox":
        return TargetMachine("q35", Bus.SATA, "e1000", "VirtualBox")
    return {
        "qcow2": _KVM,
        "raw": _KVM,
        "vagrant": replace(_KVM, stands_for="libvirt"),
        "containerdisk": replace(_KVM, stands_for="KubeVirt"),
        "gce": TargetMachine("q35", Bus.SCSI, "virtio-net-pci", "Google Compute Engine"),
        "vhd": TargetMachine("pc", Bus.IDE, "e1000", "Azure (generation 1)"),
        "vhdx": TargetMachine("q35", Bus.SATA, "e1000", "Hyper-V (generation 2)"),
    }.get(options.kind)


def _vmware(controller: str, network: str) -> TargetMachine:
    bus = _CONTROLLERS[controller]
    return TargetMachine("pc" if bus is Bus.IDE else "q35", bus, network, "VMware")


def choices(target: TargetMachine, drivers: Drivers, firmware: Firmware) -> tuple[TargetMachine, ...]:
    """The machines to try, in this order.

    Where the guest's drivers are known that is one: the wanted hardware, or what comes first in the lists above that
    the firmware boots from and the guest has drivers for. Where nothing is known it is the wanted one, or what comes
    first that the firmware boots from, then virtio.
    """
    buses = [b for b in (target.bus, *BUS_FALLBACKS[target.bus]) if _boots(b, firmware)]
    if drivers.unknown:
        why = "" if _boots(target.bus, firmware) else _no_firmware(target.bus)
        tried = [_on(target, buses[0], target.nic, why, firmware)]
        if (target.bus, target.nic) != (Bus.VIRTIO, "virtio-net-pci"):
            why = f"the guest did not come up on {buses[0]} and {target.nic}, and its drivers are not known"
            tried.append(_on(target, Bus.VIRTIO, "virtio-net-pci", why, firmware))
        return tuple(tried)
    bus = next((b for b in buses if _drives(b, drivers)), buses[0])
    nic = _first_driven((target.nic, *NIC_FALLBACKS), drivers) or target.nic
    return (_on(target, bus, nic, _why(target, bus, nic, drivers, firmware), firmware),)


def _boots(bus: Bus, firmware: Firmware) -> bool:
    return firmware is Firmware.BIOS or bus not in _NOT_BY_UEFI


def _why(target: TargetMachine, bus: Bus, nic: str, drivers: Drivers, firmware: Firmware) -> str:
    """Why *bus* and *nic* are not the target's own; empty where they are."""
    reasons, lacking = [], [target.nic] if target.nic != nic else []
    if target.bus is not bus:
        if _boots(target.bus, firmware):
            lacking.insert(0, str(target.bus))
        else:
            reasons.append(_no_firmware(target.bus))
    if lacking:
        reasons.append(f"the guest's {named(drivers.kernel)} has no driver for {' and '.join(lacking)}")
    return "; ".join(reasons)


def _no_firmware(bus: Bus) -> str:
    return f"the UEFI firmware of this host has no driver for {bus}"


def _drives(bus: Bus, drivers: Drivers) -> bool:
    """Whether the guest finds its root there: all that is needed is there early."""
    # A manifest of an older version names the drivers of buses, and not what lies underneath.
    underneath = set(_UNDERNEATH.get(bus, ())) & drivers.all
    return bool(set(_BUS_DRIVERS[bus]) & drivers.early) and underneath <= drivers.early


def drives_nic(machine: TargetMachine, drivers: Drivers) -> bool:
    """Whether the guest will have a network there; true where that can't be told."""
    driver = _NIC_DRIVERS.get(machine.nic)
    return bool(drivers.unknown) or driver is None or driver in drivers.all


def _first_driven(nics: Sequence[str], drivers: Drivers) -> str:
    return next((n for n in nics if _NIC_DRIVERS.get(n, "") in drivers.all), "")


def _on(target: TargetMachine, bus: Bus, nic: str, why: str, firmware: Firmware) -> TargetMachine:
    if bus is Bus.IDE and firmware is Firmware.SECURE_BOOT:
        bus, why = Bus.SATA, why or "secure boot needs q35, which has no IDE"
    type_ = target.type if bus is target.bus else "pc" if bus is Bus.IDE else "q35"
    return TargetMachine("pc" if bus is Bus.IDE else type_, bus, nic, target.stands_for, why)
