"""The rules that products hold OVF descriptors to, on what we write for each kind of machine."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from factory.drivers.machine_spec import Bus
from factory.errors import TemplateError
from factory.outputs.driver_needs import driver_needs
from factory.outputs.export import parse_request
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import target_machine
from factory.outputs.ova_hardware import hardware_of
from factory.outputs.ova_package import OvaPackage
from factory.outputs.ovf import OvfDisk, OvfSystem, descriptor, guest_type, manifest
from factory.quantity import Size
from factory.template.output_options import OPTIONS_MODELS, OWN_KINDS, Ova, Vagrant, Vmdk

pytestmark = pytest.mark.unit

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
VMW = "{http://www.vmware.com/schema/ovf}"
CONTROLLERS = ("lsilogic", "pvscsi", "sata", "ide")


def make(controller: str = "lsilogic", disks: int = 1, **hardware: object) -> ET.Element:
    system = OvfSystem("img", OvfHardware(**hardware), controller=controller)  # type: ignore[arg-type]
    described = [OvfDisk(f"d{n}.vmdk", 1000 + n, Size(2**30 + n)) for n in range(disks)]
    return ET.fromstring(descriptor(system, described))


def items(envelope: ET.Element) -> list[dict[str, str]]:
    return [{c.tag.removeprefix(RASD): c.text or "" for c in i} for i in envelope.iter(f"{OVF}Item")]


def test_no_machine_is_larger_than_a_manifest_can_say() -> None:
    envelope = make(cpus=2**40, memory=Size(2**90))
    package = OvaPackage(Path("x.ova"), False, [], envelope=envelope)
    assert hardware_of(package) == OvfHardware()


@pytest.mark.parametrize(("controller", "disks"), list(itertools.product(CONTROLLERS, (1, 2, 9))))
def test_every_device_has_a_parent_before_it_and_a_place_of_its_own(controller: str, disks: int) -> None:
    found = items(make(controller, disks))
    seen: set[str] = set()
    places = set()
    for item in found:
        assert item["InstanceID"] not in seen
        if "Parent" in item:
            assert item["Parent"] in seen
            place = (item["Parent"], item["AddressOnParent"])
            assert place not in places
            places.add(place)
            if controller in ("lsilogic", "pvscsi"):
                assert item["AddressOnParent"] != "7", "SCSI id 7 is the controller's own"
            if controller == "ide":
                assert item["AddressOnParent"] in ("0", "1")
        seen.add(item["InstanceID"])
    assert sum(i["ResourceType"] == "17" for i in found) == disks


def test_elements_of_an_item_are_in_the_order_of_the_schema() -> None:
    for item in make().iter(f"{OVF}Item"):
        names = [c.tag for c in item]
        assert names == sorted(names)


def test_sizes_are_bytes_and_files_are_referenced() -> None:
    envelope = make(disks=2)
    files = {f.get(f"{OVF}id"): f for f in envelope.iter(f"{OVF}File")}
    for number, disk in enumerate(envelope.iter(f"{OVF}Disk")):
        assert disk.get(f"{OVF}capacity") == str(2**30 + number)
        assert disk.get(f"{OVF}capacityAllocationUnits") == "byte"
        file = files[disk.get(f"{OVF}fileRef")]
        assert file.get(f"{OVF}size") == str(1000 + number)
    hosts = [i["HostResource"] for i in items(envelope) if "HostResource" in i]
    assert hosts == ["ovf:/disk/vmdisk1", "ovf:/disk/vmdisk2"]


@pytest.mark.parametrize("uefi", [True, False])
def test_firmware_is_told_and_nothing_of_vmware_is_required(uefi: bool) -> None:
    configs = list(make(uefi=uefi).iter(f"{VMW}Config"))
    values = {c.get(f"{VMW}key"): c.get(f"{VMW}value") for c in configs}
    assert values["firmware"] == ("efi" if uefi else "bios")
    assert ("bootOptions.efiSecureBootEnabled" in values) is uefi
    assert {c.get(f"{OVF}required") for c in configs} == {"false"}


def test_a_machine_without_network_names_none() -> None:
    assert not list(make(macs=()).iter(f"{OVF}NetworkSection"))
    assert len(list(make(macs=("", "")).iter(f"{OVF}Network"))) == 1


def test_text_is_written_as_products_read_it() -> None:
    text = descriptor(OvfSystem("a & b", OvfHardware()), [OvfDisk("d.vmdk", 1, Size(1))]).decode()
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<Envelope xmlns="http://schemas.dmtf.org/ovf/')
    assert 'ovf:href="d.vmdk"' in text
    assert "<vssd:VirtualSystemType>vmx-14</vssd:VirtualSystemType>" in text
    assert "<Name>a &amp; b</Name>" in text


@pytest.mark.parametrize(
    ("os_id", "version", "expected"),
    [
        ("debian", "12", "debian12_64Guest"),
        ("debian", "13", "debian12_64Guest"),
        ("rocky", "9.4", "rockylinux_64Guest"),
        ("rhel", "9.4", "rhel9_64Guest"),
        ("", "", "otherLinux64Guest"),
        ("tinyos", "1", "otherLinux64Guest"),
    ],
)
def test_guest_types_are_those_that_vmware_knows(os_id: str, version: str, expected: str) -> None:
    assert guest_type(OvfHardware(os_id=os_id, os_version=version))[1] == expected
    assert guest_type(OvfHardware(os_id=os_id, os_version=version), "own64Guest")[1] == "own64Guest"


def test_manifest_lines_are_spelled_as_products_demand() -> None:
    assert manifest([("a.ovf", "ab")], "sha256") == b"SHA256(a.ovf)= ab\n"
    assert manifest([("a.ovf", "ab")], "sha1") == b"SHA1(a.ovf)= ab\n"


def test_every_output_that_boots_has_a_target_machine() -> None:
    without = {kind for kind in OWN_KINDS if target_machine(OPTIONS_MODELS[kind](kind=kind)) is None}
    assert without == {"libvirt"}
    assert target_machine(Vmdk(adapter="ide")).bus is Bus.IDE  # type: ignore[union-attr]
    assert target_machine(Ova(controller="sata")).bus is Bus.SATA  # type: ignore[union-attr]
    assert target_machine(Ova(network="vmxnet3")).nic == "vmxnet3"  # type: ignore[union-attr]
    assert target_machine(Vagrant(provider="virtualbox")).nic == "e1000"  # type: ignore[union-attr]


def test_every_output_but_raw_needs_a_disk_and_a_network_driver() -> None:
    for kind in OWN_KINDS:
        whats = {need.what for need in driver_needs(OPTIONS_MODELS[kind](kind=kind))}
        assert whats >= {"disk", "network"} or kind == "raw", kind
    pvscsi = driver_needs(Ova(controller="pvscsi", network="vmxnet3"))
    assert [n.modules for n in pvscsi] == [("vmw_pvscsi",), ("sd_mod",), ("vmxnet3",)]
    assert "VMware: no disk driver in the initramfs (one of mptspi, mptsas)" in map(str, driver_needs(Vmdk()))


def test_unknown_outputs_and_options_are_refused_with_their_place() -> None:
    with pytest.raises(TemplateError, match="no output 'iso'"):
        parse_request("iso")
    with pytest.raises(TemplateError, match="output qcow2: compress"):
        parse_request("qcow2", {"compress": "lzma"})
    with pytest.raises(TemplateError, match="output raw: bmp"):
        parse_request("raw", {"bmp": True})
