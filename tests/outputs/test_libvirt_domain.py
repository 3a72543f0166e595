"""Domains are what libvirt takes, by its own test driver; and what goes wrong leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt
import pytest

from factory.drivers.libvirt import Libvirt
from factory.drivers.protocols import LibvirtPlace, LibvirtVolume
from factory.errors import HostError, StepError
from factory.events import ignore
from factory.outputs.hardware import OvfHardware
from factory.outputs.libvirt_domain import Domain, DomainDisk, domain_xml, files_of, made_by_us, uuid_of
from factory.quantity import Size
from factory.steps.define_in_libvirt import with_qcow2
from factory.template.output_options import Libvirt as Output
from factory.template.output_options import Ova, Qcow2

pytestmark = pytest.mark.machine

HARDWARE = OvfHardware(cpus=2, memory=Size.parse("1536 MiB"), macs=("", "52:54:00:00:00:09"))
BIOS = Domain(
    "web", "k", HARDWARE, "q35", "virtio-net-pci", "default", [DomainDisk("/p/a.qcow2", "virtio")], kind="test"
)
UEFI = replace(
    BIOS, name="uefi", hardware=replace(HARDWARE, uefi=True), nvram="/p/v.fd", nic="e1000",
    disks=[DomainDisk("/p/a.qcow2", "scsi"), DomainDisk("/p/b.qcow2", "scsi")],
)  # fmt: skip


@pytest.fixture
def connection() -> Iterator[Any]:
    found = libvirt.open("test:///default")
    yield found
    found.close()


@pytest.mark.parametrize("domain", [BIOS, UEFI], ids=["bios", "uefi"])
def test_libvirt_takes_the_definition(domain: Domain, connection: Any) -> None:
    defined = connection.defineXML(domain_xml(domain))
    xml = defined.XMLDesc()
    assert (defined.name(), defined.maxMemory()) == (domain.name, 1536 * 1024)
    assert "<vcpu placement='static'>2</vcpu>" in xml
    assert made_by_us(xml), "libvirt keeps our mark"
    assert files_of(xml) == {d.path for d in domain.disks} | ({domain.nvram} if domain.nvram else set())
    again = connection.defineXML(domain_xml(replace(domain, uuid=uuid_of(xml))))
    assert again.UUIDString() == defined.UUIDString()
    defined.undefine()


def test_a_domain_may_do_without_a_network_of_libvirts(connection: Any) -> None:
    """As in a session, where there are none."""
    defined = connection.defineXML(domain_xml(replace(BIOS, name="session", network="")))
    assert "<interface type='user'>" in defined.XMLDesc()
    defined.undefine()


def test_a_domain_of_somebody_else_is_not_ours(connection: Any) -> None:
    assert not made_by_us(connection.lookupByName("test").XMLDesc())


def define(name: str, place: LibvirtPlace, file: Path) -> None:
    def describe(paths: Mapping[str, str], uuid: str) -> str:
        return domain_xml(replace(BIOS, name=name, uuid=uuid, disks=[DomainDisk(paths["v.qcow2"], "virtio")]))

    volume = LibvirtVolume("v.qcow2", file, "qcow2", 2**20)
    asyncio.run(Libvirt().define(place, name, [volume], describe, ours=made_by_us, files=files_of, emit=ignore))


HERE = LibvirtPlace("test:///default", "default-pool", "default")


@pytest.mark.parametrize(
    ("name", "place", "word"),
    [
        ("test", HERE, "a domain test that was not made by this program"),
        ("web", replace(HERE, pool="nowhere"), "no storage pool 'nowhere'"),
        ("web", replace(HERE, network="nowhere"), "no network 'nowhere'"),
        ("web", replace(HERE, network=""), "virStorageVolUpload"),
        # The test driver takes no uploads: the volume that was made for it must be gone again.
        ("web", HERE, "virStorageVolUpload"),
    ],
)
def test_what_libvirt_refuses_is_said_and_leaves_nothing(
    name: str, place: LibvirtPlace, word: str, tmp_path: Path, connection: Any
) -> None:
    (tmp_path / "v.qcow2").write_bytes(b"qcow2")
    with pytest.raises(StepError, match=word) as caught:
        define(name, place, tmp_path / "v.qcow2")
    assert caught.value.hint
    assert [v.name() for v in connection.storagePoolLookupByName("default-pool").listAllVolumes()] == []
    assert [d.name() for d in connection.listAllDomains()] == ["test"]


def test_a_libvirt_that_is_not_there_is_a_lack_of_this_computer(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="can't be reached") as caught:
        define("web", LibvirtPlace(f"qemu:///system?socket={tmp_path}/none", "default", "default"), tmp_path)
    assert "qemu:///session" in caught.value.hint


def test_a_domain_stands_on_a_qcow2_that_is_delivered_too() -> None:
    assert with_qcow2((Output(), Ova())) == (Qcow2(), Ova())
    assert with_qcow2((Qcow2(compress="zstd"), Output())) == (Qcow2(compress="zstd"),)
    assert with_qcow2((Ova(),)) == (Ova(),)
