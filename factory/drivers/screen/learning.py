"""Learns an unknown font from text that is known to be on the screen: a kernel says the same on the serial line.

A row of cells is a cryptogram: which cells look alike is known, which letters they are is not. A line of the serial log
with the same pattern of repetitions solves it. Rows are long and logs are not, so a pattern fits one line or none; what
contradicts what was learned before is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from factory.drivers.screen.fonts import Bitmap, Font
from factory.drivers.screen.shapes import Shape

_LONG = 20
_VARIED = 10
_ENOUGH = 16
SIZES = ((8, 16), (8, 14), (8, 8), (9, 16), (10, 18), (10, 20), (12, 22), (12, 24), (16, 32))
"""Cell sizes of Linux' console fonts."""


def learn(rows: Sequence[Sequence[Shape]], lines: Iterable[str], width: int, height: int) -> Font | None:
    """A font out of the cells of a screen and lines that may be on it; None when too little can be learned.

    Args:
        rows: the shapes of each row of cells.
        lines: without their ends; longer ones than a row are taken to be wrapped.
    """
    inked = [row[: _last_ink(row) + 1] for row in rows]
    said = _by_pattern(lines, max((len(row) for row in rows), default=1))
    letters: dict[Bitmap, str] = {}
    taken: dict[str, Bitmap] = {}
    for row in sorted(inked, key=len, reverse=True):
        if len(row) < _LONG or any(shape.on_picture for shape in row):
            continue
        texts = said.get(_pattern([shape.bitmap for shape in row], b""), ())
        if len(texts) == 1:
            pairs = {shape.bitmap: letter for shape, letter in zip(row, texts[0], strict=True) if shape.bitmap}
            agreed = all(letters.get(b, c) == c and taken.get(c, b) == b for b, c in pairs.items())
            if agreed:
                letters.update(pairs)
                taken.update({letter: bitmap for bitmap, letter in pairs.items()})
    if len(letters) < _ENOUGH:
        return None
    letters[bytes(width * height)] = " "
    return Font(f"learned {width}x{height}", width, height, letters)


def _by_pattern(lines: Iterable[str], columns: int) -> dict[tuple[int, ...], tuple[str, ...]]:
    found: dict[tuple[int, ...], tuple[str, ...]] = {}
    for line in dict.fromkeys(lines):
        for start in range(0, len(line), columns):
            text = line[start : start + columns].rstrip()
            if len(text) >= _LONG and len(set(text)) >= _VARIED:
                pattern = _pattern(text, " ")
                known = found.get(pattern, ())
                if text not in known:
                    found[pattern] = (*known, text)
    return found


def _pattern(cells: Sequence[object], blank: object) -> tuple[int, ...]:
    """For each cell the place where its like is first seen; blanks, which can be told, as -1."""
    first: dict[object, int] = {blank: -1}
    return tuple([first.setdefault(cell, index) for index, cell in enumerate(cells)])


def _last_ink(row: Sequence[Shape]) -> int:
    return max((index for index, shape in enumerate(row) if shape.bitmap or shape.on_picture), default=-1)
