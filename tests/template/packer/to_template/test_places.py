"""What is wrong with an option is told at that option's own line, also when only the translation finds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory.errors import TemplateError
from factory.template.load import load_all
from factory.template.model import Nic, Shell
from factory.template.packer.builds import check_builds
from factory.template.packer.hcl import Source, Span
from factory.template.packer.hcl.source import NOWHERE
from factory.template.packer.options import Options
from factory.template.packer.to_template import to_template
from factory.template.packer.to_template.placing import placed
from tests.template.packer.written import build_with, hcl

pytestmark = pytest.mark.unit
HCL = """source "qemu" "vm" {
  iso_url      = "http://example.com/a.iso"
  iso_checksum = "none"
  ssh_username = "root"

  %s
}

build {
  sources = ["source.qemu.vm"]
}
"""


def told(path: Path, severity: str = "error") -> list[str]:
    _, problems = check_builds(path, variables={}, var_files=(), environ={})
    return [f"{p.place.line}:{p.place.column} {p.message}" for p in problems if p.place and p.severity == severity]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ('boot_command = ["<wait-5s>"]', "boot_command: "),
        ('boot_steps = [["<wait-5s>"]]', "boot_steps: "),
        ('cd_files = ["gone.txt"]', "cd_files: there is no file or folder “gone.txt”"),
        ('floppy_files = ["gone.txt"]', "floppy_files: there is no file or folder “gone.txt”"),
        ('floppy_dirs = ["gone"]', "floppy_dirs: there is no file or folder “gone”"),
        ("ssh_port = 70000", "“ssh_port”: "),
        ('ssh_local_tunnels = ["1:a:2"]', "“ssh_local_tunnels”: factory opens no ports"),
        ('net_bridge = "br0"', "nothing says at which address the guest is reached on this bridge"),
    ],
)  # fmt: skip
def test_an_error_points_at_the_option(option: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text(HCL % option)
    (problem,) = told(tmp_path / "t.pkr.hcl")
    assert problem.startswith(f"6:3 {message}")


@pytest.mark.parametrize(
    "fields",
    [{"mac": "zz"}, {"network": ("id=x",)}, {"bridge": "br0", "network": ("net=10.0.0.0/8",)}, {"device": ("mac=x",)}],
)
def test_what_is_wrong_with_a_card_is_an_option_s(fields: dict[str, Any]) -> None:
    place = Span(Source.of("t.pkr.hcl", "\n\nqemuargs = []"), 2, 10)
    with pytest.raises(TemplateError) as caught, placed(Options(places={"qemuargs": place}), NOWHERE):
        Nic(**fields)
    (problem,) = caught.value.problems
    assert problem.message.startswith("“qemuargs”: ")


def test_what_our_own_checks_say_comes_without_the_library_s_words() -> None:
    with pytest.raises(TemplateError) as caught, placed(Options(), NOWHERE):
        Shell()
    assert str(caught.value.problems[0].message).startswith("a shell provisioner has exactly one of")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ('machine_type = "microvm"', "machine_type “microvm”"),
        ('http_directory = "gone"', "“http_directory”: there is no file or folder “gone”"),
    ],
)
def test_a_warning_points_at_the_option(option: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text(HCL % option)
    assert [p for p in told(tmp_path / "t.pkr.hcl", "warning") if p.startswith(f"6:3 {message}")]


def test_what_can_not_be_made_here_is_valid_and_can_not_be_built(tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text(HCL % "vm_name = data.http.d.body" + 'data "http" "d" {\n  url = "u"\n}\n')
    assert told(tmp_path / "t.pkr.hcl") == []
    with pytest.raises(TemplateError, match="“vm_name” has no value yet"):
        load_all(tmp_path / "t.pkr.hcl")


def test_what_a_provisioner_does_wrong_stands_at_its_own_option(tmp_path: Path) -> None:
    steps = 'provisioner "file" {\n    source      = "gone"\n    destination = "/x"\n  }'
    (tmp_path / "t.pkr.hcl").write_text((HCL % "").replace('vm"]\n}', 'vm"]\n  ' + steps + "\n}"))
    (problem,) = told(tmp_path / "t.pkr.hcl")
    assert problem.startswith("12:5 “source”: there is no file")


def test_a_json_template_has_places_too(tmp_path: Path) -> None:
    builder = {
        "type": "qemu",
        "iso_url": "a",
        "iso_checksum": "none",
        "ssh_username": "r",
        "boot_command": ["<wait-5s>"],
    }
    (tmp_path / "t.json").write_text(json.dumps({"builders": [builder]}, indent=1))
    (problem,) = told(tmp_path / "t.json")
    assert problem.startswith("8:4 boot_command: ")


def test_every_missing_file_is_told_at_once(tmp_path: Path) -> None:
    source = '  floppy_files = ["a", "b"]\n  floppy_dirs = ["http"]\n  cd_files = ["c"]\n'
    config = hcl(tmp_path, build_with("", source))
    with pytest.raises(TemplateError) as caught:
        to_template(config, config.builds[0])
    assert [p.message.split("“")[1].split("”")[0] for p in caught.value.problems] == ["c", "a", "b", "http"]
    assert all(p.place for p in caught.value.problems)
