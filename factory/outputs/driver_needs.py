"""Which drivers a guest needs where it is going, for each output."""

from __future__ import annotations

from factory.disk.driver_readiness import Need
from factory.template.output_options import OutputOptions, Ova, Vagrant, Vmdk

_DISKS = "sd_mod"
"""What makes a disk of whatever a SCSI or SATA controller finds; an initramfs made for virtio alone does without."""


def _scsi(platform: str) -> Need:
    return Need(platform, "SCSI disk", (_DISKS,))


_HYPER_V = (
    Need("Hyper-V and Azure", "bus", ("hv_vmbus",)),
    Need("Hyper-V and Azure", "disk", ("hv_storvsc",)),
    _scsi("Hyper-V and Azure"),
    Need("Hyper-V and Azure", "network", ("hv_netvsc",), early=False),
)
_KVM = (
    Need("KVM", "bus", ("virtio_pci",)),
    Need("KVM", "disk", ("virtio_blk", "virtio_scsi")),
    Need("KVM", "network", ("virtio_net",), early=False),
)
_VIRTUALBOX = (
    Need("VirtualBox", "disk", ("ahci",)),
    _scsi("VirtualBox"),
    Need("VirtualBox", "network", ("e1000",), early=False),
)
_GOOGLE = (
    Need("Google Compute Engine", "bus", ("virtio_pci", "nvme")),
    Need("Google Compute Engine", "disk", ("virtio_scsi", "nvme")),
    Need("Google Compute Engine", "SCSI disk", (_DISKS, "nvme")),
    Need("Google Compute Engine", "network", ("virtio_net", "gve"), early=False),
)
_VMWARE_DISK = {
    "lsilogic": ("mptspi", "mptsas"),
    "pvscsi": ("vmw_pvscsi",),
    "sata": ("ahci",),
    "ide": ("ata_piix", "ata_generic"),
}


def driver_needs(options: OutputOptions) -> tuple[Need, ...]:
    """What must be there. Nothing for raw files: who flashes one knows the hardware."""
    if isinstance(options, Ova):
        return _vmware(options.controller, options.network)
    if isinstance(options, Vmdk):
        return _vmware(options.adapter, "vmxnet3" if options.adapter == "pvscsi" else "e1000")
    if isinstance(options, Vagrant):
        return _KVM if options.provider == "libvirt" else _VIRTUALBOX
    return {
        "qcow2": _KVM,
        "libvirt": _KVM,
        "containerdisk": _KVM,
        "vhd": _HYPER_V,
        "vhdx": _HYPER_V,
        "gce": _GOOGLE,
    }.get(options.kind, ())


def _vmware(controller: str, network: str) -> tuple[Need, ...]:
    return (
        Need("VMware", "disk", _VMWARE_DISK[controller]),
        _scsi("VMware"),
        Need("VMware", "network", (network,), early=False),
    )
