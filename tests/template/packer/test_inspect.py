"""``inspect``, ``console``, and the files that have to be there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.template.packer.inspect import console_answer, inspect_text
from factory.template.packer.missing_files import missing_files
from tests.template.packer.inspected import HCL, HCL_TEXT, JSON, JSON_TEXT
from tests.template.packer.written import build_with, hcl, loaded

pytestmark = pytest.mark.unit


def test_inspect(tmp_path: Path) -> None:
    assert inspect_text(hcl(tmp_path, HCL)) == HCL_TEXT
    assert inspect_text(loaded(tmp_path, {"t.json": json.dumps(JSON)}, "t.json", variables={"req": "r"})) == JSON_TEXT


def test_console(tmp_path: Path) -> None:
    config = hcl(tmp_path, HCL)
    assert console_answer(config, "upper(local.a)") == "ADEF"
    assert console_answer(config, "var.secret") == "<sensitive>"
    assert console_answer(config, "[var.x]") == '[\n  "def",\n]'
    assert "var.x" in console_answer(config, "variables")
    with pytest.raises(TemplateError, match="there is no variable “y”"):
        console_answer(config, "var.y")
    old = loaded(tmp_path, {"t.json": json.dumps(JSON)}, "t.json", variables={"req": "r"})
    assert console_answer(old, "{{ user `a` | upper }}") == "X"


def test_missing_files(tmp_path: Path) -> None:
    (tmp_path / "there.sh").write_text("")
    config = hcl(
        tmp_path,
        build_with(
            '  provisioner "shell" {\n    scripts = ["there.sh", "gone.sh"]\n  }\n'
            '  provisioner "file" {\n    source = "made-later"\n    destination = "/"\n    generated = true\n  }\n'
            '  provisioner "file" {\n    source = "/etc/x"\n    destination = "y"\n    direction = "download"\n  }\n'
            '  post-processor "vagrant" {\n    include = ["gone.rb"]\n  }',
            '  http_directory = "http"\n',
        ),
    )
    assert [(p.severity, p.message) for p in missing_files(config)] == [
        ("warning", "“http_directory”: there is no file or folder “http”"),
        ("error", "“scripts”: there is no file or folder “gone.sh”"),
    ]
