"""A screenshot as bytes, and the cells that text is drawn in.

Everything works on slices of ``bytes``, which are cheap, and looks at each different cell once: a screen has thousands
of cells but few different ones, and most rows are the same as when it was last looked at.
"""

from __future__ import annotations

import re
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
