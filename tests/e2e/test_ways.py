"""Other ways through the main job: UEFI, another bus, direct boot, seeds on media; and what must not go through."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import PROJECT, Outcome, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def test_uefi_typed_on_a_scsi_disk_and_delivered_for_vmware(tiny: Outcome, place: Place, tmp_path: Path) -> None:
    """No firmware here boots from VMware's controllers: another stands in, and the manifest says so."""
    head, _ = (PROJECT / "images" / "tiny.yml").read_text().split("outputs:")
    template = tmp_path / "images" / "tiny.yml"
    template.parent.mkdir()
    template.write_text(head + "outputs: [{ova: {controller: pvscsi, network: vmxnet3}}]\nverify: {clones: 1}\n")
    for name in ("http_seed", "scripts", "boot_configs"):
        (tmp_path / name).symlink_to(PROJECT / name)
    outcome = place.build(str(template), "-o", str(tmp_path / "out"), "-var", "firmware=uefi", "-var", "disk_bus=scsi")
    assert outcome.code == 0, outcome.stderr
    (booted,) = json.loads((tmp_path / "out/tiny/manifest.json").read_text())["verify"]["booted"]
    assert booted["passed"]
    assert booted["by"] == "ssh"
    assert "the UEFI firmware of this host has no driver for pvscsi" in booted["hardware"]["instead"]


def test_direct_boot_with_the_seed_in_the_initrd(tiny: Outcome, place: Place, tmp_path: Path) -> None:
    template = tmp_path / "direct.yml"
    template.write_text(
        """
format: 1
name: direct-initrd
source: {iso: {build: {script: scripts/iso/tiny, inputs: [scripts/iso/tiny.d]}}}
machine: {memory: 512 MiB, disks: [{id: main, size: 1 GiB, bus: nvme}]}
install: {profile: tiny, boot: direct, seed: initrd}
layers: "off"
"""
    )
    for name in ("http_seed", "scripts", "boot_configs"):
        (tmp_path / name).symlink_to(PROJECT / name)
    outcome = place.build(str(template), "--until", "install")
    assert outcome.code == 0, outcome.stderr
    assert not outcome.named("seed_requested")


MEDIA = """
format: 1
name: on-media
source: {{iso: {{build: {{script: scripts/iso/tiny, inputs: [scripts/iso/tiny.d], env: {{KERNEL_ROOT: {kernel}}}}}}}}}
machine: {{type: {machine}, memory: 512 MiB, disks: [{{id: main, size: 1 GiB, bus: {bus}}}]}}
install: {{profile: tiny, boot: direct, seed: {seed}}}
layers: "off"
"""


def built_on_media(place: Place, folder: Path, **ways: str) -> Outcome:
    (folder / "media.yml").write_text(MEDIA.format(**ways))
    for name in ("http_seed", "scripts", "boot_configs"):
        (folder / name).symlink_to(PROJECT / name)
    return place.build(str(folder / "media.yml"), "--until", "install")


def test_the_seed_on_a_cd_and_the_system_on_an_ide_disk(place: Place, tmp_path: Path) -> None:
    outcome = built_on_media(place, tmp_path, kernel="/", machine="pc", bus="ide", seed="cd")
    assert outcome.code == 0, outcome.stderr
    assert not outcome.named("seed_requested")


@pytest.fixture(scope="module")
def generic_kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's kernel for real computers, unpacked: the one for clouds can use no SATA, USB disk or floppy."""
    folder = tmp_path_factory.mktemp("kernel")
    question = ["apt-cache", "depends", "--important", "linux-image-amd64"]
    said = subprocess.run(question, capture_output=True, text=True, check=False)
    package = said.stdout.rpartition("Depends:")[2].strip()
    if not package or subprocess.run(["apt-get", "-qq", "download", package], cwd=folder, check=False).returncode:
        pytest.skip("this system's mirror offers no linux-image-amd64")
    (archive,) = folder.glob("*.deb")
    subprocess.run(["dpkg", "-x", archive, folder], check=True)
    archive.unlink()
    return folder


@pytest.mark.parametrize("bus", ["sata", "usb"])
def test_the_seed_on_a_floppy_and_the_system_on_a_disk_of_real_computers(
    bus: str, generic_kernel: Path, place: Place, tmp_path: Path
) -> None:
    outcome = built_on_media(place, tmp_path, kernel=str(generic_kernel), machine="q35", bus=bus, seed="floppy")
    assert outcome.code == 0, outcome.stderr
    assert not outcome.named("seed_requested")


def test_a_wrong_checksum_never_boots(place: Place, tmp_path: Path) -> None:
    iso = tmp_path / "installer.iso"
    iso.write_bytes(b"not the ISO that was promised")
    template = tmp_path / "wrong.yml"
    template.write_text(
        f"""
format: 1
name: wrong
source: {{iso: {{path: {iso}, checksum: "sha256:{"0" * 64}"}}}}
install: {{profile: tiny}}
"""
    )
    outcome = place.build(str(template))
    assert outcome.code == 5
    assert "wrong checksum" in outcome.named("build_finished")[-1]["message"]
    assert not [e for e in outcome.named("command_started") if "qemu-system" in e["command"]]


def test_a_template_with_mistakes_is_refused_before_anything_runs(place: Place, tmp_path: Path) -> None:
    template = tmp_path / "mistakes.yml"
    template.write_text("format: 1\nname: Mistakes!\nmachine: {sizee: 3}\n")
    result = place.run("build", str(template))
    assert result.returncode == 3
    assert "mistakes.yml:3:" in result.stderr
    assert "sizee" in result.stderr


def test_a_seed_that_is_never_fetched_is_named(tiny: Outcome, place: Place, tmp_path: Path) -> None:
    template = tmp_path / "mistyped.yml"
    template.write_text(
        """
format: 1
name: mistyped
source: {iso: {build: {script: scripts/iso/tiny, inputs: [scripts/iso/tiny.d]}}}
machine: {memory: 512 MiB, disks: [{id: main, size: 1 GiB}]}
install:
  profile: tiny
  boot_command: '<waitSerial "boot:" 2m>install seed={{ seed.url }}/sead<enter>'
  seed_deadline: 30s
"""
    )
    for name in ("http_seed", "scripts", "boot_configs"):
        (tmp_path / name).symlink_to(PROJECT / name)
    result = place.run("build", str(template), "-o", str(place.output))
    assert result.returncode == 5
    assert "fetch" in result.stderr
    assert "GET /sead → 404" in result.stderr
    assert "screenshot:" in result.stderr
    assert place.left_over() == []
