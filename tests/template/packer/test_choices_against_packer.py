"""Asks Debian's Packer (1.6.6) about files, boot commands, changing values, and which builds and chains run."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.template.packer import load
from factory.template.packer.builds import check_builds
from factory.template.packer.hcl import Source, parse_expression
from factory.template.packer.language.console_text import console_text
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope, World
from factory.template.packer.language.values import to_python
from tests.template.packer import test_against_packer
from tests.template.packer.test_against_packer import MARK, answers, build, packer, source

pytestmark = test_against_packer.pytestmark

OF_FILES = [
    'file("d/one.txt")',
    'file("none")',
    'fileexists("d/one.txt")',
    'fileexists("none")',
    'fileexists("d")',
    'fileset("d", "*.txt")',
    'fileset("d", "**")',
    'fileset("d", "**/*.txt")',
    'fileset(".", "d/*/t*.txt")',
    'fileset("d", "[ot]*")',
    'fileset("d", "{one,two}.txt")',
    'fileset("none", "*")',
    'abspath("d/../x")',
    'pathexpand("~/x")',
    'pathexpand("x/~")',
    'basename("a/b/")',
    'dirname("a/b/c")',
    'dirname("a")',
]


def test_files(tmp_path: Path) -> None:
    (tmp_path / "d/sub").mkdir(parents=True)
    for name in ("one.txt", "sub/two.txt", "sub/é.txt", "other"):
        (tmp_path / "d" / name).write_text(f"in {name}\n")
    theirs = answers(tmp_path, OF_FILES, "--config-type=hcl2", mark=f'"{MARK}{{}}"')
    scope = Scope({}, FUNCTIONS, World(tmp_path, tmp_path, {"HOME": str(tmp_path)}))
    different = []
    for question, answer in zip(OF_FILES, theirs, strict=True):
        try:
            ours = console_text(evaluate(parse_expression(Source.of("t", question)), scope)).strip("\n")
        except Exception as error:
            ours = f"Error: {error}"
        if ours.startswith("Error: ") != answer.startswith("Error: ") or (
            not ours.startswith("Error: ") and ours != answer
        ):
            different.append((question, answer, ours))
    assert different == []


def test_values_that_differ_each_time_have_one_shape(tmp_path: Path) -> None:
    """A time, a random name, a salted digest: what one tool makes must be of the other's form."""
    questions = [
        "uuidv4()",
        "timestamp()",
        'bcrypt("word", 4)',
        'uuidv5("dns", "example.com")',
        'uuidv5("url", "https://example.com/é")',
    ]
    theirs = answers(tmp_path, questions, "--config-type=hcl2", mark=f'"{MARK}{{}}"')
    scope = Scope({}, FUNCTIONS, World(tmp_path, tmp_path, {}))
    ours = [str(to_python(evaluate(parse_expression(Source.of("t", q)), scope))) for q in questions]
    for shape, their, our in zip(
        (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
         r"\$2a\$04\$[./A-Za-z0-9]{53}"), theirs, ours, strict=False,
    ):  # fmt: skip
        assert re.fullmatch(shape, their)
        assert re.fullmatch(shape, our)
    moments = [datetime.strptime(t, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for t in (theirs[1], ours[1])]
    assert abs((moments[0] - moments[1]).total_seconds()) < 120
    assert theirs[3:] == ours[3:]


TYPED = [
    "<wait>", "<wait0>", "<wait5>", "<wait1m30s>", "<wait500ms>", "<wait 5s>", "<wait5x>", "<foo>", "<", "<<", "<enter",
    "<f13>", "<leftShiftOn>a<leftShiftOff>", "<aOn>b<aOff>", "<Enter>", "<WAIT5S>", "é", "{{ .HTTPIP }}",
    "<wait{{ .Name }}>",
]  # fmt: skip
NOT_TYPED = ["<wait0s>", "<wait-5s>", "a<wait1s-1s>"]


def test_boot_commands(tmp_path: Path) -> None:
    """Nothing but a wait that is not above zero is wrong: unknown keys are typed as they stand."""

    def both(commands: list[str]) -> tuple[bool, bool]:
        names = [f"s{i}" for i in range(len(commands))]
        sources = "".join(source(f'boot_command = ["{c}"]', n) for c, n in zip(commands, names, strict=True))
        (tmp_path / "t.pkr.hcl").write_text(sources + build("", *names))
        status, _ = packer(tmp_path, "validate", "t.pkr.hcl")
        _, problems = check_builds(tmp_path / "t.pkr.hcl", variables={}, var_files=(), environ={})
        return not any(p.severity == "error" for p in problems), status == 0

    assert both(TYPED) == (True, True)
    assert {c: both([c]) for c in NOT_TYPED} == dict.fromkeys(NOT_TYPED, (False, False))


NULL = 'communicator = "none"'
CHOOSING = f"""
source "null" "one" {{
  {NULL}
}}
source "null" "two" {{
  {NULL}
}}
build {{
  name    = "first"
  sources = ["null.one", "null.two"]
  provisioner "shell-local" {{
    only   = ["null.one"]
    inline = ["echo ran:$PACKER_BUILD_NAME:only"]
  }}
  provisioner "shell-local" {{
    except = ["null.one"]
    inline = ["echo ran:$PACKER_BUILD_NAME:except"]
  }}
}}
build {{
  sources = ["null.two"]
}}
"""
PATTERNS = [
    "first.null.one", "null.two", "null.*", "*.one", "*one*", "first.*", "fi?st.null.t[a-w]o", "*", "one",
    "first.null.one,null.two", "nothing", "*.[o]ne", "*.[!t]*", "*.[^t]*", "*.[ot-]*",
    "null.tw[o-p]", "{first.null.one,null.two", "null.two}", "null.tw\\o", "[^a]*",
]  # fmt: skip


def ran(text: str) -> set[str]:
    return set(re.findall(r"^Build '([^']*)' finished", text, re.MULTILINE))


@pytest.mark.parametrize("flag", ["only", "except"])
def test_which_builds_run(tmp_path: Path, flag: str) -> None:
    (tmp_path / "t.pkr.hcl").write_text(CHOOSING)
    different = []
    for pattern in PATTERNS:
        _, text = packer(tmp_path, "build", f"-{flag}={pattern}", "t.pkr.hcl")
        chosen = {"only": [pattern]} if flag == "only" else {"except_": [pattern]}
        ours = {b.name for b in load(tmp_path / "t.pkr.hcl", environ={}, **chosen).builds}  # type: ignore[arg-type]
        if ours != ran(text):
            different.append((pattern, ran(text), ours))
    assert different == []


@pytest.mark.parametrize("pattern", ["[", "null.[x", "null.[]", "[z-a]", "null.[!]"])
def test_what_is_no_pattern(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "t.pkr.hcl").write_text(CHOOSING)
    _, text = packer(tmp_path, "build", f"-only={pattern}", "t.pkr.hcl")
    assert "Invalid -only pattern" in text
    with pytest.raises(TemplateError, match="is no pattern for -only"):
        load(tmp_path / "t.pkr.hcl", environ={}, only=[pattern])


def test_which_provisioners_run(tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text(CHOOSING)
    _, text = packer(tmp_path, "build", "-only=first.*", "t.pkr.hcl")
    theirs = sorted(set(re.findall(r"(null\.\w+): ran:\w*:?(only|except)", text.replace("first.", ""))))
    ours = sorted(
        (f"null.{b.source_name}", "only" if "only" in p.options.inline[0] else "except")  # type: ignore[attr-defined]
        for b in load(tmp_path / "t.pkr.hcl", environ={}, only=["first.*"]).builds
        for p in b.provisioners
    )
    assert ours == theirs == [("null.one", "only"), ("null.two", "except")]


OLD = {
    "builders": [{"type": "null", "communicator": "none"}, {"type": "null", "name": "b", "communicator": "none"}],
    "post-processors": [
        {"type": "shell-local", "name": "plain", "inline": ["echo post:plain"]},
        [
            {"type": "shell-local", "name": "head", "only": ["b"], "inline": ["echo post:head"]},
            {"type": "shell-local", "name": "tail", "inline": ["echo post:tail"]},
        ],
    ],
}


@pytest.mark.parametrize("flags", [(), ("-only=b",), ("-except=b",), ("-except=head",), ("-except=plain,null",)])
def test_which_post_processors_of_a_json_template_run(tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "t.json").write_text(json.dumps(OLD))
    _, text = packer(tmp_path, "build", *flags, "t.json")
    theirs = sorted(set(re.findall(r"^\s*(\S+) \(shell-local\): post:(\w+)", text, re.MULTILINE)))
    given = {f.partition("=")[0].strip("-"): [f.partition("=")[2]] for f in flags}
    config = load(tmp_path / "t.json", environ={}, only=given.get("only", ()), except_=given.get("except", ()))
    ours = sorted((b.name, link.name) for b in config.builds for chain in b.post_processors for link in chain)
    assert ours == theirs
    assert {b.name for b in config.builds} == ran(text)


def test_choices_that_name_no_builder(tmp_path: Path) -> None:
    step = {"type": "shell-local", "inline": ["true"]}
    written = "{{user `n`}}"
    builders = [{"type": "null", "communicator": "none"}, {"type": "null", "name": written, "communicator": "none"}]
    choices: list[dict[str, object]] = [
        {"only": ["null"]}, {"only": ["nul"]}, {"except": ["x"]}, {"only": [written]}, {"only": ["a"]},
        {"override": {"null": {}}}, {"override": {"a": {}}}, {"only": []}, {"only": [1]},
    ]  # fmt: skip
    different = []
    for key, choice in ((k, c) for k in ("provisioners", "post-processors") for c in choices):
        if key == "post-processors" and "override" in choice:
            continue
        root = {"variables": {"n": "a"}, "builders": builders, key: [{**step, **choice}]}
        (tmp_path / "t.json").write_text(json.dumps(root))
        status, _ = packer(tmp_path, "validate", "t.json")
        try:
            load(tmp_path / "t.json", environ={})
        except TemplateError:
            mine = False
        else:
            mine = True
        if mine != (status == 0):
            different.append((key, choice, mine))
    assert different == []
