"""Finds a typed text on a screen, also where it goes on in the next row. Pure.

A line wraps with or without a mark (GRUB writes a backslash), and within a frame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FRAME = "│|┃║ "
_WRAP = re.compile(r"\\?[ ]*[│|┃║*]?(?:[ ]*\n){1,3}[ ]*[│|┃║*]?[ ]*")
_NO_WRAP = str.maketrans(dict.fromkeys("\\ │|┃║*\n"))  # without what may stand where a line wraps


def places(lines: Sequence[str], text: str, rows: frozenset[int]) -> list[tuple[int, int]]:
    """Rows and columns just behind the places where *text* stands and ends on one of *rows*."""
    stripped = text.rstrip()
    whole = "\n".join(lines)
    if not stripped or stripped.translate(_NO_WRAP) not in whole.translate(_NO_WRAP):
        return []  # by far the most often
    found = []
    starts = [at for at, character in enumerate(whole) if character == text[0] or (text[0], character) == (" ", "\n")]
    for end in sorted({end for start in starts for end in _ends(whole, start, stripped)}):
        row = whole.count("\n", 0, end)
        if row in rows:
            found.append((row, end - (whole.rfind("\n", 0, end) + 1) + len(text) - len(stripped)))
    return found


def _ends(whole: str, start: int, text: str) -> set[int]:
    """Where *text* may end that begins at *start*. (As one pattern it would take a tenth of a second to compile.)"""
    ends = _behind(whole, start, text[0])
    for character in text[1:]:
        if not ends:
            break
        ends = {end for at in ends for begin in (at, *_wrapped(whole, at)) for end in _behind(whole, begin, character)}
    return ends


def _behind(whole: str, at: int, character: str) -> set[int]:
    if whole[at : at + 1] == character:
        return {at + 1}
    return {at} if character == " " and whole[at : at + 1] == "\n" else set()  # lines have no blanks at their ends


def _wrapped(whole: str, at: int) -> Sequence[int]:
    """Where a text may go on that wraps here: what looks like a frame or a blank may be of the text."""
    wrap = _WRAP.match(whole, at) if whole[at : at + 1] in "\\ │|┃║*\n" else None
    return range(whole.index("\n", at) + 1, wrap.end() + 1) if wrap else ()
