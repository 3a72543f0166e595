"""An OVA that nobody here made (ttylinux, built for VMware in 2014): judged, mended, inspected, converted, booted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from factory.deadline import Deadline
from factory.drivers.machine_spec import Bus, DiskSpec, Forward, NicSpec
from factory.drivers.protocols import GuestAddress
from factory.drivers.ssh_banner import wait_for_banner
from factory.quantity import Duration, Size
from tests.cli.test_image_commands import Factory, factory
from tests.drivers.qemu.conftest import Lab, lab
from tests.seal.dirty_disk import program

OVA = Path("/usr/share/gocode/src/github.com/vmware/photon-controller-go-sdk/testdata/tty_tiny.ova")
DISK = "from_out_tty-disk1.vmdk"  # in one chunk, as vCenter writes
pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(not OVA.exists(), reason="golang-github-vmware-photon-controller-go-sdk-dev is not installed"),
]
__all__ = ["factory", "lab"]  # the fixtures


def test_its_one_flaw_is_named_and_mended(factory: Factory, tmp_path: Path) -> None:
    (judged,) = json.loads(factory("lint", OVA, "--json", code=8).stdout)
    assert [r["rule"] for r in judged["rules"] if not r["ok"]] == ["manifest-complete"]
    factory("lint", OVA, "--fix", "-o", tmp_path / "mended.ova")
    factory("lint", tmp_path / "mended.ova")


def test_it_is_inspected_without_being_started(factory: Factory) -> None:
    (facts,) = json.loads(factory("inspect", OVA, "--json").stdout)
    assert [(p["type"], p["mounted_at"]) for p in facts["partitions"]] == [("ext4", "/")]
    assert facts["guest"]["family"] == "linux"
    assert 6 * 2**20 < facts["folders"]["/"] < facts["virtual_size"], "names of one file are not counted each"


def test_it_boots_from_what_it_was_converted_to(factory: Factory, tmp_path: Path, lab: Lab) -> None:
    factory("convert", OVA, "--to", "qcow2,ova", "-o", tmp_path)
    image = tmp_path / "tty_tiny/tty_tiny.qcow2"
    program("tar", "-x", "-f", OVA, "-C", tmp_path, f"{DISK}.000000000")
    program("qemu-img", "compare", "-f", "vmdk", "-F", "qcow2", tmp_path / f"{DISK}.000000000", image)
    factory("lint", tmp_path / "tty_tiny/tty_tiny.ova")
    described = json.loads((tmp_path / "tty_tiny/manifest.json").read_text())["hardware"]
    assert described == {"cpus": 1, "memory": 2**31, "firmware": "bios", "secure_boot": False, "nics": 1}

    async def banner() -> str:
        spec = lab.spec(
            memory=Size.parse("128 MiB"),
            disks=(DiskSpec("main", image, "qcow2", Bus.IDE, 0),),
            nics=(NicSpec("net", model="e1000", forwards=(Forward(22),)),),
        )
        deadline = Deadline.after(Duration(240), "ttylinux to answer by SSH")
        async with lab.start(spec) as machine:
            await machine.resume()
            address = GuestAddress("127.0.0.1", await machine.forwarded_port(22))
            return await wait_for_banner(address, deadline=deadline, emit=lab.events.append)

    assert asyncio.run(banner()).startswith("SSH-2.0-dropbear")
