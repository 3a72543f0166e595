# ruff: noqa: E501 (whole messages, as people read them)
"""Waits with outcomes, in templates and profiles: what they may say, and where a mistake is."""

from __future__ import annotations

import pytest

from factory.template.model import FAIL, Loaded
from tests.template.conftest import PROFILE, Project

pytestmark = pytest.mark.unit


def with_expect(project: Project, entries: str) -> list[str]:
    base = "format: 1\nname: small\nsource: {iso: {path: ../isos/small.iso, checksum: none}}\n"
    project.template(f"install:\n  profile: small\n  expect: {entries}\n", base=base)
    return project.problems()


def loaded_with(project: Project, entries: str) -> Loaded:
    assert with_expect(project, entries) == []
    return project.load()


def test_a_template_says_what_each_outcome_means(project: Project) -> None:
    entries = (
        "[{on: {Install: ['<enter>', '<wait1>'], 'Press any key': '<spacebar>', '/kernel panic/i': fail, Done: []}}]"
    )
    install = loaded_with(project, entries).template.install
    assert install is not None
    assert install.expect is not None
    assert install.expect[0].on == {
        "Install": ("<enter>", "<wait1>"), "Press any key": ("<spacebar>",), "/kernel panic/i": FAIL, "Done": (),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("[{means: nothing}]", ["6:12: it waits for nothing: write `text`, `serial`, `still`, `seed`, `on` or `on_serial`"]),
        ("[{text: a, on: {b: []}}]", ["6:12: `on` waits for one of several outcomes: put `text` into an entry of its own"]),
        ("[{text: '('}]", ["6:12: /(/ is not a regular expression: missing ), unterminated subpattern at position 0"]),
        ("[{on: {'/a*/': []}}]", ["6:12: /a*/ matches an empty screen, so it would never wait"]),
        ("[{on: {' ': []}}]", ["6:12: an outcome needs a text to look for"]),
        ("[{text: a, serial: b}]", ["6:12: it waits for one thing, not for `serial` and `text`: put each into an entry of its own, or write `on` and `on_serial` for the first of several"]),
        ("[{on: {A: Fail}}]", ["6:21: 'Fail' would be typed: did you mean `fail`? To type it, write [Fail]"]),
        ("[{on_serial: {A: failed}}]", ["6:28: 'failed' would be typed: did you mean `fail`? To type it, write [failed]"]),
        ("[{on: {A: [Fail], B: mail, C: 'fail<enter>'}}]", []),
        ("[{still: 5m, deadline: 1m}]", ["6:12: within 1m the screen can't stand still for 5m: write a longer `deadline`, such as 20m"]),
        ("[{still: 5m}]", ["6:12: within 5m the screen can't stand still for 5m: write a longer `deadline`, such as 20m"]),
        ("[{still: 5m, deadline: 6m}]", []),
        ("[{still: 0s}]", ["6:12: a wait must be longer than 0"]),
        ("[{on: {Install: 'a<entr>'}}]", ["6:29: unknown token <entr> (did you mean <enter>?)"]),
        ("[{on: {Install: ['ok', 'é']}}]", ["6:35: the keyboard layout 'us' can't type 'é' (U+00E9) (the layouts that can: de, fr)"]),
        ("[{on_serial: {boot: '<waitSeed anwsers>'}}]", ["6:32: <waitSeed> waits for 'anwsers', which the seed does not have (did you mean 'answers'?)"]),
        ("[{seed: anwsers}]", ["6:19: it waits for 'anwsers', which the seed does not have (did you mean 'answers'?)"]),
        ("[{seed: answers}, {still: 2s}, {serial: 'login:'}]", []),
        ("[{on: {'Install {{ name }}': ['{{ seed.url }}<enter>']}}]", []),
    ],
)  # fmt: skip
def test_mistakes_have_places(project: Project, entries: str, expected: list[str]) -> None:
    found = with_expect(project, entries)
    assert found == expected


def test_a_profiles_outcomes_are_checked_too(project: Project) -> None:
    project.write("boot_configs/small.yml", PROFILE + "expect: [{on: {Install: '<entr>'}}]\n")
    assert [p for p in project.problems() if "unknown token <entr>" in p]
    project.write("boot_configs/small.yml", PROFILE + "expect: [{on: {Install: '<enter>'}}]\n")
    assert project.problems() == []
