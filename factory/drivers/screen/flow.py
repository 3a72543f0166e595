"""A screen's text in the orders in which a program may have written it: across the ends of its rows.

A line that is longer than its place goes on in the next row: at the screen's edge, behind a mark (GRUB writes a
backslash), inside of a frame, or in a box with other text beside it. What is cut out between two rows is no text then,
and none of what was written may be missing where there is no break at all: so a screen has several such orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

FRAME = "│┃║|*\ufffd"
"""What stands at the sides of a box; the last is a cell that no sense knows, as a frame's may be."""
_BOX = "│┃║"
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """``places``: of each character of ``text`` its row and column. A line's end in it is no place to go on at."""

    text: str
    places: Sequence[_Place]

    def cells(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Row, first column and the column behind the last, of what stands from *begin* to *end*."""
        rows: dict[int, list[int]] = {}
        for row, column in self.places[begin:end]:
            rows.setdefault(row, []).append(column)
        for row, columns in rows.items():
            yield row, min(columns), max(columns) + 1


def flows(lines: Sequence[str]) -> tuple[Flow, ...]:
    """The orders in which *lines* may have been written, each once."""
    whole = [(row, 0, line) for row, line in enumerate(lines)]
    framed = [(row, *_inside(0, line)) for row, line in enumerate(lines)]
    found = {flow.text: flow for flow in (_flow(whole), _flow(framed), _flow(_boxes(lines)))}
    return tuple(found.values())


def _flow(parts: Iterable[tuple[int, int, str]]) -> Flow:
    text: list[str] = []
    places: list[_Place] = []
    for row, column, part in parts:
        text.append(part)
        places.extend((row, column + i) for i in range(len(part)))
    return Flow("".join(text), places)


def _inside(column: int, text: str) -> tuple[int, str]:
    """*text*, which begins at *column*, without a frame at its sides and without the mark of a broken line."""
    end = len(text.rstrip())
    if text[end - 1 : end] in tuple(FRAME):
        end = len(text[: end - 1].rstrip())
    if text[:end].endswith("\\"):
        end -= 1
    begin = len(text) - len(text.lstrip())
    if text[begin : begin + 1] in tuple(FRAME) and begin < end:
        begin += 1
        begin += len(text[begin:]) - len(text[begin:].lstrip())
    return column + begin, text[begin : max(begin, end)].rstrip()


def _boxes(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """What stands between the sides of boxes, box by box: those whose left sides stand one above the other."""
    boxes: dict[int, list[tuple[int, int, str]]] = {}
    for row, line in enumerate(lines):
        sides = [-1, *(column for column, c in enumerate(line) if c in _BOX), len(line)]
        if len(sides) > 2:
            for left, right in pairwise(sides):
                boxes.setdefault(left, []).append((row, *_inside(left + 1, line[left + 1 : right])))
    for parts in boxes.values():
        yield from parts
        yield parts[-1][0], 0, "\n"
