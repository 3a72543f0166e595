# ruff: noqa: E501 (whole messages, as people read them)
"""All problems at once, each at its place, in people's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import Problem, TemplateError
from factory.template.check import check, check_profile
from factory.template.load import load
from factory.template.wording import fields_at
from tests.conftest import Golden
from tests.template.conftest import Project

pytestmark = pytest.mark.unit

TEN_MISTAKES = """\
# One mistake in each of ten places, of ten kinds.
format: 1
name: Ten Mistakes
extends: [_base/serverr]
variables:
  mirror: {default: auto}
source: {iso: {url: "https://example.invalid/x.iso", checksum: "sha256:abc"}}
machine:
  cpus: two
  memory: 2 Gobs
  disks: [{id: main, sizee: 8 GiB}]
install:
  profile: smal
  boot_command:
    - "<esc><wait2>"
    - "linux url={{ seed.ulr }}/preseed<enterr>"
provision:
  - shell: {script: ../scripts/helo}
  - shell:
      inline: |
        echo one
        echo {{ vars.miror }}
outputs: [qcow2, {raw: {compress: zstandard}}, ovaa]
verify: {boot: true, clones: 9}
"""


def as_text(problems: tuple[Problem, ...]) -> str:
    """As a terminal could show them, in the order of the file."""

    def order(problem: Problem) -> tuple[str, int, int]:
        return (problem.place.file, problem.place.line, problem.place.column) if problem.place else ("", 0, 0)

    lines = []
    for problem in sorted(problems, key=order):
        lines.append(str(problem))
        if problem.source_line and problem.place:
            lines.append(f"    {problem.source_line}")
            lines.append("    " + " " * (problem.place.column - 1) + "^")
    return "\n".join(lines) + "\n"


def test_ten_mistakes_are_all_reported_with_their_places(project: Project, golden: Golden) -> None:
    project.write("images/_base/server.yml", "machine: {cpus: 1}\n")
    project.write("images/ten.yml", TEN_MISTAKES)
    loaded, problems = check(Path("images/ten.yml"))
    assert loaded is None
    text = as_text(problems)
    golden.check("template/ten-mistakes.txt", text.replace(project.root.name, "PROJECT"))
    assert len({p.place.line for p in problems if p.place}) >= 10
    assert all(p.place and p.place.line and p.place.column and p.source_line for p in problems)


def test_load_raises_all_of_them(project: Project) -> None:
    project.write("images/ten.yml", TEN_MISTAKES)
    with pytest.raises(TemplateError) as caught:
        load(Path("images/ten.yml"))
    assert caught.value.problems == check(Path("images/ten.yml"))[1]
    assert caught.value.exit_code == 3


def test_a_good_template_has_no_problems(project: Project) -> None:
    loaded, problems = project.check("")
    assert problems == ()
    assert loaded is not None
    assert loaded == load(Path("images/small.yml"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("nmae: x\n", "5:1: unknown field 'nmae' (did you mean 'name'?)"),
        ("machine: {memroy: 1}\n", "5:11: unknown field 'memroy' in `machine` (did you mean 'memory'?)"),
        ("provision: [{shell: {inline: [x], timeout: 8s}}]\n", "5:35: unknown field 'timeout' in `shell` (it belongs beside `shell`, not in it)"),
        ("machine: {disks: [{size: 1 GiB, buss: scsi}]}\n", "5:33: unknown field 'buss' in `disks` (did you mean 'bus'?)"),
        ("outputs: [{raw: {compres: 1}}]\n", "5:18: unknown field 'compres' in `raw` (did you mean 'compress'?)"),
        ("outputs: [{kind: raw, compres: 1}]\n", "5:23: unknown field 'compres' in `outputs` (did you mean 'compress'?)"),
        ("outputs: [{vhdx: {a: 1}}]\n", "5:19: unknown field 'a' in `vhdx` (no options are known here)"),
        ("outputs: [qcow3]\n", "5:11: there is no output 'qcow3' (did you mean 'qcow2'?)"),
        ("outputs: [{qcow3: {}}]\n", "5:11: there is no output 'qcow3' (did you mean 'qcow2'?)"),
        ("outputs: [7]\n", "5:11: an output is one word, or one word with its options (such as `raw: {compress: zstd}`)"),
        ("outputs: [{a: 1, b: 2}]\n", "5:11: an output is one word, or one word with its options (such as `raw: {compress: zstd}`)"),
        ("outputs: [{raw: {compress: zst}}]\n", "5:28: `compress` can't be 'zst' (did you mean 'zstd'?)"),
        ("outputs: qcow2\n", "5:10: `outputs`: expected a list, got the text 'qcow2'"),
        ("machine:\n", "5:9: `machine`: expected a mapping, got nothing (write `{}` for none)"),
        ("machine: {cpus: a}\n", "5:17: `cpus`: expected a whole number, got the text 'a'"),
        ("machine: {cpus: 1.5}\n", "5:17: `cpus`: expected a whole number, got the number 1.5"),
        ("machine: {cpus: 0}\n", "5:17: `cpus` must be at least 1, got 0"),
        ("machine: {cpus: 513}\n", "5:17: `cpus` must be at most 512, got 513"),
        ("machine: {disks: []}\n", "5:11: `disks` needs at least 1 entry"),
        ("machine: {memory: 2 Gobs}\n", "5:19: '2 Gobs' is not a size: write a number with B, KiB, MiB, GiB, TiB, KB, MB, GB or TB"),
        ("machine: {memory: [1]}\n", "5:19: expected a text or a number, got list"),
        ("machine: {disks: [{id: Main}]}\n", "5:24: 'Main' can't be a `id` (it is made of lower-case letters, digits, '_' and '-', beginning with a letter, at most 31)"),
        ("machine: {disks: [{id: a}, {id: a}]}\n", "5:29: two disks have the id 'a' (give each its own, such as `id: disk1`)"),
        ("machine:\n  disks:\n    - {size: 1 GiB}\n    - {size: 2 GiB}\n", "8:7: two disks have the id 'main' (give each its own, such as `id: disk1`)"),
        ("machine:\n  nics:\n    - {}\n    - {id: lan}\n    - {id: lan}\n", "9:8: two nics have the id 'lan' (give each its own, such as `id: nic2`)"),
        ("machine: {nics: [{mac: '1'}]}\n", "5:24: '1' can't be a `mac` (write a MAC address such as 52:54:00:12:34:56)"),
        ("machine: {firmware: efi}\n", "5:21: `firmware` can't be 'efi' (did you mean 'uefi'?)"),
        ("machine: {tpm: yes}\n", "5:16: `tpm`: expected true, false or a mapping, got the text 'yes'"),
        ("verify: {clones: 5}\n", "5:18: `clones` must be at most 4, got 5"),
        ("verify: {boot: maybe}\n", "5:16: `boot`: expected true or false, got the text 'maybe'"),
        ("provision: [{}]\n", "5:13: a provisioner is exactly one of shell, file, reboot, ansible, plugin"),
        ("provision: [{shell: {}}]\n", "5:14: a shell provisioner has exactly one of `inline`, `script` or `scripts`"),
        ("provision: [{shell: {inline: a, env: {A: 5}}}]\n", "5:42: `A`: expected a text, got the number 5 (put it in quotes)"),
        ("provision: [{shell: {inline: 5}}]\n", "5:30: `inline`: expected a text or a list of texts, got the number 5"),
        ("provision: [{file: {content: x}}]\n", "5:14: missing field 'destination' in `file`"),
        ("provision: [{file: {content: x, destination: /x, mode: 0644}}]\n", "5:56: `mode`: expected a text, got the number 644 (put it in quotes)"),
        ("provision: [{file: {content: x, destination: /x, mode: '0999'}}]\n", "5:56: '0999' can't be a `mode` (write an octal mode such as \"0644\")"),
        ("access: {ssh: {}, none: true}\n", "5:1: `access` is one of `ssh`, `winrm` or `none: true`"),
        ("shutdown: {deadline: soon}\n", "5:22: 'soon' is not a duration: write '90s', '5m', '1h30m' or '300ms'"),
        ("shutdown: {deadline: '{{ seed.port }}'}\n", "5:22: `deadline` must be known before a build, but '{{ seed.port }}' is not (names such as seed.url, generated and sensitive variables can't be used here)"),
        ("layers: sometimes\n", "5:9: `layers` can't be 'sometimes' (known: auto, live, none, off)"),
    ],
)  # fmt: skip
def test_words(project: Project, more: str, message: str) -> None:
    assert project.problems(more) == [message]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("name: x\nsource: {image: {path: ../isos/small.iso}}\n", "1:1: missing field 'format' (write `format: 1`)"),
        ("format: 2\nname: x\nsource: {image: {path: ../isos/small.iso}}\n", "1:9: `format` can't be the number 2 (known: 1)"),
        ("format: 1\nsource: {image: {path: ../isos/small.iso}}\n", "1:1: missing field 'name' (the name of the image, as in output/<name>/)"),
        ("format: 1\nname: 12\nsource: {image: {path: ../isos/small.iso}}\n", "2:7: `name`: expected a text, got the number 12 (put it in quotes)"),
        ("format: 1\nname: a b\nsource: {image: {path: ../isos/small.iso}}\n", "2:7: 'a b' can't be a `name` (it is made of lower-case letters, digits, '.', '_' and '-', at most 64)"),
        ("format: 1\nname: x\n", "1:1: missing field 'source'"),
        ("format: 1\nname: x\nsource: {}\n", "3:1: a source is either `iso` or `image`"),
        ("format: 1\nname: x\nsource: {image: {}}\n", "3:10: say where it comes from: exactly one of `template`, `url`, `path` or `build`"),
        ("format: 1\nname: x\nsource: {image: {url: 'https://x/y'}}\n", "3:10: a download needs `checksum` (write `checksum: none` to go without)"),
        ("format: 1\nname: x\nsource: {iso: {path: ../isos/small.iso}}\n", "1:1: an ISO needs `install` with a boot profile"),
        ("format: 1\nname: x\nsource: {image: {path: ../isos/small.iso}}\naccess: {none: true}\nprovision: [{reboot: {}}]\n",
         "1:1: `access: {none: true}` leaves no way to provision"),
    ],
)  # fmt: skip
def test_words_about_the_whole(project: Project, template: str, message: str) -> None:
    project.template("", base=template)
    assert project.problems() == [message]


def test_a_value_with_a_known_problem_is_reported_once(project: Project) -> None:
    assert project.problems("machine: {cpus: '{{ nmae }}'}\n") == ["5:21: unknown name 'nmae' (did you mean 'name'?)"]


def test_a_key_written_twice_hides_no_other_problem(project: Project) -> None:
    text = "format: 1\nname: a\nname: b\nbogus: 1\nsource: {iso: {path: x.iso, checksum: none}}\noutputs: [raw]\n"
    project.write("images/a.yml", text)
    _, problems = check(Path("images/a.yml"))
    messages = [p.message for p in problems]
    assert "'name' is written twice" in messages
    assert "unknown field 'bogus'" in messages


def test_a_wrong_field_hides_no_rule_about_the_others(project: Project) -> None:
    text = """format: 1
name: h
source: {iso: {path: x.iso, checksum: none}}
machine: {firmware: uefi, cpus: 0, disks: [{id: b, size: 0}, {id: b, size: 1 GiB}]}
outputs: [qcow2, qcow2, nope]
"""
    project.write("images/h.yml", text)
    _, problems = check(Path("images/h.yml"))
    messages = [p.message for p in problems]
    assert "`cpus` must be at least 1, got 0" in messages
    assert "an ISO needs `install` with a boot profile" in messages
    assert "a disk's size is a multiple of 512 bytes, above 0" in messages
    assert "two disks have the id 'b'" in messages


def test_a_section_without_a_field_that_it_needs_is_judged_once(project: Project) -> None:
    text = "format: 1\nname: a\nsource: {iso: {path: x.iso, checksum: none}}\ninstall: {boot: direct}\n"
    project.write("images/a.yml", text)
    _, problems = check(Path("images/a.yml"))
    assert [p.message for p in problems if "profile" in p.message] == ["missing field 'profile' in `install`"]


def test_problems_of_a_profile_are_placed_in_it(project: Project) -> None:
    project.write(
        "boot_configs/small.yml",
        "format: 1\nname: other\ntyped: {comand: x}\nseed: {directory: small, main: '{{ vars.x }}'}\n",
    )
    assert project.problems("") == [
        "boot_configs/small.yml:3:9: unknown field 'comand' in `typed` (did you mean 'command'?)",
        "boot_configs/small.yml:4:36: there is no variable 'x'",
    ]
    project.write("boot_configs/small.yml", "format: [\n")
    assert project.problems("") == [
        "boot_configs/small.yml:1:10: not YAML: did not find expected node content (while parsing a flow node)"
    ]


def test_a_profile_alone(project: Project) -> None:
    path = Path("boot_configs/small.yml")
    profile, problems = check_profile(path)
    assert problems == ()
    assert profile is not None
    assert profile.name == "small"
    project.write(
        str(path),
        "format: 1\nname: smal\ntyped: {command: '<enterr> {{ vars.any }} {{ sed.url }}'}\nseed: {directory: small, main: nope}\n",
    )
    profile, problems = check_profile(path)
    assert profile is None
    assert [str(p) for p in problems] == [
        "boot_configs/small.yml:2:7: the profile in small.yml must be called 'small'",
        "boot_configs/small.yml:3:19: unknown token <enterr> (did you mean <enter>?)",
        "boot_configs/small.yml:3:46: unknown name 'sed' (did you mean 'seed'?)",
        "boot_configs/small.yml:4:32: there is no 'nope' in http_seed/small (there are: answers)",
    ]
    assert check_profile(Path("boot_configs/none.yml"))[0] is None


def test_which_fields_are_known_where() -> None:
    from factory.template.model import Template

    assert "memory" in fields_at(Template, ("machine",))
    assert set(fields_at(Template, ("machine", "disks", 0))) == {
        "id",
        "size",
        "bus",
        "serial",
        "block_size",
        "device",
    }
    assert set(fields_at(Template, ("outputs", 1, "qcow2"))) == {"compress", "compat"}
    assert "except" in fields_at(Template, ("seal",))
    assert "default" in fields_at(Template, ("variables", "any"))
