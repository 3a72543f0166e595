"""A screenshot as bytes, and the cells that text is drawn in.

Everything works on slices of ``bytes``, which are cheap, and looks at each different cell once: a screen has thousands
of cells but few different ones, and most rows are the same as when it was last looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = re.compile(rb"P6\s(?:#.*\s)*(\d+)\s+(\d+)\s+255\s")


@dataclass(frozen=True, slots=True)
class Frame:
    """A screenshot: ``width * height`` pixels of three bytes (red, green, blue), row by row."""

    width: int
    height: int
    pixels: bytes

    @classmethod
    def from_ppm(cls, data: bytes) -> Frame:
        """Reads a binary PPM (``P6``, 8 bits a channel), as QMP ``screendump`` writes it. Raises: ValueError."""
        header = _HEADER.match(data)
        if not header:
            raise ValueError("not a binary PPM image")
        width, height = int(header[1]), int(header[2])
        pixels = data[header.end() :]
        if len(pixels) != width * height * 3:
            raise ValueError(f"a PPM image of {width}x{height} with {len(pixels)} bytes of pixels: cut short")
        return cls(width, height, pixels)

    def band(self, top: int, height: int) -> bytes:
        """The pixels of some rows."""
        row = self.width * 3
        return self.pixels[top * row : (top + height) * row]

    def cell(self, left: int, top: int, width: int, height: int) -> bytes:
        """The pixels of a rectangle, row by row."""
        row, start = self.width * 3, (top * self.width + left) * 3
        pixels = self.pixels
        return b"".join([pixels[i : i + width * 3] for i in range(start, start + row * height, row)])


@dataclass(frozen=True, slots=True)
class Grid:
    """Where cells lie: their size, and the pixel where the first one begins."""

    width: int
    height: int
    left: int = 0
    top: int = 0

    def columns(self, frame: Frame) -> int:
        return (frame.width - self.left) // self.width

    def rows(self, frame: Frame) -> int:
        return (frame.height - self.top) // self.height


def cells_of_band(band: bytes, frame: Frame, grid: Grid) -> list[bytes]:
    """The cells of one row of text, each as the pixels of its rectangle."""
    row = frame.width * 3
    lines = [band[i : i + row] for i in range(0, len(band), row)]
    width = grid.width * 3
    start = grid.left * 3
    return [
        b"".join([line[x : x + width] for line in lines])
        for x in range(start, start + grid.columns(frame) * width, width)
    ]


def edges(frame: Frame, *, rows: int = 60) -> Iterator[tuple[int, int]]:
    """Pixels (x, y) near which something is drawn, from rows spread over the frame."""
    row = frame.width * 3
    pixels = frame.pixels
    inked = [y for y in range(frame.height) if (line := pixels[y * row : (y + 1) * row]) != line[:3] * frame.width]
    step = max(1, len(inked) // rows)
    for y in inked[::step]:
        line = pixels[y * row : (y + 1) * row]
        for x in range(0, frame.width - 8, 8):
            block = line[x * 3 : x * 3 + 24]
            if block != block[:3] * 8:
                # The first pixel that differs from its left neighbour lies in the ink or at its rim.
                offset = next(i for i in range(1, 8) if block[i * 3 : i * 3 + 3] != block[:3])
                yield x + offset, y
