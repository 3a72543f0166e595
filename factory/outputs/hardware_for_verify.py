"""How a machine must look to resemble the one that an exported file is meant for: data for the verify step.

What QEMU can't be is stood in for by the nearest thing it can: Hyper-V's own SCSI by AHCI, its network by e1000.
"""

from __future__ import annotations

from dataclasses import dataclass

from factory.drivers.machine_spec import Bus
from factory.template.output_options import OutputOptions, Ova, Vagrant, Vmdk


@dataclass(frozen=True, slots=True)
class TargetMachine:
    """``type`` is "q35" or "pc" (IDE exists on pc only); ``nic`` a QEMU device. Firmware is the image's own."""

    type: str
    bus: Bus
    nic: str
    stands_for: str


_KVM = TargetMachine("q35", Bus.VIRTIO, "virtio-net-pci", "KVM")
_CONTROLLERS = {"lsilogic": Bus.LSILOGIC, "pvscsi": Bus.PVSCSI, "sata": Bus.SATA, "ide": Bus.IDE}


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
        "vagrant": _KVM,
        "containerdisk": TargetMachine("q35", Bus.VIRTIO, "virtio-net-pci", "KubeVirt"),
        "gce": TargetMachine("q35", Bus.SCSI, "virtio-net-pci", "Google Compute Engine"),
        "vhd": TargetMachine("pc", Bus.IDE, "e1000", "Azure (generation 1)"),
        "vhdx": TargetMachine("q35", Bus.SATA, "e1000", "Hyper-V (generation 2)"),
    }.get(options.kind)


def _vmware(controller: str, network: str) -> TargetMachine:
    bus = _CONTROLLERS[controller]
    return TargetMachine("pc" if bus is Bus.IDE else "q35", bus, network, "VMware")
