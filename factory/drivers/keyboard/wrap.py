"""Finds a typed text on a screen, also where it goes on in the next row. Pure.

A line wraps with or without a mark (GRUB writes a backslash), and within a frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from factory.drivers.screen.glyphs import UNKNOWN

FRAME = "│|┃║ "
_WRAP = re.compile(r"\\?[ ]*[│|┃║*]?(?:[ ]*\n){1,3}[ ]*[│|┃║*]?[ ]*")
_NO_WRAP = str.maketrans(dict.fromkeys("\\ │|┃║*\n"))  # without what may stand where a line wraps


def places(lines: Sequence[str], text: str, rows: frozenset[int], unread: int | None = None) -> list[tuple[int, int]]:
    """Rows and columns just behind the places where *text* stands and ends on one of *rows*.

    A character that no sense knows may be any of the text's, up to *unread* of them (None: all).
    """
    stripped = text.rstrip()
    whole = "\n".join(lines)
    if not stripped or (UNKNOWN not in whole and stripped.translate(_NO_WRAP) not in whole.translate(_NO_WRAP)):
        return []  # by far the most often
    found = []
    most = len(stripped) if unread is None else unread
    for end in sorted(_ends(whole, stripped, most)):
        row = whole.count("\n", 0, end)
        if row in rows:
            found.append((row, end - (whole.rfind("\n", 0, end) + 1) + len(text) - len(stripped)))
    return found


def _may_be(shown: str, character: str) -> bool:
    return shown == character or (shown == UNKNOWN and character != " ") or (character, shown) == (" ", "\n")


def _ends(whole: str, text: str, most: int) -> Iterable[int]:
    """Where *text* may end, with *most* unknown characters.

    All places where it may begin are followed at once: on a screen full of one character there are thousands, which
    meet. (As one pattern it would take a tenth of a second to compile.)
    """
    ends = {at: 0 for at, shown in enumerate(whole) if _may_be(shown, text[0])}  # → unknown characters up to there
    for index, character in enumerate(text):
        before, ends = ends, {}
        for at, unknown in before.items():
            for begin in (at, *(_wrapped(whole, at) if index else ())):
                shown = whole[begin : begin + 1]
                if not _may_be(shown, character):
                    continue
                end = begin if shown == "\n" else begin + 1  # lines have no blanks at their ends
                many = unknown + (shown == UNKNOWN)
                if many <= min(most, ends.get(end, most)):
                    ends[end] = many
        if not ends:
            break
    return ends


def _wrapped(whole: str, at: int) -> Sequence[int]:
    """Where a text may go on that wraps here: what looks like a frame or a blank may be of the text."""
    wrap = _WRAP.match(whole, at) if whole[at : at + 1] in "\\ │|┃║*\n" else None
    return range(whole.index("\n", at) + 1, wrap.end() + 1) if wrap else ()
