"""A libvirt domain for the machine of an image, as XML (libvirt's "Domain XML format"). Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from factory.outputs.hardware import OvfHardware

SPACE = "urn:factory:artifact"
"""The namespace of the element in the domain's metadata by which we know what we made."""
_TARGETS = {
    "virtio": ("vd", "virtio"), "scsi": ("sd", "scsi"), "lsilogic": ("sd", "scsi"), "pvscsi": ("sd", "scsi"),
    "sata": ("sd", "sata"), "ide": ("hd", "ide"), "usb": ("sd", "usb"),
}  # fmt: skip
"""What is not here (NVMe, which libvirt has for devices of the host only) becomes virtio."""
_CONTROLLERS = {"scsi": "virtio-scsi", "lsilogic": "lsisas1068", "pvscsi": "vmpvscsi"}
_NICS = {"virtio-net-pci": "virtio"}


@dataclass(frozen=True, slots=True)
class DomainDisk:
    """A volume of the pool; ``format`` is qcow2."""

    path: str
    bus: str


@dataclass(frozen=True, slots=True)
class Domain:
    """``machine`` is "q35" or "pc", ``nic`` a QEMU device, ``nvram`` the path of the UEFI variables, if any.

    An empty ``network`` is QEMU's own user network, which is all that a session's libvirt has.
    """

    name: str
    key: str
    hardware: OvfHardware
    machine: str
    nic: str
    network: str
    disks: Sequence[DomainDisk]
    nvram: str = ""
    kind: str = "qemu"
    uuid: str = ""


def domain_xml(domain: Domain) -> str:
    """The definition: devices as the template has them, a serial console, a screen on loopback."""
    root = ET.Element("domain", type=domain.kind)
    _text(root, "name", domain.name)
    if domain.uuid:
        _text(root, "uuid", domain.uuid)
    metadata = ET.SubElement(root, "metadata")
    ET.SubElement(metadata, "factory:artifact", {"xmlns:factory": SPACE, "name": domain.name, "key": domain.key})
    _text(root, "memory", str(domain.hardware.memory.mib), unit="MiB")
    _text(root, "vcpu", str(domain.hardware.cpus))
    _boot(root, domain)
    features = ET.SubElement(root, "features")
    for name in ("acpi", "apic", *(("smm",) if domain.hardware.secure_boot else ())):
        ET.SubElement(features, name)
    ET.SubElement(root, "cpu", mode="host-passthrough" if domain.kind == "kvm" else "maximum")
    ET.SubElement(root, "clock", offset="utc")
    devices = ET.SubElement(root, "devices")
    for number, disk in enumerate(domain.disks):
        _disk(devices, disk, number)
    buses = {d.bus for d in domain.disks if d.bus in _CONTROLLERS}
    for number, bus in enumerate(sorted(buses)):
        ET.SubElement(devices, "controller", type="scsi", index=str(number), model=_CONTROLLERS[bus])
    for mac in domain.hardware.macs:
        interface = ET.SubElement(devices, "interface", type="network" if domain.network else "user")
        if domain.network:
            ET.SubElement(interface, "source", network=domain.network)
        ET.SubElement(interface, "model", type=_NICS.get(domain.nic, domain.nic))
        if mac:
            ET.SubElement(interface, "mac", address=mac)
    for name in ("serial", "console"):
        ET.SubElement(ET.SubElement(devices, name, type="pty"), "target", port="0")
    ET.SubElement(devices, "graphics", type="vnc", port="-1", autoport="yes", listen="127.0.0.1")
    ET.SubElement(ET.SubElement(devices, "video"), "model", type="vga")
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _boot(root: ET.Element, domain: Domain) -> None:
    os = ET.SubElement(root, "os", {"firmware": "efi"} if domain.hardware.uefi else {})
    _text(os, "type", "hvm", arch="x86_64", machine=domain.machine)
    if domain.hardware.uefi:
        enabled = "yes" if domain.hardware.secure_boot else "no"
        ET.SubElement(ET.SubElement(os, "firmware"), "feature", enabled=enabled, name="secure-boot")
        if domain.nvram:
            _text(os, "nvram", domain.nvram)
    ET.SubElement(os, "boot", dev="hd")


def _disk(devices: ET.Element, disk: DomainDisk, number: int) -> None:
    prefix, bus = _TARGETS.get(disk.bus, ("vd", "virtio"))
    element = ET.SubElement(devices, "disk", type="file", device="disk")
    ET.SubElement(element, "driver", name="qemu", type="qcow2", discard="unmap")
    ET.SubElement(element, "source", file=disk.path)
    ET.SubElement(element, "target", dev=f"{prefix}{chr(ord('a') + number)}", bus=bus)


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def made_by_us(xml: str) -> bool:
    """Whether a domain's definition is one of ours."""
    return ET.fromstring(xml).find(f"metadata/{{{SPACE}}}artifact") is not None


def uuid_of(xml: str) -> str:
    return ET.fromstring(xml).findtext("uuid") or ""


def files_of(xml: str) -> set[str]:
    """Paths of the volumes that a definition names."""
    root = ET.fromstring(xml)
    found = {source.get("file", "") for source in root.iterfind("devices/disk/source")}
    return (found | {root.findtext("os/nvram") or ""}) - {""}
