"""What a converted template leaves open, so that no secret is written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factory.template.packer.to_template.left_open import LeftOpen
from tests.template.packer.written import build_with, hcl

pytestmark = pytest.mark.unit


def test_what_an_option_makes_of_a_sensitive_value_is_left_open_too(tmp_path: Path) -> None:
    text = 'variable "pw" {\n  type = list(string)\n  sensitive = true\n  default = ["geheim"]\n}\n'
    text += 'locals {\n  up = upper(flatten([var.pw, ["z"]])[0])\n}\n'
    steps = '  provisioner "shell" {\n inline = ["a ${var.pw[0]}", "b ${local.up}", "c ${title(var.pw[0])}"]\n }\n'
    left = LeftOpen.of(hcl(tmp_path, text + build_with(steps)))
    written = [left.text(line, str) for line in ("a geheim", "b GEHEIM", "c Geheim", "d")]
    assert written == ["a {{ vars.pw }}", "b {{ vars.up }}", "c {{ vars.secret_1 }}", "d"]


def test_what_is_computed_beside_the_value_itself_is_left_open_too(tmp_path: Path) -> None:
    text = 'variable "pw" {\n  sensitive = true\n  default = "geheim"\n}\n'
    steps = '  provisioner "shell" {\n inline = ["echo ${var.pw} ${sha1(var.pw)} ${upper(var.pw)}!"]\n }\n'
    config = hcl(tmp_path, text + build_with(steps))
    line = next(s.reveal() for s in config.secrets if s.reveal().startswith("echo "))
    written = LeftOpen.of(config).text(line, str)
    assert re.fullmatch(r"echo \{\{ vars.pw \}\} \{\{ vars.secret_\d \}\} \{\{ vars.secret_\d \}\}!", written)
