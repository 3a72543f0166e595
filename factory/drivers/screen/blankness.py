"""Tells a screen that shows nothing from a picture: one colour, and at most a cursor somewhere on it.

Installers that talk on the serial line leave such a screen, often for an hour: it is read exactly (there is no text on
it), and a cursor that blinks there is no change.
"""

from __future__ import annotations

from factory.drivers.screen.frame import Frame

_CURSOR_WIDTHS = range(5, 33)
_CURSOR_HEIGHTS = range(2, 65)
"""Pixels: underlines of two rows (Linux' ``CUR_UNDERLINE``) to blocks; a row alone is an underscore, which is text."""


def is_blank(frame: Frame) -> bool:
    """True when there is nothing to read on *frame*."""
    row = frame.width * 3
    pixels = frame.pixels
    paper = pixels[-row:]  # a cursor on the last row of pixels would be the exception
    if paper != paper[:3] * frame.width:
        return False
    if pixels == paper * frame.height:
        return True
    lines = [pixels[i : i + row] for i in range(0, len(pixels), row)]
    inked = [number for number, line in enumerate(lines) if line != paper]
    first, last = inked[0], inked[-1]
    if len(inked) not in _CURSOR_HEIGHTS or last - first + 1 != len(inked):
        return False
    return all(lines[number] == lines[first] for number in inked) and _is_bar(lines[first], paper[:3])


def _is_bar(line: bytes, paper: bytes) -> bool:
    """One stretch of one colour on *paper*, as wide as a cell."""
    cells = [line[i : i + 3] for i in range(0, len(line), 3)]
    inked = [number for number, pixel in enumerate(cells) if pixel != paper]
    width = inked[-1] - inked[0] + 1
    return width == len(inked) and width in _CURSOR_WIDTHS and len({cells[number] for number in inked}) == 1
