"""The benchmark of the senses finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.sense_firmware import terminal, wiped_screens
from benchmarks.sense_judging import BLANK, Counts, Reading, compare, contained, faults, present, quoted
from factory.drivers.screen.glyphs import UNKNOWN

pytestmark = pytest.mark.unit

GOOD = Reading("GRUB", "glyphs", Counts(claimed=500, there=500), 1.0, 1.0)


@pytest.mark.parametrize("sense", ["vga-memory", "serial", "glyphs", "(glyphs)", "(serial)"])
def test_one_wrong_character_of_an_exact_sense_fails(sense: str) -> None:
    row = replace(GOOD, sense=sense)
    assert list(faults([row])) == []
    wrong = replace(row, counts=replace(row.counts, wrong=1))
    assert list(faults([row, wrong])) == [f"GRUB, {sense}: 1 characters are not there"]


def test_what_is_missing_fails_below_the_floor() -> None:
    few, many = (replace(GOOD, counts=replace(GOOD.counts, missed=n)) for n in (25, 26))
    assert list(faults([few])) == []
    assert list(faults([many])) == ["GRUB, glyphs: 26 of 500 characters were missed"]


def test_a_row_that_is_held_against_nothing_fails() -> None:
    nothing = Reading("GRUB", "serial", Counts(), 1.0, 1.0)
    assert list(faults([nothing])) == ["GRUB, serial: it was held against nothing"]
    assert list(faults([replace(nothing, screen=BLANK)])) == []


def test_a_guess_is_only_shown() -> None:
    assert list(faults([replace(GOOD, sense="ocr", counts=Counts(wrong=9))])) == []


@pytest.mark.parametrize(
    ("read", "truth", "counts"),
    [
        (["abc"], ["abc"], Counts(3, 0, 0, 0, 3)),
        (["abc"], ["abc", "def", "ghi"], Counts(3, 0, 0, 6, 9)),
        ([], ["SeaBIOS"], Counts(0, 0, 0, 7, 7)),
        (["abc", "x"], ["abc"], Counts(4, 1, 0, 0, 3)),
        (["a c"], ["abc"], Counts(2, 0, 0, 1, 3)),
        (["axc"], ["abc"], Counts(3, 1, 0, 0, 3)),
        ([f"a{UNKNOWN}c"], ["abc"], Counts(2, 0, 1, 1, 3)),
        (["abc"], [f"a{UNKNOWN}c"], Counts(2, 0, 0, 0, 2)),
    ],
)
def test_cells(read: list[str], truth: list[str], counts: Counts) -> None:
    assert compare(read, truth) == counts


@pytest.mark.parametrize(
    ("lines", "must", "counts"),
    [
        ([" one two "], ["one two"], Counts(6, 0, 0, 0, 6)),
        (["one"], [], Counts(3, 3, 0, 0, 0)),
        (["on two"], ["one two"], Counts(5, 5, 0, 6, 6)),
        ([f"on{UNKNOWN} two"], ["one two"], Counts(5, 0, 1, 1, 6)),
        ([f"on{UNKNOWN} tow"], ["one two"], Counts(5, 5, 1, 6, 6)),
        ([], ["three"], Counts(0, 0, 0, 5, 5)),
    ],
)
def test_lines_without_places(lines: list[str], must: list[str], counts: Counts) -> None:
    assert contained(lines, ["one two", "three"], must) == counts


def test_wide_characters_take_two_cells() -> None:
    assert contained([f"{UNKNOWN * 4}({UNKNOWN * 4})"], ["中文(简体)"]) == Counts(2, 0, 8, 0, 0)
    assert contained([f"{UNKNOWN * 2}({UNKNOWN * 2})"], ["中文(简体)"]) == Counts(2, 2, 4, 0, 0)


def test_quotations() -> None:
    assert quoted(["two  three"], "one two\nthree four", ["two three"]) == Counts(8, 0, 0, 0, 8)
    assert quoted([f"tw{UNKNOWN}"], "one two") == Counts(2, 0, 1, 0, 0)
    assert quoted(["twx"], "one two", ["one"]) == Counts(3, 3, 0, 3, 3)


def test_what_must_be_there() -> None:
    assert present(["xx SeaBIOS (version 1)"], ["SeaBIOS (version "]) == Counts(there=15)
    assert present(["nothing"], ["SeaBIOS"]) == Counts(missed=7, there=7)


FIRMWARE = "\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe: loading\x1b[2J\x1b[01;01H\x1b[=3h\x1b[2J"


def test_what_stood_on_the_firmwares_terminal_before_it_was_wiped() -> None:
    assert terminal(FIRMWARE) == "BdsDxe: loading"
    assert wiped_screens(FIRMWARE) == Counts(claimed=14, there=14)


def test_a_sequence_that_comes_through_as_text_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.sense_firmware.terminal_lines", lambda said: ("=3hBdsDxe: loading",))
    assert wiped_screens("\x1b[=3hBdsDxe: loading\x1b[2J").wrong == 17
