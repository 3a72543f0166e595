"""Real disks through a real appliance; what is left is looked for by programs that are not libguestfs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.drivers.guestfs.appliance import GuestfsDriver
from factory.drivers.protocols import ApplianceDisk
from factory.drivers.qemu.disk_image import QemuImg
from factory.errors import VerificationFailed
from factory.events import Event, Note, Progress
from factory.seal.model import Family, Init, SealOptions
from factory.seal.report import SealReport
from factory.seal.seal import seal
from factory.secret import Secret, encodings
from tests.seal.dirty_disk import BUILD_KEY, CANARIES, GAPS, USER_KEY, DirtyDisk, make_dirty_debian, program

pytestmark = pytest.mark.machine

OPTIONS = SealOptions(secrets={n: Secret(v) for n, v in CANARIES.items()}, build_keys=(BUILD_KEY,))


@dataclass(frozen=True, slots=True)
class Sealed:
    disk: DirtyDisk
    raw: Path
    """The sealed disk as a raw file, whatever it was sealed as."""
    report: SealReport
    events: tuple[Event, ...]

    def debugfs(self, command: str) -> str:
        return program("debugfs", "-R", command, f"{self.raw}?offset={self.disk.root_offset}")

    def canaries(self) -> set[str]:
        """Names of planted secrets of which any spelling is anywhere in the file."""
        content = self.raw.read_bytes()
        return {
            name
            for name, value in self.disk.canaries.items()
            if any(spelling.encode() in content for spelling in encodings(value) if len(spelling) >= 6)
        }

    def dirty_free_bytes(self) -> int:
        """Bytes other than zero in blocks that dumpe2fs calls free."""
        said = program("dumpe2fs", f"{self.raw}?offset={self.disk.root_offset}")
        size = int(re.search(r"^Block size: +(\d+)$", said, re.MULTILINE)[1])  # type: ignore[index]
        dirty = 0
        with self.raw.open("rb") as stream:
            for line in re.findall(r"^  Free blocks: ([0-9, -]+)$", said, re.MULTILINE):
                for part in line.split(", "):
                    first, _, last = part.partition("-")
                    stream.seek(self.disk.root_offset + int(first) * size)
                    data = stream.read((int(last or first) - int(first) + 1) * size)
                    dirty += len(data) - data.count(0)
        return dirty


def run(
    driver: GuestfsDriver, disk: ApplianceDisk, options: SealOptions, folder: Path
) -> tuple[SealReport, list[Event]]:
    events: list[Event] = []
    report = asyncio.run(
        seal([disk], options, driver=driver, runtime_dir=folder / "run", emit=events.append, images=QemuImg())
    )
    assert list((folder / "run").iterdir()) == [], "the appliance left files behind"
    return report, events


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, appliance_driver: GuestfsDriver) -> Sealed:
    folder = tmp_path_factory.mktemp("seal")
    disk = make_dirty_debian(folder)
    before = Sealed(disk, disk.path, SealReport.__new__(SealReport), ())
    assert before.canaries() == set(CANARIES), "the dirty disk is not as dirty as it should be"
    assert before.dirty_free_bytes() > 10_000
    report, events = run(appliance_driver, ApplianceDisk(disk.path, "raw", "main"), OPTIONS, folder)
    return Sealed(disk, disk.path, report, tuple(events))


@pytest.fixture(scope="module")
def sealed_but_for_logs(tmp_path_factory: pytest.TempPathFactory, appliance_driver: GuestfsDriver) -> Iterator[Sealed]:
    """The hard way: blocks of 1 KiB on an overlay with clusters of 64 KiB, shrunk, and one operation left out."""
    folder = tmp_path_factory.mktemp("seal-overlay")
    disk = make_dirty_debian(folder, block_size=1024)
    base, overlay, raw = folder / "base.qcow2", folder / "overlay.qcow2", folder / "sealed.raw"
    program("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk.path, base)
    program("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", overlay)
    options = SealOptions(secrets=OPTIONS.secrets, build_keys=(BUILD_KEY,), except_=("logs",), shrink=True)
    report, events = run(appliance_driver, ApplianceDisk(overlay, "qcow2"), options, folder)
    program("qemu-img", "convert", "-f", "qcow2", "-O", "raw", overlay, raw)
    yield Sealed(disk, raw, report, tuple(events))
    raw.unlink()


def test_the_disk_is_clean_and_proven(sealed: Sealed) -> None:
    assert sealed.report.problems == ()
    assert sealed.report.proven
    sealed.report.require_proven()
    assert sealed.report.guest.family is Family.DEBIAN
    assert sealed.report.guest.init is Init.SYSTEMD
    assert str(sealed.report.guest) == "Debian GNU/Linux 12 (bookworm)"


def test_none_of_thirty_secrets_is_found_by_a_plain_search(sealed: Sealed) -> None:
    assert sealed.canaries() == set()
    assert BUILD_KEY.split()[1].encode() not in sealed.raw.read_bytes()


def test_nothing_is_left_outside_of_the_partitions(sealed: Sealed, sealed_but_for_logs: Sealed) -> None:
    for one in (sealed, sealed_but_for_logs):  # the other was shrunk
        content = one.raw.read_bytes()
        assert [text for text in GAPS.values() if text.encode() in content] == []
        (outside,) = [f for f in one.report.free_space if f.type == "gaps"]
        assert outside.place == "disk main outside of all partitions" or one is not sealed
        assert (outside.free > 500_000, outside.dirty) == (True, 0)
        assert "No errors detected" in program("sfdisk", "--verify", one.raw)


def test_no_free_block_keeps_old_contents(sealed: Sealed) -> None:
    assert sealed.dirty_free_bytes() == 0
    (root,) = [f for f in sealed.report.free_space if f.type == "ext"]
    assert root.dirty == 0
    assert root.free > 50 * 2**20


def test_swap_is_empty_and_still_swap_under_its_name(sealed: Sealed) -> None:
    with sealed.raw.open("rb") as stream:
        stream.seek(sealed.disk.swap_offset)
        content = stream.read(sealed.disk.swap_size)
    assert content[4086:4096] == b"SWAPSPACE2"
    assert content[1052:1056] == b"SWAP"  # the label by which fstab knows it
    assert content[4096:].count(0) == len(content) - 4096
    assert "Type: regular" in sealed.debugfs("stat /swapfile")


def test_the_guest_is_as_the_operations_promise(sealed: Sealed) -> None:
    assert sealed.debugfs("cat /etc/machine-id") == ""
    assert sealed.debugfs("cat /root/.ssh/authorized_keys") == f"{USER_KEY}\n"
    assert sealed.debugfs("cat /etc/motd") == "welcome\n"
    assert "ssh-keygen -A" in sealed.debugfs("cat /etc/systemd/system/factory-ssh-host-keys.service")
    assert "0644" in sealed.debugfs("stat /etc/systemd/system/factory-ssh-host-keys.service")
    assert "ssh_host" not in sealed.debugfs("ls /etc/ssh")
    assert "syslog" in sealed.debugfs("ls /var/log")
    assert program("e2fsck", "-f", "-n", f"{sealed.raw}?offset={sealed.disk.root_offset}")


def test_the_sealed_file_gives_its_space_back(sealed: Sealed) -> None:
    # What stays allocated is the journal (16 MiB of zeros, made by mke2fs): exporters leave zeros out.
    assert sealed.raw.stat().st_blocks * 512 < 18 * 2**20


def test_the_report_is_plain_data(sealed: Sealed) -> None:
    data = json.loads(json.dumps(sealed.report.to_json()))
    assert data["proven"] is True
    assert data["guest"]["family"] == "debian"
    assert {"name", "what", "paths", "seconds"} <= set(data["operations"][0])
    assert not any(secret in json.dumps(data) for secret in CANARIES.values())
    assert sealed.report.summary.endswith("clean")


def test_progress_and_notes_are_told(sealed: Sealed) -> None:
    tasks = {e.task for e in sealed.events if isinstance(e, Progress)}
    assert {"sanitise", "trim", "scan main"} <= tasks
    assert any(isinstance(e, Note) and "sealing Debian" in e.message for e in sealed.events)


def test_what_an_operation_leaves_is_found_and_named(sealed_but_for_logs: Sealed) -> None:
    report = sealed_but_for_logs.report
    assert not report.proven
    assert {f.where for f in report.findings} == {"/var/log/secrets.log"}
    assert {f.name for f in report.findings} == {f"secret:canary{n}" for n in range(10)}
    with pytest.raises(VerificationFailed, match=r"secret:canary\d.*in /var/log/secrets.log") as error:
        report.require_proven()
    assert "allow" in error.value.hint
    assert "Can'ary" not in str(error.value)


def test_small_blocks_on_large_clusters_do_not_leak(sealed_but_for_logs: Sealed) -> None:
    """Where a plain fstrim leaks (blocks smaller than what the image gives back), zeros are written."""
    assert sealed_but_for_logs.dirty_free_bytes() == 0
    assert "zerofree" in {t.method for t in sealed_but_for_logs.report.trimmed}
    left = {f"canary{n}" for n in range(10)}  # those in the log that was left on purpose
    assert sealed_but_for_logs.canaries() == left


def test_a_shrunk_disk_is_whole_and_grows_again(sealed_but_for_logs: Sealed) -> None:
    sealed = sealed_but_for_logs
    assert len(sealed.report.shrunk) == 1
    assert sealed.raw.stat().st_size < 150 * 2**20 < 160 * 2**20
    assert "No errors detected" in program("sfdisk", "--verify", sealed.raw)
    assert program("e2fsck", "-f", "-n", f"{sealed.raw}?offset={sealed.disk.root_offset}")
    unit = sealed.debugfs("cat /etc/systemd/system/factory-grow-root.service")
    assert "ConditionPathExists=/var/lib/factory/grow-root" in unit
    assert "Mode:  0755" in sealed.debugfs("stat /usr/lib/factory/grow-root")
    assert "Type: regular" in sealed.debugfs("stat /var/lib/factory/grow-root")
