"""What a converted template leaves open, so that no secret is written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.template.packer.to_template.left_open import LeftOpen
from tests.template.packer.written import build_with, hcl

pytestmark = pytest.mark.unit

PW = 'variable "pw" {\n  sensitive = true\n  default = "topSecret"\n}\n'
SHORT = 'variable "pin" {\n  sensitive = true\n  default = "1"\n}\n'
USER = 'variable "user" {\n  sensitive = true\n  default = "vagrant"\n}\n'
FLAG = 'variable "flag" {\n  sensitive = true\n  type = bool\n  default = true\n}\n'


def shell(*lines: str) -> str:
    """A build with one provisioner, whose lines are given as they stand between quotes in HCL."""
    quoted = ", ".join(f'"{line}"' for line in lines)
    return build_with(f'  provisioner "shell" {{\n inline = [{quoted}]\n }}\n')


def test_what_an_option_makes_of_a_sensitive_value_is_left_open_too(tmp_path: Path) -> None:
    text = 'variable "pw" {\n  type = list(string)\n  sensitive = true\n  default = ["geheim"]\n}\n'
    text += 'locals {\n  up = upper(flatten([var.pw, ["z"]])[0])\n}\n'
    left = LeftOpen.of(hcl(tmp_path, text + shell("a ${var.pw[0]}", "b ${local.up}", "c ${title(var.pw[0])}")))
    written = [left.text(line, str) for line in ("a geheim", "b GEHEIM", "c Geheim", "d")]
    assert written == ["a {{ vars.pw }}", "b {{ vars.up }}", "{{ vars.secret_1 }}", "d"]


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("echo ${var.pw} here", "echo {{ vars.pw }} here"),
        ("echo ${var.pw} ${sha1(var.pw)}", "{{ vars.secret_1 }}"),
        ("echo ${md5(var.pw)}1", "{{ vars.secret_1 }}"),
        ("echo ${var.pin} ${var.pw}", "{{ vars.secret_1 }}"),
        ("echo ${var.user}:${var.pw}", "echo vagrant:{{ vars.pw }}"),
        ('${format("%s:%s", var.user, sha256(var.pw))}', "{{ vars.secret_1 }}"),
        ('a ${"b ${var.pw}"} c', "a b {{ vars.pw }} c"),
        ('a ${"b ${upper(var.pw)}"} c', "{{ vars.secret_1 }}"),
    ],
)
def test_a_text_is_left_open_whole_where_not_all_that_is_secret_in_it_has_a_name(
    tmp_path: Path, line: str, written: str
) -> None:
    config = hcl(tmp_path, PW + SHORT + USER + shell(line))
    (whole,) = {s.reveal() for s in config.secrets} - {"topSecret", "1", "vagrant"}
    assert LeftOpen.of(config).text(whole, str) == written


def test_the_words_of_a_sensitive_condition_are_nobodys_secret_elsewhere(tmp_path: Path) -> None:
    lines = ('echo ${var.flag ? "install" : "remove"} it', "apt-get install x")
    left = LeftOpen.of(hcl(tmp_path, FLAG + shell(*lines)))
    assert left.text("apt-get install x", str) == "apt-get install x"
    assert "install" not in left.text("echo install it", str)
