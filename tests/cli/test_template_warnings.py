"""What is odd in a template is said by every command that reads it, not only by validate and build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from factory.cli.program import cli

pytestmark = pytest.mark.unit

TEMPLATE = """format: 1
name: odd
variables: {firmware: {default: bios}}
source: {image: {path: disk.qcow2, checksum: none}}
machine: {disks: [{id: main, size: 1 GiB}]}
access: {ssh: {user: root}}
outputs: [vmdk, vmdk]
"""
ODD = ("no variable 'firmwar' is declared", "did you mean 'firmware'?", "is given twice")


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk.qcow2").touch()
    (tmp_path / "odd.yml").write_text(TEMPLATE)
    (tmp_path / "v.yml").write_text("firmwar: uefi\n")
    return tmp_path / "odd.yml"


def test_inspect_says_what_is_odd(template: Path) -> None:
    shown = CliRunner().invoke(cli, ["inspect", "odd.yml", "--var-file", "v.yml"])
    assert shown.exit_code == 0
    for words in ODD:
        assert shown.stderr.count(words) == 1
    plain = CliRunner().invoke(cli, ["inspect", "odd.yml", "--var-file", "v.yml", "--json"])
    (data,) = json.loads(plain.stdout)
    assert {w["severity"] for w in data["warnings"]} == {"warning"}
    assert any("firmwar" in w["message"] for w in data["warnings"])
