"""Asks Debian's Packer (1.6.6) what it makes of our own fixtures, and compares.

Each test needs one or two processes: many questions are put into one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from factory.drivers.qemu.arguments import arguments as qemu_arguments
from factory.errors import TemplateError
from factory.steps.machine_plan import installer_spec, machine_spec
from factory.template.load import load_all
from factory.template.model import Finished
from factory.template.packer import load
from factory.template.packer.gotemplate import Context, Surroundings, packer_functions, render
from factory.template.packer.hcl import NOWHERE, Source, parse_expression
from factory.template.packer.language.console_text import console_text
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope, World
from factory.template.packer.language.values import to_python
from tests.steps.test_contents import PLATFORM
from tests.template.packer.hcl.unformatted import FORMATTED, UNFORMATTED
from tests.template.packer.inspected import HCL, HCL_TEXT, JSON, JSON_TEXT
from tests.template.packer.language.expression_cases import cases

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(shutil.which("packer") is None, reason="packer is not installed"),
]
MARK = "=====mark"


def packer(folder: Path, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """Runs packer; its console only works on files, not on pipes."""
    given, got = folder / "stdin", folder / "stdout"
    given.write_text(stdin)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}
    with given.open() as source, got.open("w") as target:
        done = subprocess.run(
            ["packer", *arguments], stdin=source, stdout=target, stderr=subprocess.STDOUT, cwd=folder, env=environment,
            check=False, timeout=120,
        )  # fmt: skip
    return done.returncode, got.read_text()


def answers(folder: Path, questions: list[str], *arguments: str, mark: str) -> list[str]:
    lines = "".join(f"{q}\n{mark.format(i)}\n" for i, q in enumerate(questions))
    _, text = packer(folder, "console", *arguments, stdin=lines)
    found: list[str] = []
    for i in range(len(questions)):
        answer, separator, text = text.partition(f"{MARK}{i}\n")
        assert separator, f"packer gave no answer to {questions[i]!r}"
        found.append(answer.strip("\n"))
    return found


def test_expressions(tmp_path: Path) -> None:
    asked = [c for c in cases() if c.known_to_packer]
    theirs = answers(tmp_path, [c.expression for c in asked], "--config-type=hcl2", mark=f'"{MARK}{{}}"')
    assert len(asked) > 100
    different = []
    for case, answer in zip(asked, theirs, strict=True):
        expected = case.expected.strip("\n")
        failed = expected.startswith("error: ")
        if failed != answer.startswith("Error: ") or (not failed and answer != expected):
            different.append((case.expression, answer, expected))
    assert different == []


GO_TEMPLATES = [
    "{{ user `b` }}",
    "{{ user `none` }}.",
    '{{ printf "%05d|%-4s|%q|%x|%.2f|%v" 42 "ab" "q" 255 3.14159 true }}',
    '{{ split "a-b" "-" 1 }}',
    '{{ upper "a" }}{{ lower "B" }}',
    '{{ replace_all "a" "b" "aa" }}',
    '{{ replace "a" "b" 1 "aa" }}',
    "{{ if eq 1 1 }}y{{ else }}n{{ end }}",
    '{{ "a b&c=d/é" | urlquery }}',
    "{{ .Foo }}",
    "{{ \"<a href='x'>\" | html }}",
    '{{ js "it\'s <b>" }}',
    '{{ len "abc" }}',
    '{{ index "abc" 1 }}',
    '{{ and 1 0 }}{{ or 0 "x" }}{{ not true }}',
    '{{ lt 1 2 }}{{ ge 1.5 1.5 }}{{ ne "a" "b" }}',
    '{{ with "v" }}{{ . }}!{{ end }}',
    'a {{- " b " -}} c',
    "{{/* c */}}x",
    "{{ $x := 3 }}{{ $x }}",
    '{{ print 1 2 "a" "b" 3 }}',
    "{{ `raw \\n` }}",
    '{{ "tab\\t|" }}',
    "{{ 1e3 }} {{ 0x1F }} {{ 'a' }} {{ 1.50 }}",
    '{{ 1e6 }} {{ 1234567.5 }} {{ 0.00001 }} {{ printf "%v|%g|%G" 1e20 1e6 1e6 }}',
    '{{ (printf "%s" "in") | printf "%s-%s" "out" }}',
    '{{ slice "abcdef" 1 3 }}',
    "{{ true }}{{ false }}",
    '{{ printf "%d" "x" }}',
    '{{ printf "%s" }}',
    '{{ printf "a" 1 }}',
    "{{ nosuch }}",
    "{{ end }}",
    "{{ if }}x{{ end }}",
    '{{ eq 1 "a" }}',
    '{{ index "a" 5 }}',
    '{{ split "a" "-" 3 }}',
    "{{ build_name }}",
    "{{ unclosed",
    "{{ range $i, $c := .Foo }}x{{ else }}none{{ end }}",
    '{{ println "x" 1 }}',
    '{{ template "x" }}',
    "{{ $undefined }}",
    '{{ "a" "b" }}',
]


def test_go_templates(tmp_path: Path) -> None:
    root = {"variables": {"a": "x", "b": "{{user `a`}}y"}, "builders": [{"type": "null", "communicator": "none"}]}
    (tmp_path / "t.json").write_text(json.dumps(root))
    theirs = answers(tmp_path, GO_TEMPLATES, "t.json", mark=MARK + "{}")
    functions = packer_functions(Surroundings(World(), "1", {"a": "x", "b": "xy"}))
    different = []
    for text, answer in zip(GO_TEMPLATES, theirs, strict=True):
        try:
            mine = render(text, Context({}, functions, missing=lambda name: None), NOWHERE).strip("\n")
        except TemplateError as error:
            mine = f"error: {error}"
        failed = mine.startswith("error: ")
        if failed != ("Interpolation error" in answer) or (not failed and mine != answer):
            different.append((text, answer, mine))
    assert different == []


LOCALS = r"""
variable "v" {
  default = ["b", "a"]
}
locals {
  heredoc       = <<EOT
line ${var.v[0]}
  %{ if true ~}
  kept${"  "}
  %{~ else }no%{ endif }
%{ for i, x in var.v ~}
    - ${i}=${x}
%{ endfor ~}
$${literal} %%{literal} \n "quoted"
EOT
  indented      = <<-EOT
      first
        second ${"x"}

      ${"start"} third
	tab
  EOT
  flush_control = <<-EOT
    %{ for x in var.v }
      ${x}
    %{ endfor }
    end
  EOT
  trimmed       = "a  ${~ "b" ~}  c %{~ if true ~}  d  %{~ endif ~}  e"
  nested        = "${"${"deep"}"}${upper("x${lower("Y")}")}"
  empty         = <<EOT
EOT
  object        = { a = 1, "b c" : [true, null], (var.v[0]) = { d = "e" } }
  wrapped       = "${var.v}"
  grouped       = { for x in ["ab", "ac", "b"] : substr(x, 0, 1) => x... }
  arithmetic    = (1 + 2) * 3 - 7 % 4 / 2
  logic         = !(1 < 2 && "a" == "a") || 2 >= 2
  joined        = join(", ", [for s in sort(var.v) : upper(s) if s != "b"])
  needs_joined  = "${local.joined}!"
}
"""


def test_locals_of_a_template(tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text(LOCALS)
    mine = load(tmp_path / "t.pkr.hcl", environ={}).locals
    marks = {name: f"{MARK}{i}" for i, name in enumerate(sorted(mine))}
    lines = "".join(f'jsonencode(local.{name})\n"{mark}"\n' for name, mark in marks.items())
    _, text = packer(tmp_path, "console", "--config-type=hcl2", "t.pkr.hcl", stdin=lines)
    different = []
    for name, mark in marks.items():
        answer, separator, text = text.partition(mark + "\n")
        assert separator, name
        ours = evaluate(parse_expression(Source.of("t", "jsonencode(x)")), Scope({"x": mine[name]}, FUNCTIONS))
        if answer.strip("\n") != ours.data:
            different.append((name, answer, ours.data))
    assert different == []


def source(options: str, name: str = "x") -> str:
    least = 'iso_url = "/a.iso"\n  iso_checksum = "none"\n  ssh_username = "r"'
    return f'source "qemu" "{name}" {{\n  {least}\n  {options}\n}}\n'


def build(steps: str, *names: str) -> str:
    references = ", ".join(f'"source.qemu.{n}"' for n in names or ("x",))
    return f"build {{\n  sources = [{references}]\n  {steps}\n}}\n"


ACCEPTED = [
    "",
    'memory = "2048"',
    'headless = "true"',
    "disk_size = 5000",
    'disk_size = "10G"',
    'boot_wait = "-1s"',
    'boot_command = ["<wait5>a<enter>"]',
    'qemuargs = [["-m", 512], ["-netdev", "x,hostfwd={{ .SSHHostPort }}"]]',
    "vm_name = null",
    'disk_additional_size = ["1G"]',
    'ssh_timeout = "1h30m"',
    'format = ""',
    'communicator = "none"',
    'vm_name = "{{ build_name }}"',
    "memory = 1",
]
CHECKSUMS = ["none", "f" * 32, "F" * 40, "a" * 64, "0" * 128, "md5:" + "a" * 32, "SHA256:" + "a" * 64,
             "sha512:" + "A" * 128]  # fmt: skip
WRONG_CHECKSUMS = ["", "a" * 31, "sha256:" + "a" * 63, "sha3:" + "a" * 64, "g" * 64, "nonee"]
REFUSED = [
    "memry = 1",
    'memory = "lots"',
    'headless = "yes"',
    "boot_wait = 10",
    'disk_size = "10 GB"',
    'format = "vmdk"',
    'accelerator = "kwm"',
    'disk_interface = "virtoi"',
    'disk_cache = "x"',
    'boot_command = "x"',
    "use_backing_file = true",
    'communicator = "telnet"',
    "vm_name = var.nope",
    'vm_name = "a"\n vm_name = "b"',
    "vm_name = upper(",
    'vm_name = "${"',
    "skip_resize_disk = true",
    'iso_urls = ["a"]',
    'communicator = "winrm"',
    "http_port_min = 9500",
]
STEPS_ACCEPTED = [
    'provisioner "shell" {\n inline = ["true"]\n }',
    'provisioner "shell-local" {\n inline = ["{{ .Foo }}"]\n }',
    'provisioner "breakpoint" {}',
    'post-processor "manifest" {\n output = "m.json"\n }',
    'post-processors {\n post-processor "checksum" {}\n }',
    'post-processor "compress" {\n output = "{{.BuildName}}.tar.gz"\n }',
]
STEPS_REFUSED = [
    'provisioner "shell" {}',
    'provisioner "shell" {\n inlin = ["x"]\n }',
    'provisioner "file" {\n source = "/x"\n }',
    'provisioner "shell" {\n inline = ["a"]\n script = "b"\n }',
    'provisioner "shell" {\n inline = ["{{ nofn }}"]\n }',
    'provisioner "shell" {\n inline = ["a"]\n environment_vars = ["A"]\n }',
    'post-processor "checksum" {\n checksum_types = ["x"]\n }',
    'provisoner "shell" {}',
    'provisioner "shell" {\n inline = ["a"]\n pause_before = "soon"\n }',
]


def verdicts(folder: Path, text: str) -> tuple[bool, bool]:
    """What both say of a template: ours, theirs."""
    (folder / "t.pkr.hcl").write_text(text)
    status, _ = packer(folder, "validate", "t.pkr.hcl")
    try:
        load(folder / "t.pkr.hcl", environ={}, working=folder)
    except TemplateError:
        return False, status == 0
    return True, status == 0


def test_what_is_accepted(tmp_path: Path) -> None:
    names = [f"s{i}" for i in range(len(ACCEPTED))]
    sources = "".join(source(o, n) for o, n in zip(ACCEPTED, names, strict=True))
    assert verdicts(tmp_path, sources + build("\n  ".join(STEPS_ACCEPTED), *names)) == (True, True)


def test_checksums(tmp_path: Path) -> None:
    names = [f"s{i}" for i in range(len(CHECKSUMS))]
    given = [source("", n).replace('"none"', f'"{c}"') for c, n in zip(CHECKSUMS, names, strict=True)]
    assert verdicts(tmp_path, "".join(given) + build("", *names)) == (True, True)
    bad = {c: verdicts(tmp_path, source("").replace('"none"', f'"{c}"') + build("")) for c in WRONG_CHECKSUMS}
    assert {c: both for c, both in bad.items() if any(both)} == {}


def test_what_is_refused(tmp_path: Path) -> None:
    bad = [source(o) + build("") for o in REFUSED] + [source("") + build(s) for s in STEPS_REFUSED]
    wrong = {text: both for text in bad if any(both := verdicts(tmp_path, text))}
    assert wrong == {}


def test_format(tmp_path: Path) -> None:
    # 1.6.6 leaves a blank after “!”; later versions don't.
    (tmp_path / "t.pkr.hcl").write_text(UNFORMATTED.replace("! var.b", "var.b"))
    packer(tmp_path, "fmt", "t.pkr.hcl")
    assert (tmp_path / "t.pkr.hcl").read_text() == FORMATTED.replace("!var.b", "var.b")


def _words(text: str) -> list[str]:
    """Lines without blanks at their ends, and without empty ones: Packer's own are not always the same."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_inspect(tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text(HCL)
    (tmp_path / "t.json").write_text(json.dumps(JSON))
    assert _words(packer(tmp_path, "inspect", "t.pkr.hcl")[1]) == _words(HCL_TEXT)
    assert _words(packer(tmp_path, "inspect", "t.json")[1]) == _words(JSON_TEXT)


def test_precedence_of_variables(tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text('variable "v" {\n  default = "default"\n}\nlocals {\n  l = var.v\n}\n')
    (tmp_path / "a.auto.pkrvars.hcl").write_text('v = "auto"\n')
    (tmp_path / "x.pkrvars.hcl").write_text('v = "file"\n')
    for arguments, more in (
        ([], {}),
        (["-var-file=x.pkrvars.hcl"], {"var_files": ["x.pkrvars.hcl"]}),
        (["-var-file=x.pkrvars.hcl", "-var", "v=option"],
         {"var_files": ["x.pkrvars.hcl"], "variables": {"v": "option"}}),
    ):  # fmt: skip
        _, text = packer(tmp_path, "inspect", *arguments, ".")
        config = load(tmp_path, environ={}, working=tmp_path, **more)
        assert f'local.l: "{to_python(config.locals["l"])}"' in text
        assert f'var.v: "{console_text(config.variables["v"].value)}"' in text


MACHINES = [
    {"memory": 768, "cpus": 3, "disk_size": "64M"},
    {"machine_type": "q35", "disk_interface": "virtio-scsi", "net_device": "e1000", "disk_size": "70M"},
    {"qemuargs": [["-m", "1G"], ["-smp", "cpus=2"], ["-device", "virtio-balloon"], ["-device", "e1000,netdev=user.0"]]},
    {"disk_additional_size": ["8M", "16M"], "qemuargs": [["-smbios", "type=1,serial=x"]]},
    {"qemuargs": [["-rtc", "base=localtime"], ["-display", "none"]], "format": "raw"},
]  # fmt: skip


def what_packer_runs(folder: Path, builder: dict[str, object]) -> list[str]:
    """The arguments that Packer starts QEMU with: a program of that name writes them down and fails."""
    programs = folder / "bin"
    programs.mkdir()
    recorder = programs / "qemu-system-x86_64"
    recorder.write_text(
        '#!/bin/sh\ncase "$*" in *-version*) echo "QEMU emulator version 7.2.0"; exit 0;; esac\n'
        f'printf "%s\\n" "$@" > {folder}/argv\nexit 1\n'
    )
    recorder.chmod(0o755)
    (folder / "t.json").write_text(json.dumps({"builders": [builder]}))
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}
    subprocess.run(
        ["packer", "build", "t.json"], cwd=folder, env=environment, capture_output=True, check=False, timeout=120
    )
    return (folder / "argv").read_text().splitlines()


def switches(argv: list[str], name: str) -> list[str]:
    return [value for switch, value in pairwise(argv) if switch == name]


@pytest.mark.parametrize("options", MACHINES, ids=range(len(MACHINES)))
def test_the_machine_is_the_one_that_packer_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    (tmp_path / "a.iso").write_bytes(bytes(2**20))
    builder = {
        "type": "qemu", "name": "vm", "accelerator": "tcg", "headless": True, "iso_url": "a.iso",
        "iso_checksum": "none", "ssh_username": "root", "ssh_password": "x", "boot_wait": "1s", **options,
    }  # fmt: skip
    theirs = what_packer_runs(tmp_path, builder)
    monkeypatch.chdir(tmp_path)
    (loaded,) = load_all(Path("t.json"), environ={})
    platform = replace(PLATFORM, accelerator="tcg")
    spec = installer_spec(machine_spec(loaded.template, platform), Finished.CONNECTED)
    disks = tuple(replace(d, path=tmp_path / f"{d.id}.qcow2") for d in spec.disks)
    spec = replace(spec, disks=disks, cdroms=tuple(replace(c, path=tmp_path / "a.iso") for c in spec.cdroms))
    mine = list(qemu_arguments(spec, runtime_dir=tmp_path))

    def memory(text: str) -> int:
        number = int("".join(c for c in text if c.isdigit()))
        return number * 1024 if text.endswith("G") else number

    assert [memory(m) for m in switches(mine, "-m")] == [memory(m) for m in switches(theirs, "-m")]
    processors = switches(theirs, "-smp")[0].split(",")[0].removeprefix("cpus=") if switches(theirs, "-smp") else "1"
    assert switches(mine, "-smp")[0].split(",")[0] == processors
    kind = switches(theirs, "-machine")[0].split(",")[0].removeprefix("type=")
    assert ("q35" in switches(mine, "-machine")[0]) == (kind == "q35")
    drives = switches(theirs, "-drive")
    assert len(spec.disks) == sum("media=cdrom" not in d for d in drives)
    assert len(spec.cdroms) == len(switches(theirs, "-cdrom")) + sum("media=cdrom" in d for d in drives)
    card = next(d for d in switches(theirs, "-device") if "netdev=user.0" in d).split(",")[0]
    model = next(d for d in switches(mine, "-device") if "netdev=user.0" in d).split(",")[0]
    assert model.removesuffix("-pci") == card.removesuffix("-pci")
    assert [f for f in switches(mine, "-netdev") if "-:22" in f]
    for kept in ("-smbios", "-rtc"):
        if switches(theirs, kept):
            assert switches(mine, kept) == switches(theirs, kept)
    assert ("virtio-balloon" in theirs) == ("virtio-balloon" in mine)
    sizes = {d.id: int(d.size) for d in loaded.template.machine.disks}
    assert len(sizes) == 1 + len(options.get("disk_additional_size", ()))  # type: ignore[arg-type]
