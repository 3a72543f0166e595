"""Real QEMU boots real files of every format: disks of one boot sector, which says that it waits for a login."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from factory.disk.driver_readiness import Drivers
from factory.drivers.machine_spec import MachineSpec, NicSpec
from factory.drivers.protocols import Appliance, ApplianceDriver, DiskImages, MachineDriver
from factory.drivers.qemu.disk_image import QemuImg
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.ssh import SshCommunicator
from factory.drivers.ssh_banner import wait_for_banner
from factory.errors import StepError, VerificationFailed
from factory.events import Event, Note
from factory.outputs.export import export_all, parse_request
from factory.outputs.hardware import OvfHardware
from factory.outputs.model import Exports
from factory.plan.resources import SealedDisk
from factory.quantity import Duration, Size
from factory.template.output_options import OutputOptions
from factory.verify.model import NO_LOGIN, Bench, Request, Verdict
from factory.verify.prove import Places, failures, in_brief, prove
from tests.drivers.qemu.guests import HANG, disk, say

pytestmark = pytest.mark.machine

FORMATS = (
    parse_request("qcow2"),
    parse_request("vmdk", {"adapter": "pvscsi"}),
    parse_request("ova"),
    parse_request("raw", {"compress": "gz"}),
    parse_request("vagrant", {"provider": "virtualbox"}),
    parse_request("vhd"),
    parse_request("vhdx"),
    parse_request("gce"),
    parse_request("containerdisk"),
)


@dataclass
class Workshop:
    """A folder with the files of an artifact, and what machines are started with."""

    root: Path
    logs: Path
    events: list[Event]

    def export(self, *code: bytes, formats: tuple[OutputOptions, ...] = FORMATS) -> Exports:
        image = disk(self.root / "disk.raw", *code, size=2 * 2**20)
        sealed = [SealedDisk("main", image, "raw", Size(2 * 2**20))]
        artifact = self.root / "artifact"
        artifact.mkdir()
        return asyncio.run(
            export_all(
                sealed, formats, name="guest", hardware=OvfHardware(), uefi_variables=None, staging=artifact,
                images=QemuImg(), emit=self.events.append,
            )
        )  # fmt: skip

    def prove(self, exports: Exports, request: Request, drivers: Drivers) -> Verdict:
        spec = MachineSpec("guest", "qemu-system-x86_64", "pc", "tcg", Size.parse("64 MiB"), nics=(NicSpec("nic0"),))
        machines: MachineDriver = QemuDriver()
        images: DiskImages = QemuImg()
        nobody: ApplianceDriver = _NoAppliance()
        bench = Bench(
            machines, images, nobody, wait_for_banner, SshCommunicator(), lambda comment: (b"", ""), None, spec,
            {"q35": "q35", "pc": "pc"},
        )  # fmt: skip
        places = Places(self.root / "artifact", self.logs, self.root)
        return asyncio.run(prove(exports, request, bench, places, drivers, self.events.append))


class _NoAppliance:
    def launch(self, *_: Any, **__: Any) -> AbstractAsyncContextManager[Appliance]:
        raise StepError("no appliance is needed where nobody logs in")


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    root = Path(tempfile.mkdtemp(prefix="prove"))  # pytest's own folders are too long for sockets
    yield Workshop(root, tmp_path / "logs", [])
    shutil.rmtree(root)


NO_NETWORK = Request(login=NO_LOGIN, deadline=Duration(120))
DRIVERS = frozenset(
    {"mptsas", "virtio_blk", "virtio_scsi", "vmw_pvscsi", "ahci", "ata_piix", "vmxnet3", "e1000", "virtio_net"}
)
KNOWN = Drivers("1.0", DRIVERS, DRIVERS)


def test_every_format_is_booted_as_it_lies_there(workshop: Workshop) -> None:
    exports = workshop.export(say("guest login: "), HANG)
    before = {p: p.stat().st_mtime_ns for p in (workshop.root / "artifact").iterdir()}
    verdict = workshop.prove(exports, NO_NETWORK, KNOWN)
    assert failures(verdict) == []
    assert verdict.passed
    booted = {s.boot.file.format: s for s in verdict.seen}
    assert set(booted) == {r.kind for r in FORMATS}
    assert all(s.by == "login prompt" for s in verdict.seen)
    assert {f: str(s.machine) for f, s in booted.items()} == {
        "qcow2": "q35, virtio, virtio-net-pci",
        "vmdk": "q35, pvscsi, vmxnet3",
        "ova": "q35, lsilogic, e1000",
        "raw": "q35, virtio, virtio-net-pci",
        "vagrant": "q35, sata, e1000",
        "vhd": "pc, ide, e1000",
        "vhdx": "q35, sata, e1000",
        "gce": "q35, scsi, virtio-net-pci",
        "containerdisk": "q35, virtio, virtio-net-pci",
    }
    assert before == {p: p.stat().st_mtime_ns for p in (workshop.root / "artifact").iterdir()}, "a file was written to"
    assert not [p for p in workshop.logs.rglob("*.qcow2") if p.is_file()], "overlays are thrown away"
    json.dumps(verdict.to_json())


def test_a_guest_without_the_driver_is_booted_on_what_it_has_and_the_manifest_says_so(workshop: Workshop) -> None:
    exports = workshop.export(say("guest login: "), HANG, formats=(parse_request("ova"),))
    few = frozenset({"virtio_blk"})
    verdict = workshop.prove(exports, NO_NETWORK, Drivers("1.0-small", few, few))
    assert verdict.passed
    (result,) = verdict.to_json()["booted"]
    assert result["hardware"]["bus"] == "virtio"
    assert result["hardware"]["instead"] == "the guest's kernel 1.0-small has no driver for lsilogic"
    assert "no driver for this network card" in result["notes"][0]


def test_a_guest_that_stops_fails_at_once_and_in_its_own_words(workshop: Workshop) -> None:
    exports = workshop.export(say("Kernel panic - not syncing: no root\n"), HANG, formats=FORMATS[:2])
    verdict = workshop.prove(exports, NO_NETWORK, KNOWN)
    assert not verdict.passed
    assert [f.split(": ", 1)[1] for f in failures(verdict)] == [
        "the guest stopped: Kernel panic - not syncing: no root"
    ] * 2
    assert in_brief(verdict) == "0 of 2 machines came up"
    assert all(s.seconds < 60 for s in verdict.seen)
    first = verdict.seen[0].error
    assert first is not None
    assert "Kernel panic" in first.evidence.serial
    assert first.evidence.screenshot is not None


def test_a_silent_guest_fails_when_its_time_is_up_and_an_unknown_one_is_tried_twice(workshop: Workshop) -> None:
    exports = workshop.export(HANG, formats=(parse_request("ova", {"controller": "pvscsi"}),))
    verdict = workshop.prove(exports, replace(NO_NETWORK, deadline=Duration(3)), Drivers(unknown="btrfs"))
    (seen,) = verdict.seen
    assert seen.error is not None
    assert "login prompt" in seen.error.message
    assert seen.notes == ["did not come up on q35, pvscsi, e1000: " + seen.error.message]
    assert (workshop.logs / "guest.ova-try-2" / "serial.log").exists()


def test_a_damaged_file_is_named_and_the_others_are_still_booted(workshop: Workshop) -> None:
    exports = workshop.export(say("guest login: "), HANG, formats=(FORMATS[3], FORMATS[0]))
    packed = workshop.root / "artifact" / "guest.raw.gz"
    packed.write_bytes(packed.read_bytes()[:-40])
    verdict = workshop.prove(exports, NO_NETWORK, KNOWN)
    assert [bool(s.error) for s in verdict.seen] == [True, False]
    assert "guest.raw.gz can't be unpacked" in failures(verdict)[0]
    assert any(isinstance(e, Note) and e.level == "warning" for e in workshop.events)


def test_a_format_that_is_not_there_is_refused(workshop: Workshop) -> None:
    exports = workshop.export(HANG, formats=(FORMATS[0],))
    with pytest.raises(VerificationFailed, match="no ova to boot"):
        workshop.prove(exports, replace(NO_NETWORK, formats=("ova",)), KNOWN)
