# ruff: noqa: E501 (whole messages, as people read them)
"""Checks of what will be typed, with places in the YAML that it was written in."""

from __future__ import annotations

from typing import get_args

import pytest

from factory.boot_command.keymap import LAYOUTS
from factory.steps.build_secrets import generate
from factory.template.model.text import Keyboard
from tests.template.conftest import Project

pytestmark = pytest.mark.unit

BASE = "format: 1\nname: small\nsource: {iso: {path: ../isos/small.iso, checksum: none}}\n"


def problems(project: Project, install: str, more: str = "") -> list[str]:
    project.template(f"install:\n  profile: small\n{install}{more}", base=BASE)
    return project.problems()


@pytest.mark.parametrize(
    ("install", "expected"),
    [
        ("  boot_command: 'a<enterr>b'\n", ["6:19: unknown token <enterr> (did you mean <enter>?)"]),
        ("  boot_command: ['<enter>', \"b<wait 5>\"]\n", ["6:31: unknown token <wait 5> (did you mean <wait5>?)"]),
        ("  boot_command: |\n    first\n    sec<ond>\n", ["8:8: unknown token <ond> (write <lt> to type '<')"]),
        ("  boot_command: '{{ seed.url }}<entr>'\n", ["6:32: unknown token <entr> (did you mean <enter>?)"]),
        ("  boot_command: '<entr>{{ seed.url }}<esc>'\n", ["6:18: unknown token <entr> (did you mean <enter>?)"]),
        ("  boot_command: '{{ name }}<entr>{{ seed.url }}'\n", ["6:18: unknown token <entr> (did you mean <enter>?)"]),
        ("  boot_command: 'pré<enter>'\n", ["6:20: the keyboard layout 'us' can't type 'é' (U+00E9) (the layouts that can: de, fr)"]),
        ("  boot_command: 'é<enter>'\n  keyboard: fr\n", []),
        ("  boot_command: 'ß^`<enter>'\n  keyboard: de-nodeadkeys\n", []),
        ("  boot_command: '<leftCtrlOn>a'\n", ["6:18: <leftCtrlOn> is never let go (write <leftCtrlOff> where it ends; it is let go at the end)"]),
        ("  boot_command: ['<leftCtrlOn>a', '<leftCtrlOff>']\n", []),
        ("  boot_command: '<waitSeed answers 60s>'\n", []),
        ("  boot_command: '<waitSeed anwsers 60s>'\n", ["6:18: <waitSeed> waits for 'anwsers', which the seed does not have (did you mean 'answers'?)"]),
        ("  boot_command: '<waitSeed more 60s>'\n  seed_files: [{name: more, content: x}]\n", []),
        ("  boot_command: '{{ seed.url | truncate(5) }}<enter>'\n", []),
        ("  boot_command: ['foo <fo>é', '<waitSeed nothere 5s>']\n", ["6:23: unknown token <fo> (write <lt> to type '<')", "6:27: the keyboard layout 'us' can't type 'é' (U+00E9) (the layouts that can: de, fr)", "6:32: <waitSeed> waits for 'nothere', which the seed does not have (it has: answers)"]),
        ("  boot_command: []\n", []),
        ("  boot_command:\n    - on: {Install: '<enterr>', Other: [], Panic: fail}\n    - '<esc>'\n", ["7:22: unknown token <enterr> (did you mean <enter>?)"]),
        ("  boot_command: ['<ent', {still: 2s}, 'er>']\n", []),
        ("  boot_command: ['a', {seed: anwsers}, '<entr>']\n", ["6:30: it waits for 'anwsers', which the seed does not have (did you mean 'answers'?)", "6:41: unknown token <entr> (did you mean <enter>?)"]),
        ("  boot_command: ['a', {on: {}}]\n", ["6:23: it waits for nothing: write `text`, `serial`, `still`, `seed`, `on` or `on_serial`"]),
        ("  boot_command: [{on: {'/a*/': []}}]\n", ["6:18: /a*/ matches an empty screen, so it would never wait"]),
    ],
)  # fmt: skip
def test_the_templates_own_boot_command(project: Project, install: str, expected: list[str]) -> None:
    assert problems(project, install) == expected


def test_an_expression_with_a_problem_of_its_own_hides_no_other(project: Project) -> None:
    """`<{{ … }}>` can't be judged, what stands beside it can."""
    found = problems(project, "  boot_command: '<{{ vars.x }}> <wait{{ vars.x }}><entr>'\n")
    assert found == [
        "6:22: there is no variable 'x'",
        "6:51: unknown token <entr> (did you mean <enter>?)",
    ]


def test_the_value_of_a_variable_is_typed_as_it_is(project: Project) -> None:
    more = "variables: {delay: {default: 5}, key: {default: entr}, word: {default: 'wäit'}}\n"
    assert problems(project, "  boot_command: 'a<wait{{ vars.delay }}>b'\n", more) == []
    assert problems(project, "  boot_command: 'a<{{ vars.key }}>b'\n", more) == [
        "6:19: unknown token <entr> (did you mean <enter>?)"
    ]
    found = problems(project, "  boot_command: 'a {{ vars.word }} <enter>'\n", more)
    assert [p.partition(": ")[2].split(" (")[0] for p in found] == ["the keyboard layout 'us' can't type 'ä'"]
    assert found[0].startswith("6:20:")


def test_a_secret_that_cannot_be_typed_is_told_and_not_shown(project: Project) -> None:
    more = "variables: {pw: {sensitive: true, default: 'unsafè, ünsafe'}, other: {sensitive: true, default: plain}}\n"
    assert problems(project, "  boot_command: 'x {{ vars.other }} {{ vars.pw }}<enter>'\n", more) == [
        "6:20: the keyboard layout 'us' can't type character 6 of the secret 'pw' (choose a value of characters that the keyboard has)"
    ]
    assert problems(project, "  boot_command: 'x {{ vars.pw }}<enter>'\n  keyboard: de\n", more) == []
    assert problems(project, "  boot_command: '{{ vars.pw | upper }}<enter>'\n", more) == [
        "6:18: the keyboard layout 'us' can't type what is made of a secret here (choose a value of characters that the keyboard has)"
    ]
    assert problems(project, "  boot_command: '{{ vars.pw | sha512_crypt }}<enter>'\n", more) == []
    assert problems(project, "  boot_command: 'è {{ vars.other }}<enter>'\n", more) == [
        "6:18: the keyboard layout 'us' can't type 'è' (U+00E8) (the layouts that can: de, fr)"
    ]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kind", ["password", "uuid", "hex"])
def test_what_is_generated_can_be_typed_with_every_keyboard(name: str, kind: str) -> None:
    assert set("".join(generate(kind) for _ in range(40))) <= LAYOUTS[name].characters


def test_the_profiles_boot_command_when_the_template_has_none(project: Project) -> None:
    project.write(
        "boot_configs/small.yml",
        "format: 1\nname: small\nkeyboard: de\ntyped:\n  command: '<enterr>'\n  command_uefi: ['x', '<escc>é']\nseed: {directory: small, main: answers}\n",
    )
    assert problems(project, "") == [
        "boot_configs/small.yml:5:13: unknown token <enterr> (did you mean <enter>?)",
        "boot_configs/small.yml:6:24: unknown token <escc> (did you mean <esc>?)",
    ]
    assert problems(project, "  boot_command: 'x'\n") == []


def test_every_layout_that_can_be_typed_can_be_chosen() -> None:
    assert set(get_args(Keyboard)) == set(LAYOUTS)


FETCHED = "waits for the seed to be fetched over HTTP, and this build serves none (leave the wait out, or deliver the seed by `seed: http` (it is"


@pytest.mark.parametrize(
    ("install", "expected"),
    [
        ("  seed: none\n  boot_command: '<waitSeed 5s>'\n", [f"7:18: <waitSeed> {FETCHED} `none` now))"]),
        ("  seed: cd\n  boot_command: ['a', '<waitSeed answers>']\n", [f"7:24: <waitSeed> {FETCHED} `cd` now))"]),
        ("  seed: none\n  boot_command: [{seed: answers}]\n", [f"7:25: it {FETCHED} `none` now))"]),
        ("  seed: floppy\n  boot_command: []\n  expect: [{seed: answers}]\n", [f"8:19: it {FETCHED} `floppy` now))"]),
        ("  seed: none\n  boot_command: []\n  expect: [{on: {a: '<waitSeed>'}}]\n", [f"8:22: <waitSeed> {FETCHED} `none` now))"]),
        ("  seed: http\n  boot_command: '<waitSeed 5s>'\n", []),
        ("  boot_command: '<waitSeed 5s>'\n", []),
        ("  seed: none\n  boot_command: 'x'\n", []),
    ],
)  # fmt: skip
def test_a_wait_for_a_seed_that_nobody_fetches(project: Project, install: str, expected: list[str]) -> None:
    assert problems(project, install) == expected


def test_without_any_seed_none_is_waited_for(project: Project) -> None:
    project.write("boot_configs/small.yml", "format: 1\nname: small\ntyped: {command: 'x<waitSeed>'}\n")
    assert problems(project, "") == [f"boot_configs/small.yml:3:20: <waitSeed> {FETCHED} `none` now))"]


def test_what_is_not_typed_may_wait_for_anything(project: Project) -> None:
    direct = "direct: {kernel: [k], initrd: [i], command_line: x}\n"
    project.write(
        "boot_configs/small.yml",
        f"format: 1\nname: small\n{direct}typed: {{command: '<waitSeed>', command_uefi: 'y'}}\nseed: {{directory: small, main: answers}}\n",
    )
    assert problems(project, "  seed: cd\n") == []
    assert problems(project, "  seed: cd\n  boot: typed\n", "machine: {firmware: uefi}\n") == []
    assert len(problems(project, "  seed: cd\n  boot: typed\n", "machine: {firmware: bios}\n")) == 1
