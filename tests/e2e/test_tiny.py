"""The main job on the tiny installer: from an ISO to checked artifacts, with one command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import Outcome, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def test_every_phase_ran_in_order(tiny: Outcome) -> None:
    assert tiny.phases("phase_started") == ["install", "boot", "provision-1", "provision-2", "seal", "export"]
    assert tiny.named("build_finished")[-1]["outcome"] == "succeeded"
    requests = tiny.named("seed_requested")
    assert [(r["path"], r["status"]) for r in requests] == [("/seed", 200)]


def test_what_was_typed_was_read_back(tiny: Outcome) -> None:
    typed = tiny.named("typed")
    assert len(typed) == 1
    assert typed[0]["characters"] > 40


def test_the_provisioner_s_output_is_streamed_with_its_name(tiny: Outcome) -> None:
    lines = [(e["provisioner"], e["line"]) for e in tiny.named("guest_output")]
    assert any(name == "say hello" and "Linux" in line for name, line in lines)


def test_all_files_are_there_and_have_their_checksums(artifact: Path) -> None:
    names = {p.name for p in artifact.iterdir()}
    assert names == {
        "tiny.qcow2", "tiny.vmdk", "tiny.ova", "tiny.raw", "manifest.json", "SHA256SUMS", "seal.json", "seal.html",
    }  # fmt: skip
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=artifact, check=True)


def test_qemu_img_finds_the_images_whole_and_equal(artifact: Path) -> None:
    subprocess.run(["qemu-img", "check", "-q", artifact / "tiny.qcow2"], check=True)
    for name, kind in (("tiny.vmdk", "vmdk"), ("tiny.raw", "raw")):
        compare: list[str | Path] = [
            "qemu-img",
            "compare",
            "-q",
            "-f",
            "qcow2",
            "-F",
            kind,
            artifact / "tiny.qcow2",
            artifact / name,
        ]
        subprocess.run(compare, check=True)


def test_the_vmdk_in_the_ova_is_the_same_disk(artifact: Path) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    (disk,) = next(f for f in manifest["files"] if f["format"] == "ova")["disks"]
    window = json.dumps(
        {
            "driver": "vmdk",
            "file": {
                "driver": "raw", "offset": disk["offset"], "size": disk["length"],
                "file": {"driver": "file", "filename": str(artifact / "tiny.ova")},
            },
        }
    )  # fmt: skip
    subprocess.run(["qemu-img", "compare", "-q", f"json:{window}", artifact / "tiny.qcow2"], check=True)


def test_the_build_key_is_in_no_artifact(artifact: Path, place: Place) -> None:
    keys = [json.loads(p.read_text())["public_key"] for p in (place.root / "cache/layers").glob("*/build.json")]
    assert keys
    content = (artifact / "tiny.raw").read_bytes()
    for key in keys:
        assert key.split()[1].encode() not in content
    assert b"factory-build-key" not in content


def test_the_exported_image_was_booted_and_let_the_verifier_in(artifact: Path) -> None:
    verify = json.loads((artifact / "manifest.json").read_text())["verify"]
    assert verify["passed"]
    assert verify["booted"][0]["banner"].startswith("SSH-2.0-dropbear")
    assert verify["booted"][0]["commands"] == [{"command": "test -s /etc/motd", "exit_status": 0}]


def test_an_unchanged_build_starts_nothing(tiny: Outcome, place: Place) -> None:
    again = place.build("images/tiny.yml")
    assert again.code == 0
    assert not again.named("phase_started")
    assert not [e for e in again.named("command_started") if "qemu-system" in e["command"]]


def test_an_edit_of_a_provisioner_goes_on_in_the_booted_guest(tiny: Outcome, place: Place) -> None:
    """Ends at the first provisioner: what follows is the same as in the whole build."""
    outcome = place.build("images/tiny.yml", "-var", "greeting=edited", "--until", "provision-1")
    assert outcome.code == 0, outcome.stderr
    assert outcome.phases("phase_skipped") == ["install", "boot"]
    assert outcome.phases("phase_started") == ["provision-1"]
    started = next(e for e in outcome.named("step_finished") if e["step"] == "start-machine")
    assert "resumed from memory" in started["detail"]


def test_the_plan_says_what_changed_since_the_newest_build(tiny: Outcome, place: Place) -> None:
    result = place.run("plan", "images/tiny.yml", "-var", "greeting=other", "-o", str(place.output))
    assert result.returncode == 0, result.stderr
    assert "install        stored as" in result.stdout
    assert "provision-1 will run again: env.GREETING changed from 'edited' to 'other'" in result.stdout


def test_nothing_is_left(tiny: Outcome, place: Place) -> None:
    assert place.left_over() == []
    assert place.half_made() == []
