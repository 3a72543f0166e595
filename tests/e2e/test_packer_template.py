"""A Packer template as it is: built, edited, built again from where it was."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import FACTORY, Outcome, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
PASSWORD = "e2e-password"


@pytest.fixture
def folder(tiny: Outcome, place: Place, tmp_path: Path) -> Path:
    """The template beside the ISO that the other builds have made."""
    (iso,) = (p for p in (place.root / "cache/media/built").glob("tiny-*") if p.suffix != ".sha256")
    os.link(iso, tmp_path / "tiny.iso")
    (tmp_path / "http").mkdir()
    crypt = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout
    (tmp_path / "http/seed").write_text(f"HOSTNAME=tiny\nDISK=/dev/vda\nROOT_HASH='{crypt.strip()}'\n")
    builder = {
        "type": "qemu", "name": "box", "iso_url": "tiny.iso", "iso_checksum": "none", "vm_name": "box.img",
        "disk_size": "1024M", "memory": 512, "cpus": 2, "http_directory": "http", "boot_wait": "3s", "headless": True,
        "boot_command": ["install seed=http://{{ .HTTPIP }}:{{ .HTTPPort }}/seed<enter>"], "ssh_username": "root",
        "ssh_password": PASSWORD, "ssh_timeout": "10m", "shutdown_command": "poweroff",
        "ssh_pty": True,
    }  # fmt: skip
    template = {
        "variables": {"word": "first"},
        "builders": [builder],
        "provisioners": [
            {"type": "shell", "inline": ["echo {{user `word`}} > /etc/word", "echo $PACKER_BUILD_NAME"]},
            {"type": "shell-local", "inline": ["echo here > local.txt"]},
        ],
        "post-processors": [{"type": "compress", "output": "{{.BuildName}}.tar.zst"}, "manifest"],
    }
    (tmp_path / "box.json").write_text(json.dumps(template))
    return tmp_path


def build(place: Place, folder: Path, *arguments: str) -> tuple[int, list[dict[str, str]], str]:
    done = subprocess.run(
        [*FACTORY, "build", "--json", *arguments, "box.json"], cwd=folder, env=place.environment, capture_output=True,
        text=True, timeout=900, check=False,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_template_is_built_and_an_edit_goes_on_from_memory(place: Place, folder: Path) -> None:
    code, events, errors = build(place, folder)
    assert code == 0, errors
    assert sorted(p.name for p in folder.iterdir()) == [
        "box.json", "box.tar.zst", "http", "local.txt", "output-box", "packer-manifest.json", "tiny.iso",
    ]  # fmt: skip
    assert [p.name for p in (folder / "output-box").iterdir()] == ["box.img"]
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", folder / "output-box/box.img"], check=True)
    assert any(e.get("line") == "box" for e in events if e["event"] == "guest_output")
    assert PASSWORD not in json.dumps(events)

    code, events, errors = build(place, folder)
    assert code == 3
    assert "the output directory output-box exists already" in errors

    code, events, errors = build(place, folder, "-force", "-var", "word=second")
    assert code == 0, errors
    assert [e["phase"] for e in events if e["event"] == "phase_skipped"] == ["prepare", "install"]
    started = next(e for e in events if e["event"] == "step_finished" and e["step"] == "start-machine")
    assert "resumed from memory" in started["detail"]
    assert not [e["message"] for e in events if e["event"] == "note" and "resumed guest did not" in e["message"]]

    code, events, errors = build(place, folder, "-force", "-on-error=abort", "-var", "word=; exit 3;")
    assert code == 5, errors
    assert any("-on-error=abort: a machine can't outlive its build" in e.get("message", "") for e in events)
    assert place.left_over() == []
