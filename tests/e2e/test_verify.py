"""What was exported is booted file by file, as machines that differ; and what does not pass never gets its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import PROJECT, Outcome, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def test_every_file_was_booted_and_no_two_machines_are_the_same(artifact: Path) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    verify = manifest["verify"]
    assert [(b["path"], b["clone"]) for b in verify["booted"]] == [
        ("tiny.qcow2", 1), ("tiny.qcow2", 2), ("tiny.vmdk", 1), ("tiny.ova", 1), ("tiny.raw", 1),
    ]  # fmt: skip
    assert all(b["passed"] and b["by"] == "ssh" and b["commands"] for b in verify["booted"])
    identities = [b["identity"] for b in verify["booted"]]
    assert len({i["machine_id"] for i in identities}) == len(identities)
    assert len({key for i in identities for key in i["host_keys"]}) == 2 * len(identities)
    assert verify["clones"]["result"] == {
        "machine id": "differ", "SSH host keys": "differ", "DHCP identity": "differ", "random seed": "none",
        "hostname": "same",
    }  # fmt: skip
    ova = next(b for b in verify["booted"] if b["format"] == "ova")
    assert ova["hardware"]["stands_for"] == "VMware"
    assert ova["hardware"]["bus"] in ("pvscsi", "lsilogic")


def test_twins_are_refused_with_exit_code_8_and_kept_aside(tiny: Outcome, place: Place, tmp_path: Path) -> None:
    """The same machine without its seal: both clones come up with the identity of the installation."""
    text = (PROJECT / "images" / "tiny.yml").read_text()
    head, _ = text.split("outputs:")
    template = tmp_path / "images" / "tiny.yml"
    template.parent.mkdir()
    template.write_text(head + "seal: false\noutputs: [qcow2]\nverify: {clones: 2}\n")
    for name in ("http_seed", "scripts", "boot_configs"):
        (tmp_path / name).symlink_to(PROJECT / name)
    output = tmp_path / "output"
    outcome = place.build(str(template), "-o", str(output))
    assert outcome.code == 8, outcome.stderr
    assert outcome.phases("phase_started") == ["export"], "all before it is in the store"
    message = outcome.named("build_finished")[-1]["message"]
    assert "tiny.qcow2 and tiny.qcow2-clone-2 have the same machine id" in message
    assert not (output / "tiny").exists()
    rejected = output / ".rejected" / "tiny"
    verify = json.loads((rejected / "manifest.json").read_text())["verify"]
    assert not verify["passed"]
    assert verify["clones"]["result"]["SSH host keys"] == "same"
    assert (rejected / "tiny.qcow2").exists()
