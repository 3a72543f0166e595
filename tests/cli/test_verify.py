"""``factory verify`` on an artifact of one boot sector: what holds, and each way in which it may not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from factory.drivers.qemu.disk_image import QemuImg
from factory.events import ignore
from factory.outputs.export import export_all, parse_request
from factory.outputs.hardware import OvfHardware
from factory.outputs.manifest import write_manifest
from factory.plan.resources import SealedDisk
from factory.quantity import Size
from tests.drivers.qemu.guests import HANG, disk, say

pytestmark = pytest.mark.machine

PROJECT = Path(__file__).parents[2]
KINDS = ("qcow2", "ova", "vhd", "containerdisk", "vagrant")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("verify")
    image = disk(place / "disk.raw", say("guest login: "), HANG, size=2 * 2**20)
    folder = place / "guest"
    folder.mkdir()
    exports = asyncio.run(
        export_all(
            [SealedDisk("main", image, "raw", Size(2 * 2**20))], [parse_request(k) for k in KINDS], name="guest",
            hardware=OvfHardware(cpus=1, memory=Size.parse("64 MiB")), uefi_variables=None, staging=folder,
            images=QemuImg(), emit=ignore,
        )
    )  # fmt: skip
    write_manifest(folder, exports, about={"template": "guest"})
    return folder


@pytest.fixture
def copy(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "guest"))


def verify(folder: Path, *options: str, cache: Path) -> tuple[int, dict[str, Any], str]:
    environment = {**os.environ, "FACTORY_CACHE": str(cache), "FACTORY_RUNS": str(cache / "runs")}
    argv = [sys.executable, "-m", "factory", "verify", str(folder), "--json", *options]
    done = subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_an_artifact_is_proven_by_its_manifest_alone(artifact: Path, tmp_path: Path) -> None:
    code, result, said = verify(artifact, "--formats", "ova,vhd", cache=tmp_path)
    assert code == 0, said
    assert result["passed"]
    booted = {b["path"]: b for b in result["verify"]["booted"]}
    assert set(booted) == {"guest.ova", "guest.vhd"}
    assert booted["guest.ova"]["by"] == "login prompt"
    assert (booted["guest.vhd"]["hardware"]["machine"], booted["guest.vhd"]["hardware"]["bus"]) == ("pc", "ide")
    assert all(p.is_file() for p in artifact.iterdir()), "nothing is added"


def test_a_flipped_byte_and_a_missing_file_are_named_and_nothing_is_booted(copy: Path, tmp_path: Path) -> None:
    content = bytearray((copy / "guest.vhd").read_bytes())
    content[1000] ^= 1
    (copy / "guest.vhd").write_bytes(content)
    (copy / "guest.qcow2").unlink()
    code, result, said = verify(copy, cache=tmp_path)
    assert code == 8
    assert result["verify"] is None
    assert sorted(result["checksums"]) == [
        f"guest.qcow2 is missing from {copy}", "guest.vhd is not what was exported: its SHA-256 differs",
    ]  # fmt: skip
    assert "guest.qcow2 is missing" in said


@pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS"])
def test_a_file_about_the_others_that_is_cut_is_refused(name: str, copy: Path, tmp_path: Path) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    code, _, said = verify(copy, "--no-boot", cache=tmp_path)
    assert code == 8
    assert name in said


def test_a_manifest_without_its_checksums_proves_nothing(copy: Path, tmp_path: Path) -> None:
    (copy / "SHA256SUMS").unlink()
    code, result, _ = verify(copy, "--no-boot", cache=tmp_path)
    assert code == 8
    assert "SHA256SUMS can't be read" in result["checksums"][0]


def forge(folder: Path, name: str, content: bytes) -> None:
    """Another content with right checksums: as if it had been built so."""
    old = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / name).write_bytes(content)
    for listing in ("manifest.json", "SHA256SUMS"):
        before = hashlib.sha256((folder / listing).read_bytes()).hexdigest()
        text = (folder / listing).read_text().replace(old, hashlib.sha256(content).hexdigest())
        (folder / listing).write_text(text)
        sums = (folder / "SHA256SUMS").read_text()
        (folder / "SHA256SUMS").write_text(sums.replace(before, hashlib.sha256(text.encode()).hexdigest()))


def test_a_file_that_is_no_whole_file_of_its_format_is_named(copy: Path, tmp_path: Path) -> None:
    vhd = bytearray((copy / "guest.vhd").read_bytes())
    vhd[-100] ^= 1  # in the footer
    forge(copy, "guest.vhd", bytes(vhd))
    ova = (copy / "guest.ova").read_bytes()
    forge(copy, "guest.ova", ova.replace(b"SHA256(", b"SHA257(", 1))
    layer = bytearray((copy / "guest-containerdisk.oci.tar").read_bytes())
    layer[layer.index(b"QFI\xfb") + 8] ^= 1
    forge(copy, "guest-containerdisk.oci.tar", bytes(layer))
    code, result, _ = verify(copy, "--no-boot", cache=tmp_path)
    assert code == 8
    assert result["checksums"] == []
    wrong = "\n".join(result["formats"])
    assert "guest.vhd: its footer's checksum is not right" in wrong
    assert "guest.ova: " in wrong
    assert "is not what its name says" in wrong


def test_a_disk_that_refers_to_another_file_is_refused_before_qemu_opens_it(copy: Path, tmp_path: Path) -> None:
    base, overlay = tmp_path / "hostsecret.raw", tmp_path / "overlay.qcow2"
    base.write_bytes(b"secret".ljust(2 * 2**20, b"\0"))
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(overlay)]
    subprocess.run(argv, check=True, timeout=60)
    forge(copy, "guest.qcow2", overlay.read_bytes())
    code, result, _ = verify(copy, "--no-boot", cache=tmp_path)
    assert code == 8
    assert result["checksums"] == []
    assert result["formats"] == [f"guest.qcow2: guest.qcow2 refers to another file: the backing file '{base}'"]


def test_a_file_that_is_a_link_out_of_the_folder_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "guest.qcow2").rename(tmp_path / "elsewhere.qcow2")
    (copy / "guest.qcow2").symlink_to(tmp_path / "elsewhere.qcow2")
    code, result, _ = verify(copy, "--no-boot", cache=tmp_path)
    assert code == 8
    assert "guest.qcow2 is a link out of" in result["checksums"][0]


def test_what_comes_up_no_more_fails(copy: Path, tmp_path: Path) -> None:
    content = (copy / "guest.vhd").read_bytes()
    forge(copy, "guest.vhd", content.replace(say("guest login: "), say("grub rescue> "), 1))
    code, result, said = verify(copy, "--formats", "vhd", cache=tmp_path)
    assert code == 8
    assert "the guest stopped: grub rescue>" in said
    assert not result["verify"]["booted"][0]["passed"]


def test_another_folder_is_refused(tmp_path: Path) -> None:
    code, _, said = verify(tmp_path, cache=tmp_path / "cache")
    assert code == 8
    assert "manifest.json: No such file" in said


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("name",), "a/b"),
        (("files", 0, "disks", 0, "disk"), "{}/precious"),
        (("files", 0, "target", "nic"), "virtio-net-pci,romfile=/some/file"),
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(
    place: tuple[str | int, ...], value: str, copy: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious.qcow2"
    precious.write_text("mine")
    data: Any = json.loads((copy / "manifest.json").read_text())
    inner = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value.format(tmp_path)
    forge(copy, "manifest.json", json.dumps(data).encode())
    code, result, said = verify(copy, "--no-login", cache=tmp_path / "cache")
    assert code == 8
    assert result == {}
    assert f"no manifest of factory: {'.'.join(map(str, place))}: " in said
    assert "can't stand there" in said or "Input should be" in said
    assert precious.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("precious")) == ["precious.qcow2"]
