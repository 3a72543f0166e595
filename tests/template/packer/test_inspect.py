"""``inspect``, ``console``, and the files that have to be there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.template.packer.inspect import console_answer, inspect_text
from factory.template.packer.missing_files import missing_files
from factory.template.packer_files import Purpose
from tests.template.packer.inspected import HCL, HCL_TEXT, JSON, JSON_TEXT
from tests.template.packer.written import LEAST, build_with, hcl, loaded

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


NEEDS = f"""variable "need" {{
  type = string
}}
variable "many" {{
  type = list(string)
}}
variable "opt" {{
  default = "x"
}}
locals {{
  a = "${{var.need}}-b"
}}
source "qemu" "v" {{
  {LEAST}
  vm_name = var.need
  memory  = length(var.many)
}}
build {{
  sources = ["qemu.v"]
  provisioner "shell" {{
    inline = var.many
  }}
}}
"""


def test_a_variable_without_a_value_is_unknown_to_who_looks(tmp_path: Path) -> None:
    config = hcl(tmp_path, NEEDS, purpose=Purpose.SHOW)
    assert 'var.many: "<unknown>"\nvar.need: "<unknown>"\nvar.opt: "x"\n' in inspect_text(config)
    assert 'local.a: "<unknown>"' in inspect_text(config)
    assert console_answer(config, "upper(var.opt)") == "X"
    assert console_answer(config, "local.a") == "<unknown>"
    with pytest.raises(TemplateError, match="“need” has no value"):
        hcl(tmp_path, NEEDS)


def test_a_json_template_lists_what_it_needs(tmp_path: Path) -> None:
    builder = {"type": "qemu", "iso_url": "{{user `need`}}", "iso_checksum": "none", "memory": "{{user `mem`}}"}
    text = json.dumps({"variables": {"need": None, "mem": None, "opt": "x"}, "builders": [builder]})
    config = loaded(tmp_path, {"t.json": text}, "t.json", purpose=Purpose.SHOW)
    assert "Required variables:\n\n  mem\n  need\n\nOptional" in inspect_text(config)
    assert console_answer(config, "{{ user `opt` }}") == "x"
    with pytest.raises(TemplateError, match="“need” has no value"):
        loaded(tmp_path, {"t.json": text}, "t.json")


def test_a_list_of_checksums_on_this_host_has_to_be_there(tmp_path: Path) -> None:
    def found(checksum: str) -> list[str]:
        text = build_with("").replace('"none"', f'"{checksum}"')
        return [str(p) for p in missing_files(hcl(tmp_path, text)) if p.severity == "error"]

    assert "“iso_checksum”: there is no file “nope”" in found("file:nope")[0]
    (tmp_path / "nope").write_text("")
    assert found("file:nope") == found("file:https://example.com/SHA256SUMS") == found("none") == []


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
