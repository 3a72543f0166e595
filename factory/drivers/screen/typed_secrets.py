"""Finds secrets on a screen: as they were typed, and as a guest shows them that took the keys otherwise.

Typed text stands on a screen in part while it grows, is broken in two by whatever shows it (``flow``), and comes out
wrong: in the letters of another keyboard layout, in the other case, with keys lost, doubled or changed. All of that
tells the secret to whoever sees it. What is like a secret is found by pieces of three characters, and followed from
there.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.boot_command.keymap import LAYOUTS, UntypableCharacter
from factory.drivers.screen.flow import FRAME, Flow, flows
from factory.secret import SHORTEST, Redactor

Spans = Sequence[Sequence[tuple[int, int]]]
"""Of each line, from where to where a secret stands: begin and end, in characters."""

_GRAM = 3
_FUZZY = 6
"""Characters of the shortest secret that is also known when it came out wrong: a shorter one is like too much."""
_CHANCE = 7
"""Characters that must be equal where a word may have them by chance: "change" has six of "changeme1"."""
_TELLING = 16
"""Characters of a long secret, in a row, that are no chance."""
_JUMP = 3
"""Keys in a row that may be lost, added or changed."""
_OFTEN = 8
"""Places in one secret that the same three characters are looked for at: one that repeats itself has hundreds."""
_HEAD = 12
"""Characters typed before a secret by which it is known where it grows."""
_FIELD_ENDS = re.compile(rf"[_█ ]?(?:[ _]*\\?[ ]*(?:[{re.escape(FRAME)}]|$)|[ ]{{2}})")
_UNTOLD = "\0"
"""Stands for a key that has no character in a layout."""


@dataclass(frozen=True, slots=True)
class _Likeness:
    """What of a secret (``begin`` to ``end``) stands on the screen (``first`` to ``last``), and how much is equal."""

    begin: int
    end: int
    first: int
    last: int
    equal: int
    wrong: int


@dataclass(frozen=True, slots=True)
class _Plain:
    """A text in which nothing is left of case and of how often a character stands in a row.

    ``begins`` and ``ends`` say from where to where each of its characters stood.
    """

    text: str
    begins: Sequence[int]
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Known:
    """A secret as a screen may show it. Both texts are plain.

    ``head``: so many characters were typed before it, and are no secret. ``typed``: it is known to have been typed.
    """

    text: str
    head: int = 0
    typed: bool = False


class TypedSecrets:
    """Knows where a screen shows what *redactor* knows, and what was said to stand there in a secret's place.

    Safe to use from several threads.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._learned: set[str] = set()
        self._exact: set[str] = set()
        self._known: list[_Known] = []
        self._grams: dict[str, list[tuple[_Known, int]]] = {}  # three characters → in which text, and where in it
        self._last: tuple[object, Spans] | None = None
        self._lock = threading.Lock()

    def held_by(self, text: str) -> bool:
        """Whether *text* holds a secret as it is: a word of one, or something like it, does not count."""
        return any(True for _ in self._redactor.spans(text))

    def typing(self, text: str) -> None:
        """*text*, which holds a secret, is typed now: where it grows is known by what stands before it."""
        with self._lock:
            for begin, end in self._redactor.spans(text):
                before = text[max(0, begin - _HEAD) : begin].lstrip()
                for head, value in _readings(before, text[begin:end]):
                    whole, alone = _plain(head + value).text, _plain(value).text
                    told = len(before) >= SHORTEST
                    self._add(_Known(whole if told else alone, len(whole) - len(alone) if told else 0, typed=True))

    def instead(self, shown: str) -> None:
        """*shown* stands where a secret was typed, and may be anything; when it is very short, any word."""
        if len(shown.strip()) >= _FUZZY:
            with self._lock:
                self._exact.add(shown.strip())

    def spans(self, lines: Sequence[str]) -> Spans:
        """Of each of a screen's *lines*, from where to where it shows a secret."""
        with self._lock:
            for value in self._redactor.values - self._learned:
                self._learn(value)
            asked = (tuple(lines), len(self._exact), len(self._known))
            if self._last is None or self._last[0] != asked:  # text and picture are masked one after the other
                self._last = asked, self._found(lines) if self._learned else [[] for _ in lines]
            return self._last[1]

    def _found(self, lines: Sequence[str]) -> Spans:
        spans: list[list[tuple[int, int]]] = [[] for _ in lines]
        for flow in flows(lines):
            for begin, end in (*self._spelt(flow.text), *self._alike(flow, lines)):
                for row, first, last in flow.cells(begin, end):
                    spans[row].append((first, last))
        return [_joined(found) for found in spans]

    def _spelt(self, text: str) -> Iterator[tuple[int, int]]:
        yield from self._redactor.spans(text)
        for spelling in self._exact:
            at = text.find(spelling)
            while at >= 0:
                yield at, at + len(spelling)
                at = text.find(spelling, at + 1)

    # --- what is like a secret ----------------------------------------------------------------------------------------

    def _learn(self, value: str) -> None:
        lines = [line.strip() for line in re.split(r"[\r\n\t]+", value)]  # as the keyboard types it
        for line in lines:
            shown = {text for (text,) in _readings(line)} if len(lines) == 1 else {line}
            self._exact.update(text for text in shown - {line} if len(text) >= SHORTEST and _UNTOLD not in text)
            for text in sorted(shown):
                self._add(_Known(_plain(text).text))
        self._learned.add(value)

    def _add(self, known: _Known) -> None:
        if len(known.text) < SHORTEST or known in self._known:
            return
        self._known.append(known)
        seen = Counter[str]()
        for at in range(len(known.text) - _GRAM + 1):
            gram = known.text[at : at + _GRAM]
            seen[gram] += 1
            if seen[gram] <= _OFTEN:
                self._grams.setdefault(gram, []).append((known, at))

    def _alike(self, flow: Flow, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
        screen = _Screen(_plain(flow.text), flow, lines)
        text = screen.plain.text
        done: dict[tuple[int, int], int] = {}  # secret and diagonal → up to where on the screen it was followed
        for at in range(len(text) - _GRAM + 1):
            for known, offset in self._grams.get(text[at : at + _GRAM], ()):
                if done.get((id(known), at - offset), 0) > at:
                    continue
                found = _follow(known.text, offset, text, at)
                done[id(known), at - offset] = found.last
                if _tells(known, found, screen):
                    first, last = _with_the_rest(known, found, screen)
                    yield screen.plain.begins[first], screen.plain.ends[last - 1]


def _readings(*texts: str) -> Iterator[tuple[str, ...]]:
    """*texts*, and what guests show for their keys that read another layout than they are typed in, whichever it is."""
    yield texts
    for typed in LAYOUTS.values():
        try:
            chords = [[chord for character in text for chord in typed.chords(character)] for text in texts]
        except UntypableCharacter:
            continue
        for read in LAYOUTS.values():
            if read is not typed:
                yield tuple("".join(character or _UNTOLD for character in read.shows(each)) for each in chords)


def _plain(text: str) -> _Plain:
    characters: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    for at, character in enumerate(text):
        lower = character.lower()
        lower = lower if len(lower) == 1 else character
        if characters and characters[-1] == lower:
            ends[-1] = at + 1
            continue
        characters.append(lower)
        begins.append(at)
        ends.append(at + 1)
    return _Plain("".join(characters), begins, ends)


def _follow(secret: str, offset: int, screen: str, at: int) -> _Likeness:
    """How far both go together, to both sides of a piece that they share; blanks at the ends are anything's."""
    right = _along(secret[offset:], screen[at : at + 2 * len(secret)])
    left = _along(secret[:offset][::-1], screen[max(0, at - 2 * len(secret)) : at][::-1])
    begin, end, first, last = offset - left[0], offset + right[0], at - left[1], at + right[1]
    equal = left[2] + right[2]
    if screen[last - 1] == " ":
        end, last, equal = end - 1, last - 1, equal - 1
    if screen[first] == " ":
        begin, first, equal = begin + 1, first + 1, equal - 1
    return _Likeness(begin, end, first, last, equal, left[3] + right[3])


_JUMPS = sorted(
    ((a, b) for a in range(_JUMP + 1) for b in range(_JUMP + 1) if a or b),
    key=lambda jump: (max(jump), jump[0] != jump[1]),
)


def _along(secret: str, screen: str) -> tuple[int, int, int, int]:
    """From the beginnings of both: how far in either, how many characters are equal, how many wrong.

    It goes on behind a mistake where more is equal than was wrong, or the secret's last characters are.
    """
    i = j = equal = wrong = 0
    while i < len(secret) and j < len(screen):
        if secret[i] == screen[j]:
            i, j, equal = i + 1, j + 1, equal + 1
            continue
        for a, b in _JUMPS:
            run = secret[i + a : i + a + max(a, b) + 2]
            if run and "\n" not in screen[j : j + b] and screen.startswith(run, j + b):
                i, j, wrong = i + a, j + b, wrong + max(a, b)
                break
        else:
            break
    return i, j, equal, wrong


@dataclass(frozen=True, slots=True)
class _Screen:
    plain: _Plain
    flow: Flow
    lines: Sequence[str]

    def ends_field(self, last: int) -> bool:
        """Whether nothing stands behind it in its row, or in the part of it that is for one text."""
        row, column = self.flow.places[self.plain.ends[last - 1] - 1]
        return bool(_FIELD_ENDS.match(self.lines[row], column + 1))

    def begins_field(self, first: int) -> bool:
        row, column = self.flow.places[self.plain.begins[first]]
        before = self.lines[row][:column]
        return before.endswith(("  ", "_")) or not before.strip(FRAME + " ")


def _tells(known: _Known, found: _Likeness, screen: _Screen) -> bool:
    """Whether it is enough of a secret: two thirds, or less where that is all that is to be seen of it by now."""
    if known.head:
        head = known.text[found.begin : known.head]
        is_there = len(head) >= _GRAM and screen.plain.text.startswith(head, found.first)
        return is_there and found.end > known.head and found.wrong <= found.equal // 4
    length, equal = len(known.text), found.equal
    if equal == length or (length >= _FUZZY and equal >= max(length - 1, _FUZZY - 1) and found.wrong <= 1):
        return True
    if found.wrong > equal // 4 or (found.wrong and equal < _FUZZY):
        return False
    if equal >= max(_CHANCE, min(_TELLING, -(-2 * length // 3))):
        return True
    ends = screen.ends_field(found.last)
    if (ends or known.typed) and (found.begin == 0 or (found.begin == 1 and equal >= _FUZZY)):
        return equal >= max(SHORTEST, min(_TELLING, -(-length // 3)))
    least = max(_FUZZY, min(_TELLING, -(-length // 2)))
    return ends and equal >= least and screen.begins_field(found.first)


def _with_the_rest(known: _Known, found: _Likeness, screen: _Screen) -> tuple[int, int]:
    """Also what stands where the rest of the secret should: up to as many characters, and no blanks."""
    first, last, text = found.first, found.last, screen.plain.text
    if known.head:
        first += known.head - found.begin
    else:
        while first > max(0, found.first - found.begin) and _is_text(text[first - 1]):
            first -= 1
    most = min(len(text), found.last + len(known.text) - found.end)
    while last < most and _is_text(text[last]) and not screen.ends_field(last):
        last += 1
    return first, last


def _is_text(character: str) -> bool:
    return not character.isspace() and character not in FRAME


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined
