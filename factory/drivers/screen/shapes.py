"""Cells without their colours: what a glyph is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.drivers.screen.fonts import RICH, Bitmap, Font

CONTRAST = 120
"""Difference of red + green + blue that separates ink from paper; gradients of a picture stay below it."""
_FAINT = 40
"""Two colours that differ by less in every channel are a picture's, not a text's."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A cell without its colours. Equal ones are the same object (see ``GlyphReader``), so that counting them is cheap.

    Args:
        bitmap: of a cell with two colours, with the top left pixel as 0; empty for a blank one.
        on_picture: of a cell with more colours, the bitmaps of what is brighter and of what is darker than the rest.
    """

    bitmap: Bitmap = b""
    on_picture: tuple[Bitmap, ...] = ()

    def is_rich_glyph(self, font: Font) -> bool:
        """Whether it is a glyph of *font* with too much ink to be one by accident."""
        if self.bitmap:
            return RICH <= self.bitmap.count(1) <= len(self.bitmap) - RICH and self.bitmap in font.by_shape
        return any(mask.count(1) >= RICH and mask in font.glyphs for mask in self.on_picture)


BLANK = Shape()


def shape_of(cell: bytes) -> Shape:
    """Takes the colours off a cell (three bytes a pixel)."""
    first = cell[:3]
    pixels = [cell[i : i + 3] for i in range(0, len(cell), 3)]
    colours = set(pixels)
    if len(colours) == 1:
        return BLANK
    if len(colours) == 2:
        (other,) = colours - {first}
        if max(abs(a - b) for a, b in zip(first, other, strict=True)) < _FAINT:
            return BLANK
        return Shape(bytes([pixel != first for pixel in pixels]))
    return Shape(on_picture=tuple(inks([sum(pixel) for pixel in pixels])))


def inks(lights: Sequence[int]) -> Iterator[Bitmap]:
    """What stands out from the paper, which is the middle of all: the brighter first, then the darker.

    Dark pixels beside bright text are its shadow, so what is bright is the likelier text.

    Args:
        lights: red + green + blue of each pixel.
    """
    paper = sorted(lights)[len(lights) // 2]
    brightest, darkest = max(lights), min(lights)
    if brightest - paper >= CONTRAST:
        limit = (brightest + paper) // 2
        yield bytes([light > limit for light in lights])
    if paper - darkest >= CONTRAST:
        limit = (darkest + paper) // 2
        yield bytes([light < limit for light in lights])
