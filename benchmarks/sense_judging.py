"""Judges what senses read: what is wrong, what is missing, and whether a row passes.

Truths are come by in another way than the reading. U+FFFD is a character that a sense does not claim: it counts as
missed, not as wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from factory.drivers.screen.glyphs import UNKNOWN
from factory.drivers.screen.senses import Sense

EXACT = frozenset({Sense.VGA_MEMORY.value, Sense.SERIAL.value, Sense.GLYPHS.value})
"""Senses of which not one character may be wrong."""
FLOOR = 0.95
"""Of the characters that are there, an exact sense must read so many."""
BLANK = "blank: an installer on serial"
"""The screen on which nothing stands, and nothing may be read."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Characters, blanks left out: ``claimed`` were read, of which ``wrong`` are not there; ``unknown`` were seen and
    not read; of the ``there`` that are known to be on the screen, ``missed`` were not read, the unknown among them."""

    claimed: int = 0
    wrong: int = 0
    unknown: int = 0
    missed: int = 0
    there: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.claimed + other.claimed,
            self.wrong + other.wrong,
            self.unknown + other.unknown,
            self.missed + other.missed,
            self.there + other.there,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One sense on one screen; a name in brackets is a sense that reads beside the one that a build would use."""

    screen: str
    sense: str
    counts: Counts
    first_ms: float
    again_ms: float

    def row(self) -> str:
        c = self.counts
        return (
            f"{self.screen:34} {self.sense:12} {c.claimed:8} {c.wrong:6} {c.missed:7} {c.unknown:8}"
            f" {self.first_ms:9.1f} {self.again_ms:9.1f}"
        )


HEADER = (
    f"{'screen':34} {'sense':12} {'claimed':>8} {'wrong':>6} {'missed':>7} {'unknown':>8}"
    + f" {'first ms':>9} {'then ms':>9}"
)


def faults(readings: Iterable[Reading]) -> Iterator[str]:
    """What is wrong with the rows of exact senses, in a line each; the others guess, and are only shown."""
    for reading in readings:
        if reading.sense.strip("()") not in EXACT:
            continue
        counts = reading.counts
        place = f"{reading.screen}, {reading.sense}"
        if counts.wrong:
            yield f"{place}: {counts.wrong} characters are not there"
        if not counts.there and reading.screen != BLANK:
            yield f"{place}: it was held against nothing"
        if counts.there and counts.missed > (1 - FLOOR) * counts.there:
            yield f"{place}: {counts.missed} of {counts.there} characters were missed"


def compare(read: Iterable[str], truth: Iterable[str]) -> Counts:
    """Cell by cell; a line is held against the one in the same place. What the truth does not know is not judged."""
    claimed = wrong = unknown = missed = there = 0
    for mine, true in zip_longest(read, truth, fillvalue=""):
        for a, b in zip_longest(mine, true, fillvalue=" "):
            if b == UNKNOWN:
                continue
            there += b != " "
            unknown += a == UNKNOWN
            missed += b != " " and a in (" ", UNKNOWN)
            if a not in (" ", UNKNOWN):
                claimed += 1
                wrong += a != b
    return Counts(claimed, wrong, unknown, missed, there)


def contained(lines: Iterable[str], truth: Iterable[str], must: Iterable[str] = ()) -> Counts:
    """Where only lines are known, not their places: one that is not in *truth* is wrong as a whole.

    Args:
        must: what has to be among the lines.
    """
    known = {line.strip() for line in truth}
    found = [line.strip() for line in lines]
    claimed = wrong = unknown = 0
    for line in found:
        said = _size(line)
        unknown += line.count(UNKNOWN)
        claimed += said
        if said and not any(_fits(line, true) for true in ([line] if line in known else known)):
            wrong += said
    counts = Counts(claimed, wrong, unknown)
    return counts + present(found, must)


def quoted(lines: Iterable[str], said: str, must: Iterable[str] = ()) -> Counts:
    """Lines that must stand somewhere in what was said, but for blanks; the rest is wrong."""
    plain = _plain(said)
    claimed = wrong = unknown = 0
    found = [_plain(line) for line in lines]
    for line in found:
        unknown += line.count(UNKNOWN)
        claimed += _size(line)
        if line and not re.search(re.escape(line).replace(re.escape(UNKNOWN), "."), plain):
            wrong += _size(line)
    return Counts(claimed, wrong, unknown) + present(found, map(_plain, must))


def present(lines: Sequence[str], must: Iterable[str]) -> Counts:
    """How much of what has to be there was read; of a text with unread characters in it, only those are missed."""
    missed = there = 0
    for text in filter(None, (text.strip() for text in must)):
        there += _size(text)
        missed += min((_lacking(line, text) for line in lines), default=_size(text))
    return Counts(missed=missed, there=there)


def _lacking(line: str, text: str) -> int:
    """Characters of *text* that are not read where *line* has it; all of them where it does not."""
    pattern = "".join(f"[{re.escape(c)}{UNKNOWN}]" for c in text)
    found = re.search(pattern, line)
    return found[0].count(UNKNOWN) if found else _size(text)


def _fits(line: str, true: str) -> bool:
    """The unread are counted by cells of the screen, of which a wide character takes two (Unicode's UAX 11)."""
    mine, cells = _cells(line), _cells(true)
    return len(mine) == len(cells) and all(a in (b, UNKNOWN) for a, b in zip(mine, cells, strict=True))


def _cells(text: str) -> str:
    return "".join(c * 2 if unicodedata.east_asian_width(c) in "WF" else c for c in text)


def _plain(text: str) -> str:
    return re.sub(r"\s", "", text)


def _size(text: str) -> int:
    return len(_plain(text).replace(UNKNOWN, ""))
