"""``factory init`` on the real ISOs that scripts of this project make."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from factory.cli.program import cli
from factory.template.load import load
from tests.content.shipped import ROOT

pytestmark = pytest.mark.machine

SCRIPTS = ROOT / "scripts" / "iso"
NETBOOT = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz")


def init(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    iso = folder / "anything.iso"
    subprocess.run([SCRIPTS / script, iso], check=True, stdin=subprocess.DEVNULL)
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli, ["init", "anything.iso"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_tiny_iso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = init("tiny", tmp_path, monkeypatch)
    assert "boot profile tiny: its label is 'TINYOS'; it holds boot/vmlinuz and isolinux/isolinux.cfg" in output
    template = load(tmp_path / "tiny-iso.yml").template
    assert template.source.iso is not None
    assert template.source.iso.path == "anything.iso"
    text = (tmp_path / "tiny-iso.yml").read_text()
    assert "the ISO boots by BIOS and UEFI" in text
    assert "starts boot/vmlinuz and boot/initrd.img (a known place)" in text


@pytest.mark.skipif(not NETBOOT.exists(), reason="debian-installer-12-netboot-amd64 is not installed")
def test_the_debian_netboot_iso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = init("debian-netboot", tmp_path, monkeypatch)
    assert "anything.iso: Debian GNU/Linux 12 (by its label)" in output
    assert "boot profile debian-" in output
    loaded = load(tmp_path / "debian-12.yml", host={"mirror": "http://mirror.example/debian"})
    assert loaded.template.install is not None
    assert loaded.template.install.boot == "direct"
    assert (
        "debian-installer/amd64/linux and debian-installer/amd64/initrd.gz" in (tmp_path / "debian-12.yml").read_text()
    )
