"""Tells what has come into a row of a screen, or into several that a line fills: all of it, and nothing else. Pure.

Keys put characters in where the cursor is. What stands behind it moves on, and uses up what a field or a frame is
filled with. So the old text must be there still, in two parts, with what was put in between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from factory.drivers.keyboard.wrap import FRAME
from factory.drivers.screen.glyphs import UNKNOWN

_TELLING = 8  # characters by which the end of what is known is found again
_AT_EDGES = str.maketrans(dict.fromkeys("\\*" + FRAME))  # GRUB's mark of a wrap and of a menu's choice, and frames
_CURSORS = " _█"
_ROWS = 4  # that a text goes on in, where blanks at the end of rows hide that they are full
_INVISIBLE = str.maketrans(dict.fromkeys(" \n"))


@dataclass(frozen=True, slots=True)
class Insertion:
    """``new`` is ``old`` with something put in, at one of the places ``least`` to ``most``.

    There are several where what was put in begins as the text behind it does. All may hold line ends, and none ends
    with ``fill``: what is typed may, which can't be seen.
    """

    old: str
    new: str
    least: int
    most: int
    fill: str = " "
    joined: bool = False
    """It is of several rows: without blanks, frames and marks."""

    def texts(self, known: str) -> list[str]:
        """What may have been put in just behind *known*, wherever when that is empty; nothing when it was elsewhere."""
        end, length = _bare(self.seen(known))[-_TELLING:], len(self.new) - len(self.old)
        places = range(self.least, self.most + 1)
        found = [self.new[place : place + length] for place in places if _ends_with(_bare(self.old[:place]), end)]
        return list(dict.fromkeys(found))

    def stands(self, typed: str, known: str) -> str | None:
        """What was put in for *typed*, behind *known*: empty when it is right, None when it is something else."""
        seen, texts = self.seen(typed), self.texts(known)
        meant = seen if known.strip() else seen.lstrip()  # the blanks before it may be the prompt's
        if not meant:
            return ""
        stand = [shown for text in texts if (shown := _came_twice(text, meant, self.old)) is not None]
        best = min(stand, key=len, default=None)
        if best == "" and meant != seen and self.old.strip(FRAME) and not any(text.startswith(" ") for text in texts):
            return meant  # … but there is none
        return seen[: len(seen) - len(meant)] + best if best else best

    def seen(self, typed: str) -> str:
        """What can be told of *typed*, were it what was put in."""
        typed = typed.rstrip(self.fill)
        return _bare(typed.translate(_AT_EDGES)) if self.joined else typed


def insertion(before: Sequence[str], after: Sequence[str], rows: Sequence[int], width: int) -> Insertion | None:
    """What was put into *rows*, one below the other, of a screen of *width* columns; None when that is not all.

    Of more than one row, frames and blanks do not count, and full rows are joined.
    """
    if len(rows) == 1:
        row = rows[0]
        return _into_row(before[row] if row < len(before) else "", after[row])
    found = _between(_joined(before, rows, width), _joined(after, rows, width))
    return replace(found, joined=True) if found else None


def _came_twice(text: str, typed: str, old: str) -> str | None:
    """As much of *text* as was typed, when the first or last key of *typed* came more than once.

    Args:
        text: what was put in; a prompt that appeared only then may stand before it, and a log below.
        typed: as much of it as can be seen (``Insertion.seen``).
        old: what stood there before; if anything did, nothing but what was typed came between its parts.

    Returns: empty when none did; None when *typed* is not in it.
    """
    pattern = re.compile("".join(f"[{re.escape(character)}{UNKNOWN}]" for character in typed))
    pieces = text.split("\n")
    for count in range(1, min(len(pieces), _ROWS) + 1):
        shown = "".join(pieces[:count])
        found = list(pattern.finditer(shown))
        if not found:
            continue
        start, end = found[-1].span()
        first = len(shown[:start].rstrip(typed[0])) if typed[0] != " " else start
        last = len(shown) - len(shown[end:].lstrip(typed[-1]))
        if old.strip(FRAME) and (shown[:first].strip() or shown[last:].strip()):
            continue
        return "" if (first, last) == (start, end) else shown[first:last]
    return None


def _into_row(old: str, new: str) -> Insertion | None:
    if found := _between(old.rstrip(), new.rstrip()):
        return found
    # What stands right of a field has stayed, and what the field is filled with is used up.
    width = max(len(old), len(new))
    old, new = old.ljust(width), new.ljust(width)
    stays = width - common_end(old, new)
    fill = " _" if "__" in old[:stays] else " "
    found = _between(old[:stays].rstrip(fill), new[:stays].rstrip(fill), fill)
    # A cursor that is drawn behind a line blinks.
    return found or _between(old.rstrip(_CURSORS), new.rstrip(_CURSORS), _CURSORS)


def _between(old: str, new: str, fill: str = " ") -> Insertion | None:
    start, end = common_start(old, new), common_end(old, new)
    if len(new) <= len(old) or start + end < len(old):
        return None
    return Insertion(old, new, len(old) - end, start, fill)


def _joined(lines: Sequence[str], rows: Sequence[int], width: int) -> str:
    """The text of *rows* without what may be of a frame or mark a wrap, or can't be seen there."""
    text = ""
    for row in rows:
        line = lines[row].rstrip() if row < len(lines) else ""
        text += line.translate(_AT_EDGES) + ("" if is_full(line, width) else "\n")
    return text.rstrip("\n")


def is_full(line: str, width: int) -> bool:
    """Whether a *line* without blanks at its end has no room left, on a screen of *width* columns."""
    framed = line[-1:] in tuple(FRAME) and line.lstrip()[:1] in tuple(FRAME)
    return line[-2:-1] != " " if framed else len(line) >= width - 1


def block(changed: frozenset[int], row: int) -> range:
    """The changed rows around *row*, without a gap."""
    first = last = row
    while first - 1 in changed:
        first -= 1
    while last + 1 in changed:
        last += 1
    return range(first, last + 1)


def common_start(first: str, second: str) -> int:
    """Characters that both begin with."""
    shorter = min(len(first), len(second))
    return next((i for i in range(shorter) if first[i] != second[i]), shorter)


def common_end(first: str, second: str) -> int:
    """Characters that both end with."""
    shorter = min(len(first), len(second))
    return next((i for i in range(shorter) if first[-1 - i] != second[-1 - i]), shorter)


def _ends_with(shown: str, end: str) -> bool:
    start = len(shown) - len(end)
    return start >= 0 and all(a in (b, UNKNOWN) for a, b in zip(shown[start:], end, strict=True))


def _bare(text: str) -> str:
    """Without what can't be seen at the end of a row."""
    return text.translate(_INVISIBLE)
