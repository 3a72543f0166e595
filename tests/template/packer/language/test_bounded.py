"""What would take for ever, or all memory: it ends, with a typed error."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.quantity import Duration
from factory.template.packer.config.files import read_source
from factory.template.packer.inspect import console_answer
from factory.template.packer.language import bounds
from factory.template.packer.language.functions import bounded, yaml_reader
from tests.template.packer.written import hcl, problems_of

pytestmark = pytest.mark.unit
TEXT = f'"{"a" * 40}b"'


@pytest.mark.parametrize(
    "expression",
    [
        f'regex_replace({TEXT}, "(a+)+$", "")',
        f'regex("(a+)+$", {TEXT})',
        f'regexall("(a|aa)+$", {TEXT})',
        f'can(regex("(a+)+$", {TEXT}))',
        f'try(regex("(a+)+$", {TEXT}), "none")',
    ],
)
def test_a_search_without_an_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expression: str) -> None:
    monkeypatch.setattr(bounded, "LONGEST", Duration(0.05))
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(TemplateError, match="the pattern takes more than") as caught:
        console_answer(hcl(tmp_path, ""), expression)
    assert caught.value.problems[0].place is not None
    assert "such as (a+)+" in caught.value.problems[0].hint
    assert signal.getsignal(signal.SIGVTALRM) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('timeadd("2024-01-01T00:00:00Z", "99999999999h")', "“99999999999h” leads out of the years 1 to 9999"),
        ('jsondecode(join("", [for i in range(1000): "[[[[[[[[[["]))', "jsondecode(): the text is nested too deeply"),
    ],
)
def test_what_is_beyond_a_bound_is_said_in_own_words(tmp_path: Path, expression: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        console_answer(hcl(tmp_path, ""), expression)
    assert message in str(caught.value)


def doubled(first: str, each: str) -> str:
    """Local values of which each is ten times the one before it, twelve times over."""
    lines = [f"  a{i} = {each.format(*[f'local.a{i - 1}'] * 10)}" for i in range(1, 13)]
    return "\n".join(["locals {", f"  a0 = {first}", *lines, "}"])


LOOPS = "[for a in local.r : [for b in local.r : [for c in local.r : a + b + c]]]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (doubled('"0123456789"', '"' + "${{{}}}" * 10 + '"'), "this makes a text of more than 32 MiB"),
        (doubled("[1]", "[" + ", ".join(["{}"] * 10) + "]"), "this makes a value of more than 1048576 elements"),
        (f"locals {{\n  r = range(1000)\n  x = {LOOPS}\n}}", "takes more than 1000 steps"),
        (f"locals {{\n  r = range(1000)\n  x = try({LOOPS}, 1)\n}}", "takes more than 1000 steps"),
        ('locals {\n  x = "%{ for a in range(900) }%{ for b in range(900) }x%{ endfor }%{ endfor }"\n}', "1000 steps"),
        ('locals {\n  r = range(1000)\n  x = [for a in local.r : contains(local.r, "b")]\n}', "more than 1000 steps"),
        ('locals {\n  a = format("%09999d", 1)\n  b = replace(local.a, "0", local.a)\n}', "more than 32 MiB"),
        ('locals {\n  a = format("%09999d", 1)\n  b = regex_replace(local.a, "0", local.a)\n}', "more than 32 MiB"),
        ('locals {\n  a = format("%09999d", 1)\n  b = join(local.a, split("", local.a))\n}', "more than 32 MiB"),
        ('locals {\n  a = format("%09999d", 1)\n  b = format(replace(local.a, "0", "%[1]s"), local.a)\n}', "32 MiB"),
        ('locals {\n  a = replace(format("%09999d", 1), "0", "\\n")\n  b = indent(9999, local.a)\n}', "32 MiB"),
    ],
)
def test_a_template_ends_before_it_brings_the_computer_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    if "steps" in message:
        monkeypatch.setattr(bounds, "MOST_STEPS", 1000)
    problem = problems_of(tmp_path, {"t.pkr.hcl": text})[0]
    assert message in problem.message
    assert problem.place is not None
    assert problem.place.line > 1


YAML_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("content", "expression", "message"),
    [
        (YAML_BOMB, "yamldecode(file({}))", "this makes a value of more than 1048576 elements"),
        ("- []\n" * 3_000, "yamldecode(file({}))", "it has more than 5000 elements"),
        ("a,b\n" + "1,2\n" * 100_001, "csvdecode(file({}))", "the text has more than 200000 fields"),
        ("[" + "[]," * 3_300_000 + "[]]", "jsondecode(file({}))", "the text has more than 200000 elements"),
        ("x" * (2**25 + 1), "file({})", "is larger than 32 MiB"),
    ],
)
def test_a_file_that_stands_for_more_than_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, expression: str, message: str
) -> None:
    monkeypatch.setattr(yaml_reader, "MOST_EVENTS", 5000)
    (tmp_path / "f").write_text(content)
    with pytest.raises(TemplateError) as caught:
        console_answer(hcl(tmp_path, ""), expression.format('"f"'))
    assert message in caught.value.problems[0].message


@pytest.mark.parametrize("function", ["file({})", "filebase64({})", "templatefile({}, {{}})"])
def test_what_may_never_end_is_not_read(tmp_path: Path, function: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(TemplateError) as caught:
            console_answer(hcl(tmp_path, ""), function.format(f'"{name}"'))
        assert f"“{name}” is no regular file" in caught.value.problems[0].message


def test_a_template_that_never_ends() -> None:
    with pytest.raises(TemplateError, match="/dev/zero is larger than 32 MiB"):
        read_source(Path("/dev/zero"))
