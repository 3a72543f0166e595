"""``factory seal``, ``convert`` and ``inspect`` on real images, as a user runs them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from factory.cli.program import run
from factory.seal.report import SealReport
from tests.seal.dirty_disk import DirtyDisk, make_dirty_debian, program, write_tree
from tests.seal.test_seal import Sealed

pytestmark = pytest.mark.machine

MIB = 2**20
FACTORY = [sys.executable, "-m", "factory"]


@dataclass(frozen=True, slots=True)
class Said:
    stdout: str
    stderr: str


class Factory(Protocol):
    def __call__(self, *arguments: object, code: int = 0) -> Said: ...


@pytest.fixture
def factory(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Factory:
    """The program, whole, in this process: starting a Python for each call would take most of the time."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object, code: int = 0) -> Said:
        monkeypatch.setattr(sys, "argv", ["factory", *map(str, arguments)])
        capsys.readouterr()
        try:
            run()
        except SystemExit as stop:
            ended = stop.code or 0
        else:
            ended = 0
        said = Said(*capsys.readouterr())
        assert ended == code, f"{said.stdout}\n{said.stderr}"
        return said

    return call


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left_over(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> DirtyDisk:
    return make_dirty_debian(tmp_path_factory.mktemp("dirty"))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A raw disk with data that can be compressed, data that can't, and holes."""
    generator, path = random.Random(5), tmp_path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(64 * MIB)
        for at in range(0, 16 * MIB, MIB):
            os.pwrite(stream.fileno(), generator.randbytes(MIB // 2) + b"some text\n" * (MIB // 20), at)
    return path


# --- seal ------------------------------------------------------------------------------------------------------------


def test_an_image_is_sealed_in_place_and_stays_what_it_was(factory: Factory, dirty: DirtyDisk, tmp_path: Path) -> None:
    image, link, raw = tmp_path / "image.qcow2", tmp_path / "link.qcow2", tmp_path / "sealed.raw"
    program("qemu-img", "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", dirty.path, image)
    image.chmod(0o640)
    link.symlink_to(image.name)
    preview = factory("seal", link, "--dry-run").stdout
    assert "/var/lib/systemd/random-seed" in preview
    assert "/etc/systemd/system/factory-ssh-host-keys.service" in preview, "what an operation's own code would do"
    said = factory("seal", link, "--allow", "private-key:/nowhere").stdout
    assert "18 of 44 operations had something to do; clean" in said, "edits of lines count as those of files"
    assert link.is_symlink()
    assert image.stat().st_mode & 0o777 == 0o640
    assert "compression type: zstd" in program("qemu-img", "info", image)
    assert left_over(tmp_path) == []
    program("qemu-img", "convert", "-O", "raw", image, raw)
    sealed = Sealed(dirty, raw, SealReport.__new__(SealReport), ())
    assert sealed.canaries() == set()
    assert sealed.dirty_free_bytes() == 0
    assert "factory-ssh-host-keys" in sealed.debugfs("ls /etc/systemd/system")
    report = json.loads((tmp_path / "image.qcow2.seal.json").read_text())
    assert report["proven"]
    assert "Proven clean" in (tmp_path / "image.qcow2.seal.html").read_text()


def test_what_is_not_clean_stays_as_it_was(factory: Factory, tmp_path: Path) -> None:
    """A key in a file of somebody: sealing does not remove it, the proof finds it."""
    folder, image = tmp_path / "made", tmp_path / "image.raw"
    folder.mkdir()
    key = subprocess.run(["openssl", "genpkey", "-algorithm", "rsa"], capture_output=True, text=True, check=True).stdout
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (folder / "etc/fstab").write_text("")
    (folder / "etc/machine-id").write_text("0" * 32)
    (folder / "etc/service.pem").write_text(key)
    with image.open("wb") as stream:
        stream.truncate(32 * MIB)
    program("mke2fs", "-q", "-F", "-t", "ext4", "-d", folder, image)
    before = digest(image)
    result = factory("seal", image, "--only", "machine-id", code=8)
    assert "found private-key" in result.stderr
    assert "/etc/service.pem" in result.stderr
    assert digest(image) == before
    assert left_over(tmp_path) == []
    report = json.loads((tmp_path / "image.raw.seal.json").read_text())
    assert [f["where"] for f in report["findings"]] == ["/etc/service.pem"] * len(report["findings"])
    assert "Not clean" in (tmp_path / "image.raw.seal.html").read_text()


def test_snapshots_inside_of_an_image_are_not_dropped_without_a_word(factory: Factory, tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    program("qemu-img", "create", "-q", "-f", "qcow2", image, "8M")
    for name in ("before-upgrade", "after"):
        program("qemu-img", "snapshot", "-c", name, image)
    before = digest(image)
    for argv in (("seal", image), ("seal", image, "-o", tmp_path / "." / image.name)):
        said = factory(*argv, code=2).stderr
        assert "image.qcow2 holds 2 snapshots (before-upgrade, after)" in said
        assert "--output" in said
    assert digest(image) == before


def test_an_image_that_a_machine_has_open_is_refused(factory: Factory, disk: Path) -> None:
    drive = f"file={disk},format=raw,if=virtio"
    argv = ["qemu-system-x86_64", "-S", "-display", "none", "-nodefaults", "-qmp", "stdio", "-drive", drive]
    machine = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert machine.stdout is not None
        assert machine.stdin is not None
        machine.stdin.write(b'{"execute": "qmp_capabilities"}\n')
        machine.stdin.flush()
        assert b"QMP" in machine.stdout.readline()
        assert b"return" in machine.stdout.readline()  # its greeting may come before it has its disks, no answer does
        result = factory("seal", disk, code=5)
        assert "disk.raw is in use" in result.stderr
        assert "shut that machine down" in result.stderr
    finally:
        machine.kill()
        machine.communicate()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["seal"], 2, "name an image to seal"),
        (["seal", "--only", "machine-ids", "disk.raw"], 3, "did you mean 'machine-id'?"),
        (["seal", "disk.raw", "copy.raw", "-o", "x.raw"], 2, "of several disks --output is a folder"),
        (["seal", "disk.raw", "-o", "nowhere/x.qcow2"], 2, "there is no folder"),
        (["seal", "disk.raw", "-o", "copy.raw"], 2, "copy.raw is there already"),
        (["seal", "disk.raw", "--only", ""], 2, "names nothing"),
        (["seal", "disk.raw", "--allow", "privte-key"], 3, "did you mean 'private-key'?"),
        (["seal", "disk.raw", "--remove-user", "*"], 3, "'*' is no user's name"),
        (["convert", "disk.raw"], 2, "--to ova,vagrant"),
        (["convert", "disk.raw", "--to", "ovva"], 3, "there is no output 'ovva'"),
        (["convert", "disk.raw", "--to", "libvirt"], 3, "made by builds only"),
        (["convert", "disk.raw", "--to", "raw:compress=rar"], 3, "output raw"),
        (["convert", "disk.raw", "--to", "qcow2", "--name", "../x"], 2, "can't name files"),
        (["convert", "notes.txt", "--to", "qcow2"], 2, "is a template"),
        (["inspect", "disk.raw", "notes.txt"], 2, "not both at once"),
        (["inspect", "disk.raw.gz"], 5, "unpack it first"),
    ],
)
def test_mistakes_are_told_and_nothing_is_touched(
    factory: Factory, arguments: list[str], code: int, words: str, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(disk.parent)
    Path("copy.raw").write_bytes(bytes(MIB))
    Path("notes.txt").write_text("some notes\n")
    Path("disk.raw.gz").write_bytes(b"\x1f\x8b" + bytes(100))
    before = {p.name: digest(p) for p in Path().iterdir()}
    assert words in factory(*arguments, code=code).stderr
    assert {p.name: digest(p) for p in Path().iterdir() if p.is_file()} == before


def test_all_operations_are_listed_with_what_where_and_why(factory: Factory) -> None:
    rows = json.loads(factory("seal", "--list", "--json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["machine-id"]["default"]
    assert "/var/lib/dbus/machine-id" in by_name["machine-id"]["removes"]
    assert by_name["fs-uuids"]["default"] is False
    assert all(row["what"] and row["why"] and row["guests"] for row in rows)
    assert "off ssh-userdir  (Linux, BSD): removes users' whole .ssh folders" in factory("seal", "--list").stdout


# --- convert ---------------------------------------------------------------------------------------------------------


def test_an_image_becomes_an_artifact_in_other_formats(factory: Factory, disk: Path) -> None:
    output = disk.parent / "out"
    preview = json.loads(
        factory(
            "convert", disk, "--to", "qcow2,raw:compress=zstd:bmap=true", "-o", output, "--preview", "--json"
        ).stdout
    )
    assert not output.exists()
    factory("convert", disk, "--to", "qcow2,raw:compress=zstd:bmap=true", "-o", output)
    folder = output / "disk"
    assert {p.name for p in folder.iterdir()} == {
        "disk.qcow2", "disk.raw.zst", "disk.bmap", "manifest.json", "SHA256SUMS",
    }  # fmt: skip
    assert left_over(output) == []
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    program("qemu-img", "compare", disk, folder / "disk.qcow2")
    for estimate, name in zip(preview["estimates"], ("disk.qcow2", "disk.raw.zst"), strict=True):
        assert estimate["size"] == pytest.approx((folder / name).stat().st_size, rel=0.25), name


def test_what_the_guest_lacks_where_it_goes_is_named_before_it_is_exported(factory: Factory, tmp_path: Path) -> None:
    """Also from an OVA, whose disk our own reader does not read."""
    root, image = tmp_path / "root", tmp_path / "small.raw"
    write_tree(
        root,
        {
            "etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/fstab": "", "etc/os-release": "ID=debian\n",
            "boot/vmlinuz-6.1": "", "lib/modules/6.1/modules.builtin": "kernel/virtio_pci.ko\nkernel/virtio_blk.ko\n",
            "lib/modules/6.1/modules.dep": "kernel/hv_netvsc.ko:\n",
        },
    )  # fmt: skip
    program("mkfs.ext4", "-q", "-d", root, image, "16M")
    said = factory("convert", image, "--to", "ova,vhd", "-o", tmp_path / "out").stderr
    assert "VMware: no disk driver in the initramfs (one of mptspi, mptsas)" in said
    assert "Hyper-V and Azure: no bus driver in the initramfs (one of hv_vmbus)" in said
    assert "to mend it:" in said
    manifest = json.loads((tmp_path / "out/small/manifest.json").read_text())
    assert "VMware: no network driver among the kernel's modules (one of e1000)" in manifest["drivers"]["missing"]
    again = factory("convert", tmp_path / "out/small/small.ova", "--to", "vhdx,raw", "-o", tmp_path / "again").stderr
    assert "Hyper-V and Azure: no disk driver" in again
    assert "VMware: no" not in again
    silent = factory("convert", image, "--to", "raw", "-o", tmp_path / "raw").stderr
    assert "driver" not in silent, "who flashes a raw file knows the hardware"


def test_a_folder_of_something_else_is_not_replaced(factory: Factory, disk: Path) -> None:
    (disk.parent / "out/disk").mkdir(parents=True)
    (disk.parent / "out/disk/thesis.txt").write_text("years of work")
    result = factory("convert", disk, "--to", "qcow2", "-o", disk.parent / "out", code=5)
    assert "holds what factory did not put there: thesis.txt" in result.stderr
    assert (disk.parent / "out/disk/thesis.txt").read_text() == "years of work"


def test_what_is_interrupted_leaves_nothing(disk: Path) -> None:
    """Not even what another one has left, that was killed."""
    output = disk.parent / "out"
    (output / ".staging/image-of-a-dead-one").mkdir(parents=True)
    process = subprocess.Popen(
        [*FACTORY, "convert", str(disk), "--to", "raw:compress=xz", "-o", str(output)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (output.exists() and list(output.glob(".staging/*/disk/*"))):
        assert process.poll() is None, "it has ended before it was interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 130
    assert list(output.iterdir()) == []


# --- inspect ---------------------------------------------------------------------------------------------------------


def test_an_image_is_inspected(factory: Factory, dirty: DirtyDisk) -> None:
    said = factory("inspect", dirty.path).stdout
    assert "Debian GNU/Linux 12 (bookworm)" in said
    assert "partition:   main 3: ext4 “root”, 134 MiB on /" in said
    (data,) = json.loads(factory("inspect", dirty.path, "--json").stdout)
    assert data["guest"]["family"] == "debian"
    assert [p["type"] for p in data["partitions"]] == ["vfat", "swap", "ext4"]
    assert data["folders"]["/var/log"] > 0
