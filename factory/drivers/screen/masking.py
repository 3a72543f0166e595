"""Hides secrets on a screen: in the text that was read, and in the picture.

Where they stand ``typed_secrets`` finds out. A picture on which no sense can read text is kept as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from factory.drivers.screen.frame import Frame, Grid
from factory.drivers.screen.typed_secrets import Spans
from factory.secret import MASK


def mask_lines(lines: Sequence[str], spans: Spans) -> tuple[str, ...]:
    """The lines without what *spans* name; what other columns show may move."""
    return tuple(map(_mask_line, lines, spans))


def _mask_line(line: str, spans: Sequence[tuple[int, int]]) -> str:
    kept, position = "", 0
    for begin, end in sorted(spans):
        kept += line[position:begin] + (MASK if begin >= position else "")
        position = max(position, end)
    return kept + line[position:]


def mask_picture(frame: Frame, grid: Grid | None, spans: Spans) -> Frame:
    """The picture, black where a secret stands; black all over where it is not known where the cells lie."""
    if not any(spans):
        return frame
    if grid is None:
        return replace(frame, pixels=bytes(len(frame.pixels)))
    pixels = bytearray(frame.pixels)
    for row, found in enumerate(spans):
        top = grid.top + row * grid.height
        for begin, end in found:
            left = min(frame.width, grid.left + begin * grid.width)
            right = min(frame.width, grid.left + end * grid.width)
            for y in range(max(0, top), min(frame.height, top + grid.height)):
                first = (y * frame.width + left) * 3
                pixels[first : first + (right - left) * 3] = bytes((right - left) * 3)
    return replace(frame, pixels=bytes(pixels))
