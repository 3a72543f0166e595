"""Packer's templates on the command line, by the words that Packer's users know."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from factory.cli.packer_flags import NAMES
from factory.cli.program import cli, long_options
from factory.cli.report.machine_readable import machine_line
from factory.cli.single_dash import SINGLE_DASH, double_dashes
from factory.errors import FactoryError, TemplateError

pytestmark = pytest.mark.unit
LEAST = 'iso_url = "tiny.iso"\n  iso_checksum = "none"\n  ssh_username = "root"\n  ssh_password = var.password\n'
TEMPLATE = f"""variable "password" {{
  type      = string
  default   = "geheim"
  sensitive = true
}}
source "qemu" "one" {{
  {LEAST}
}}
source "qemu" "two" {{
  {LEAST}
}}
source "virtualbox-iso" "three" {{
  guest_os_type = "x"
}}
build {{
  name    = "b"
  sources = ["source.qemu.one", "source.qemu.two", "source.virtualbox-iso.three"]
  provisioner "shell" {{
    inline = ["true"]
  }}
}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.pkr.hcl").write_text(TEMPLATE)
    (tmp_path / "tiny.iso").write_bytes(b"iso")
    return tmp_path


def factory(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, double_dashes(arguments), input=stdin)


def test_a_template_is_found_by_its_file_and_by_its_folder(folder: Path) -> None:
    for name in ("t.pkr.hcl", "."):
        result = factory("validate", name)
        assert result.exit_code == 0, result.output
        assert "builds of other builders are passed over: virtualbox-iso" in result.output
        assert f"{name}: ok" in result.output


def test_a_mistake_is_shown_with_its_place_and_what_was_expected(folder: Path) -> None:
    (folder / "t.pkr.hcl").write_text(
        TEMPLATE.replace('iso_checksum = "none"', 'iso_checksum = "md5:12"\n  dsk = 1', 1)
    )
    result = factory("validate", "t.pkr.hcl")
    assert result.exit_code == 3
    assert "t.pkr.hcl:9:" in result.output
    assert "dsk = 1" in result.output
    assert "^" in result.output


def test_a_json_template_may_come_by_standard_input(folder: Path) -> None:
    builder = {"type": "qemu", "iso_url": "a.iso", "iso_checksum": "none", "ssh_username": "root"}
    text = json.dumps({"builders": [builder], "provisioners": [{"type": "shell", "script": "gone.sh"}]})
    result = CliRunner().invoke(cli, ["validate", "-"], input=text)
    assert result.exit_code == 3
    assert "stdin.json:1:" in result.output
    assert "there is no file or folder “gone.sh”" in result.output
    Path("gone.sh").write_text("true\n")
    assert CliRunner().invoke(cli, ["validate", "-"], input=text).exit_code == 0


def test_only_and_except_go_by_packers_names(folder: Path) -> None:
    assert factory("inspect", "-json", "-only=b.qemu.one", ".").output.count('"name": "b.qemu.one"') == 1
    names = [d["name"] for d in json.loads(factory("inspect", "-json", "-except", "*.one", ".").stdout)]
    assert names == ["b.qemu.two"]
    result = factory("validate", "-only=nothing", ".")
    assert result.exit_code == 3
    assert "no build of the qemu builder is left by -only=nothing" in result.output


def test_another_architecture_is_valid_and_passed_over(folder: Path) -> None:
    (folder / "t.pkr.hcl").write_text(
        TEMPLATE.replace("ssh_username", 'qemu_binary = "qemu-system-aarch64"\n  ssh_username')
    )
    result = factory("validate", ".")
    assert result.exit_code == 0, result.output
    assert "wants qemu-system-aarch64, and factory makes x86_64 machines" in result.output
    refused = factory("inspect", "-json", ".")
    assert isinstance(refused.exception, FactoryError)


def test_what_no_package_has_is_said_at_once(folder: Path) -> None:
    (folder / "t.pkr.hcl").write_text(TEMPLATE.replace('provisioner "shell"', 'provisioner "shel"'))
    result = factory("validate", ".")
    assert result.exit_code == 0
    assert "no provisioner is called 'shel' (did you mean 'shell'?): plan and build will refuse it" in result.output
    assert "factory.provisioners" in result.output


def test_a_wait_that_is_not_above_zero_is_an_error(folder: Path) -> None:
    (folder / "t.pkr.hcl").write_text(TEMPLATE.replace("ssh_username", 'boot_command = ["<wait-1m>"]\n  ssh_username'))
    result = factory("validate", ".")
    assert result.exit_code == 3
    assert "boot_command: " in result.output


def test_syntax_only_looks_at_no_values(folder: Path) -> None:
    (folder / "t.pkr.hcl").write_text(TEMPLATE.replace("var.password", "var.nothing"))
    assert factory("validate", ".").exit_code == 3
    assert factory("validate", "-syntax-only", ".").exit_code == 0
    (folder / "t.pkr.hcl").write_text("source {")
    assert factory("validate", "-syntax-only", ".").exit_code == 3
    (folder / "t.json").write_text('{"builders": [')
    assert factory("validate", "-syntax-only", "t.json").exit_code == 3


def test_inspect_masks_what_is_sensitive(folder: Path) -> None:
    output = factory("inspect", ".").output
    assert 'var.password: "<sensitive>"' in output
    assert "geheim" not in output
    assert "b.virtualbox-iso.three  (for virtualbox-iso: passed over)" in output


def test_console(folder: Path) -> None:
    lines = factory("console", "t.pkr.hcl", stdin='upper("a")\nhelp\nexit\nnever\n').output.splitlines()
    assert lines[0] == "A"
    assert lines[1].startswith("Type an expression")
    assert "never" not in lines
    assert factory("console", "-config-type=json", stdin='{{ upper "b" }}\n').output == "B\n"
    wrong = factory("console", stdin="1 +\n2\n")
    assert "expected a value, found the end" in wrong.output
    assert wrong.output.endswith("2\n")


def test_inspect_and_console_need_no_values(folder: Path) -> None:
    (folder / "t.pkr.hcl").write_text('variable "need" {\n  type = string\n}\n' + TEMPLATE)
    shown = factory("inspect", "t.pkr.hcl")
    assert shown.exit_code == 0, shown.output
    assert 'var.need: "<unknown>"' in shown.output
    assert factory("console", "t.pkr.hcl", stdin="upper(var.need == null ? 1 : 2)\nupper(path.root)\n").exit_code == 0


@pytest.mark.parametrize("wrong", ['variable "x" { type=string\n default=1 }\n', "x {\na=1}\n", "a=[1\nb=2\n"])
def test_fmt_leaves_what_is_no_hcl_alone(folder: Path, wrong: str) -> None:
    (folder / "t.pkr.hcl").write_text(wrong)
    result = factory("fmt", "t.pkr.hcl")
    assert isinstance(result.exception, TemplateError)
    assert "t.pkr.hcl:" in str(result.exception.problems[0])
    assert (folder / "t.pkr.hcl").read_text() == wrong


def test_fmt(folder: Path) -> None:
    crooked = 'variable "a" {\ndefault="b"\n  description = "c"\n}\n'
    straight = 'variable "a" {\n  default     = "b"\n  description = "c"\n}\n'
    (folder / "t.pkr.hcl").write_text(crooked)
    checked = factory("fmt", "-check", "-diff", ".")
    assert checked.exit_code == 3
    assert '-default="b"' in checked.output
    assert factory("fmt", "-write=false", ".").exit_code == 0
    assert (folder / "t.pkr.hcl").read_text() == crooked
    assert factory("fmt", ".").output == "t.pkr.hcl\n"
    assert (folder / "t.pkr.hcl").read_text() == straight
    assert factory("fmt", "-check", ".").exit_code == 0
    assert factory("fmt", "-", stdin=crooked).output == straight
    assert factory("fmt", "nowhere").exit_code == 2


def test_init_downloads_nothing_and_says_what_is_there(folder: Path) -> None:
    plugins = (
        'packer {\n  required_plugins {\n    qemu = {\n      source = "github.com/hashicorp/qemu"\n    }\n  }\n}\n'
    )
    (folder / "t.pkr.hcl").write_text(plugins + TEMPLATE)
    assert factory("init", "-upgrade", ".").output == "qemu: built in\n"
    (folder / "t.pkr.hcl").write_text(plugins.replace("qemu", "chef") + TEMPLATE)
    result = factory("init", ".")
    assert result.exit_code == 7
    assert "chef: not here; a Python package can bring it, by an entry point in the group factory.prov" in result.output


def test_convert_writes_what_validate_accepts(folder: Path) -> None:
    (folder / "http").mkdir()
    (folder / "http/ks.cfg.j2").write_text("text {{ untouched }}")
    source = TEMPLATE.replace(
        "ssh_username",
        'http_directory = "http"\n  boot_command = ["a {% b http://{{ .HTTPIP }}:{{ .HTTPPort }}/ks.cfg<enter>"]\n'
        "  ssh_username",
    )
    (folder / "t.pkr.hcl").write_text(source)
    result = factory("convert", "-only=*.one", "t.pkr.hcl")
    assert result.exit_code == 0, result.output
    text = (folder / "b-qemu-one.yml").read_text()
    assert "http://{{ seed.host }}:{{ seed.port }}/ks.cfg<enter>" in text
    assert "{{ '{%' }} b" in text
    checked = factory("validate", "-var", "password=geheim", "b-qemu-one.yml")
    assert checked.exit_code == 0, checked.output
    assert factory("convert", "-only=*.one", "t.pkr.hcl").exit_code == 2  # the file is there
    assert factory("convert", "--name", "x", "t.pkr.hcl").exit_code == 2  # two builds, one name
    assert "finished: guest-connected" in factory("convert", "-o", "-", "-only=*.one", "t.pkr.hcl").output


def test_convert_writes_no_sensitive_value(folder: Path) -> None:
    """It is asked for instead: by a template that somebody keeps, mails or commits, everybody would know it."""
    more = (
        'variable "key-id" {\n  default   = "k9k{%z7z"\n  sensitive = true\n}\n'
        'local "derived" {\n  expression = upper(var.password)\n  sensitive  = true\n}\n'
    )
    text = TEMPLATE.replace(
        "ssh_username", "shutdown_command = \"echo '${var.password}' | sudo -S poweroff\"\n  ssh_username"
    )
    inline = 'inline = ["use ${var.key-id} ${local.derived}", "echo ${build.Host} geheim"]'
    (folder / "t.pkr.hcl").write_text(more + text.replace('inline = ["true"]', inline))
    result = factory("convert", "-only=*.one", "t.pkr.hcl")
    assert result.exit_code == 0, result.output
    written = (folder / "b-qemu-one.yml").read_text()
    assert not re.search("geheim|k9k|z7z", written, re.IGNORECASE)
    assert "{{ vars.key_id }} {{ vars.derived }}" in written
    assert "give them with -var NAME=VALUE or FACTORY_VAR_NAME" in written
    (told,) = (line for line in result.output.splitlines() if line.startswith("sensitive, so not written down: "))
    assert {"password", "key_id", "derived"} == set(re.findall(r"\w+", told.partition(": ")[2].partition(";")[0]))
    missing = factory("validate", "b-qemu-one.yml")
    assert "variable 'password' needs a value" in missing.output
    given = ("-var=password=geheim", "-var=key_id=abc", "-var=derived=X")
    checked = factory("validate", *given, "b-qemu-one.yml")
    assert checked.exit_code == 0, checked.output


def test_convert_names_files_as_seen_from_where_the_template_goes(folder: Path) -> None:
    (folder / "one.sh").write_text("true\n")
    text = TEMPLATE.replace("ssh_username", 'disk_additional_size = ["1G"]\n  ssh_username')
    text = text.replace('inline = ["true"]\n  }', 'script = "one.sh"\n  }\n  post-processor "vagrant" {}')
    (folder / "t.pkr.hcl").write_text(text)
    result = factory("convert", "-only=*.one", "t.pkr.hcl", "-o", "conv/deep")
    assert result.exit_code == 0, result.output
    checked = factory("validate", "-var=password=geheim", "conv/deep/b-qemu-one.yml")
    assert checked.exit_code == 0, checked.output
    written = (folder / "conv/deep/b-qemu-one.yml").read_text()
    assert f"path: {folder}/tiny.iso" in written
    assert "- vagrant:\n    box_format: v2\n" in written


def test_every_flag_of_packer_may_have_one_dash() -> None:
    assert set(NAMES) <= set(SINGLE_DASH)
    assert double_dashes(["-timestamp-ui", "-var", "a=-b", "-only=x"]) == [
        "--timestamp-ui",
        "--var",
        "a=-b",
        "--only=x",
    ]


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("-onyl=qemu.x", "No such option: -onyl. Did you mean -only?"),
        ("-excpt", "Did you mean -except?"),
        ("-frehs", "Did you mean --fresh?"),
        ("-obuilds/x", "A value stands apart: -o builds/x"),
        ("-vx", "No such option: -vx."),
    ],
)
def test_a_mistyped_word_with_one_dash_is_no_row_of_letters(argument: str, meant: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        double_dashes(["build", argument, "t.pkr.hcl"], long_options)
    assert meant in caught.value.message


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "-o", "-out", "-vv", "-v", "-", "t.yml"],
        ["build", "--var", "-only=x", "--output", "-force"],
        ["ssh", "run", "ls", "-force", "-lart"],
        ["screen", "-wv", "-h", "-1"],
        ["build", "--", "-onyl"],
    ],
)
def test_what_is_no_word_with_one_dash_stays_as_it_is(arguments: list[str]) -> None:
    assert double_dashes(arguments) == arguments
    assert double_dashes(["build", "-help"]) == ["build", "--help"]


def test_a_switch_may_have_a_value() -> None:
    arguments = ["build", "-force=true", "-debug=false", "--timestamp-ui=1", "-json=F", "-color=false", "x=true"]
    assert double_dashes(arguments) == ["build", "--force", "--timestamp-ui", "--color=false", "x=true"]
    with pytest.raises(click.UsageError, match="-force is true or false, not 'maybe'"):
        double_dashes(["build", "-force=maybe"])


def test_lines_for_machines_of_inspect_and_validate(folder: Path) -> None:
    text = 'variable "need" {\n  type = string\n}\n' + TEMPLATE
    (folder / "t.pkr.hcl").write_text(text)
    for arguments in (("-machine-readable", "inspect", "."), ("inspect", "-machine-readable", ".")):
        lines = [line.partition(",")[2] for line in factory(*arguments).output.splitlines()]
        assert ",template-variable,need,,1" in lines
        assert ",template-variable,password,<sensitive>,0" in lines
        assert ",template-builder,b.qemu.one,qemu" in lines
        assert ",template-provisioner,shell" in lines
        assert ',ui,say,var.need: "<unknown>"' in lines
    refused = factory("-machine-readable", "validate", ".")
    assert refused.exit_code == 3
    assert ",ui,error,t.pkr.hcl:1:1: error: the variable “need” has no value" in refused.output
    assert (
        ",ui,say,.: ok%!(PACKER_COMMA) 2 builds" in factory("validate", "-machine-readable", "-var=need=1", ".").output
    )


def test_lines_for_machines_are_packer_s_are_packer_s() -> None:
    assert machine_line("qemu.x", "ui", "say", "a, b\nc").partition(",")[2] == "qemu.x,ui,say,a%!(PACKER_COMMA) b\\nc"
