"""Writes OVF 1.1 descriptors that VMware, VirtualBox and virt-v2v all take.

Rules (DSP0243, and what products refuse): sizes in bytes, a ``vmx-`` system type, every ``vmw:Config`` optional, each
item's parent present and before it, no network that is not used, elements of an item in alphabetical order.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.outputs.hardware import OvfHardware
from factory.quantity import Size

_OVF = "http://schemas.dmtf.org/ovf/envelope/1"
_CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
_NAMESPACES = {
    "ovf": _OVF,
    "rasd": f"{_CIM}/CIM_ResourceAllocationSettingData",
    "vssd": f"{_CIM}/CIM_VirtualSystemSettingData",
    "vmw": "http://www.vmware.com/schema/ovf",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
NETWORK = "VM Network"
_CONTROLLERS = {
    "lsilogic": ("6", "lsilogic", "SCSI controller 0"),
    "pvscsi": ("6", "VirtualSCSI", "SCSI controller 0"),
    "sata": ("20", "vmware.sata.ahci", "SATA controller 0"),
    "ide": ("5", "", "IDE controller 0"),
}
_NETWORK_CARDS = {"e1000": "E1000", "vmxnet3": "VmxNet3"}

# os-release ID → (CIM OSType, VMware's guest id without the version, versions that VMware has names of its own for)
_SYSTEMS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "debian": ("96", "debian{}_64Guest", ("9", "10", "11", "12")),
    "ubuntu": ("94", "ubuntu64Guest", ()),
    "rhel": ("80", "rhel{}_64Guest", ("6", "7", "8", "9")),
    "centos": ("107", "centos{}_64Guest", ("6", "7", "8", "9")),
    "rocky": ("80", "rockylinux_64Guest", ()),
    "almalinux": ("80", "almalinux_64Guest", ()),
    "ol": ("109", "oracleLinux{}_64Guest", ("6", "7", "8", "9")),
    "fedora": ("80", "fedora64Guest", ()),
    "sles": ("85", "sles{}_64Guest", ("11", "12", "15")),
    "opensuse-leap": ("83", "opensuse64Guest", ()),
    "freebsd": ("78", "freebsd{}_64Guest", ("11", "12", "13", "14")),
    "windows": ("112", "windows2019srvNext_64Guest", ()),
}
_OTHER = ("101", "otherLinux64Guest")


@dataclass(frozen=True, slots=True)
class OvfDisk:
    """A disk as the descriptor names it. ``size``: bytes of the file; ``populated``: bytes that the guest uses."""

    href: str
    size: int
    capacity: Size
    populated: int = 0


@dataclass(frozen=True, slots=True)
class OvfSystem:
    """What the descriptor says besides its disks."""

    name: str
    hardware: OvfHardware
    controller: str = "lsilogic"
    network: str = "e1000"
    hardware_version: int = 14
    os_type: str = ""
    product: str = ""
    vendor: str = ""
    version: str = ""


def guest_type(hardware: OvfHardware, os_type: str = "") -> tuple[str, str]:
    """``(CIM OSType, VMware guest id)``; *os_type* names the latter."""
    number, pattern, versions = _SYSTEMS.get(hardware.os_id, (*_OTHER, ()))
    major = hardware.os_version.split(".")[0]
    if "{}" in pattern:
        known = major if major in versions else versions[-1]
        pattern = pattern.format(known)
    return number, os_type or pattern


def descriptor(system: OvfSystem, disks: Sequence[OvfDisk]) -> bytes:
    """The whole ``.ovf`` file, UTF-8."""
    # Prefixes are written out: OVF's elements stand in the default namespace, its attributes under ``ovf:``, as every
    # product writes them; some read the text and not the namespaces.
    envelope = ET.Element(
        "Envelope", {"xmlns": _OVF, **{f"xmlns:{prefix}": uri for prefix, uri in _NAMESPACES.items()}}
    )
    references = _add(envelope, "References")
    for number, disk in enumerate(disks, 1):
        _add(references, "File", href=disk.href, id=f"file{number}", size=str(disk.size))
    section = _add(envelope, "DiskSection")
    _add(section, "Info", "Virtual disks")
    for number, disk in enumerate(disks, 1):
        attributes = {
            "capacity": str(int(disk.capacity)),
            "capacityAllocationUnits": "byte",
            "diskId": f"vmdisk{number}",
            "fileRef": f"file{number}",
            "format": STREAM_OPTIMIZED,
        }
        if disk.populated:
            attributes["populatedSize"] = str(disk.populated)
        _add(section, "Disk", **attributes)
    if system.hardware.macs:
        section = _add(envelope, "NetworkSection")
        _add(section, "Info", "The networks that the machine is connected to")
        _add(_add(section, "Network", name=NETWORK), "Description", NETWORK)
    _virtual_system(envelope, system, disks)
    ET.indent(envelope)
    text = ET.tostring(envelope, encoding="unicode")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode() + b"\n"


def _virtual_system(envelope: ET.Element, system: OvfSystem, disks: Sequence[OvfDisk]) -> None:
    machine = _add(envelope, "VirtualSystem", id=system.name)
    _add(machine, "Info", "A virtual machine")
    _add(machine, "Name", system.name)
    number, guest_id = guest_type(system.hardware, system.os_type)
    section = _add(machine, "OperatingSystemSection", id=number)
    section.set(_tag("vmw", "osType"), guest_id)
    _add(section, "Info", "The kind of installed operating system")
    description = f"{system.hardware.os_id} {system.hardware.os_version}".strip()
    _add(section, "Description", description or "Linux")
    _hardware(machine, system, disks)
    if system.product or system.vendor or system.version:
        section = _add(machine, "ProductSection")
        _add(section, "Info", "Information about the installed software")
        for tag, text in (("Product", system.product), ("Vendor", system.vendor), ("Version", system.version)):
            if text:
                _add(section, tag, text)


def _hardware(machine: ET.Element, system: OvfSystem, disks: Sequence[OvfDisk]) -> None:
    section = _add(machine, "VirtualHardwareSection")
    _add(section, "Info", "Virtual hardware requirements")
    about = _add(section, "System")
    for key, text in (
        ("ElementName", "Virtual Hardware Family"),
        ("InstanceID", "0"),
        ("VirtualSystemIdentifier", system.name),
        ("VirtualSystemType", f"vmx-{system.hardware_version:02}"),
    ):
        ET.SubElement(about, _tag("vssd", key)).text = text
    for item in _items(system, disks):
        element = _add(section, "Item")
        for key in sorted(item):
            ET.SubElement(element, _tag("rasd", key)).text = item[key]
    firmware = "efi" if system.hardware.uefi else "bios"
    _config(section, "firmware", firmware)
    if system.hardware.uefi:
        _config(section, "bootOptions.efiSecureBootEnabled", "true" if system.hardware.secure_boot else "false")


def _config(section: ET.Element, key: str, value: str) -> None:
    element = ET.SubElement(section, _tag("vmw", "Config"))
    element.set(_tag("ovf", "required"), "false")
    element.set(_tag("vmw", "key"), key)
    element.set(_tag("vmw", "value"), value)


def _items(system: OvfSystem, disks: Sequence[OvfDisk]) -> Iterator[dict[str, str]]:
    hardware = system.hardware
    yield {
        "AllocationUnits": "hertz * 10^6",
        "Description": "Number of Virtual CPUs",
        "ElementName": f"{hardware.cpus} virtual CPU(s)",
        "InstanceID": "1",
        "ResourceType": "3",
        "VirtualQuantity": str(hardware.cpus),
    }
    yield {
        "AllocationUnits": "byte * 2^20",
        "Description": "Memory Size",
        "ElementName": f"{hardware.memory.mib} MB of memory",
        "InstanceID": "2",
        "ResourceType": "4",
        "VirtualQuantity": str(hardware.memory.mib),
    }
    kind, subtype, name = _CONTROLLERS[system.controller]
    # An IDE controller takes two disks; the others more than a template has.
    per_controller = 2 if system.controller == "ide" else 15
    controllers = max(1, -(-len(disks) // per_controller))
    for number in range(controllers):
        item = {
            "Address": str(number),
            "Description": name.rsplit(" ", 1)[0],
            "ElementName": f"{name.rsplit(' ', 1)[0]} {number}",
            "InstanceID": str(3 + number),
            "ResourceType": kind,
        }
        yield item | ({"ResourceSubType": subtype} if subtype else {})
    first = 3 + controllers
    for number in range(len(disks)):
        yield {
            "AddressOnParent": str(_unit(number % per_controller, kind)),
            "ElementName": f"Hard disk {number + 1}",
            "HostResource": f"ovf:/disk/vmdisk{number + 1}",
            "InstanceID": str(first + number),
            "Parent": str(3 + number // per_controller),
            "ResourceType": "17",
        }
    for number, mac in enumerate(hardware.macs):
        item = {
            "AddressOnParent": str(7 + number),
            "AutomaticAllocation": "true",
            "Connection": NETWORK,
            "Description": f"{_NETWORK_CARDS[system.network]} ethernet adapter",
            "ElementName": f"Network adapter {number + 1}",
            "InstanceID": str(first + len(disks) + number),
            "ResourceSubType": _NETWORK_CARDS[system.network],
            "ResourceType": "10",
        }
        yield item | ({"Address": mac} if mac else {})


def _unit(number: int, controller: str) -> int:
    """SCSI's unit 7 is the controller itself."""
    return number + 1 if controller == "6" and number >= 7 else number


def _tag(prefix: str, name: str) -> str:
    return f"{prefix}:{name}"


def _add(parent: ET.Element, tag: str, text: str = "", /, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, {_tag("ovf", k): v for k, v in attributes.items()})
    element.text = text or None
    return element


def manifest(files: Sequence[tuple[str, str]], algorithm: str) -> bytes:
    """The ``.mf`` file: ``SHA256(name)= hex``, exactly so; products refuse every other spelling."""
    return "".join(f"{algorithm.upper()}({name})= {digest}\n" for name, digest in files).encode()
