"""Checks the characters of a VGA text screen beyond ASCII by what they look like.

The text memory holds codes, and what a code shows is the font's affair, which a guest may load anew (a console font of
another code page). The font itself lies in plane 2, where no address of the guest's leads in a text mode; but whatever
is in it is on the screenshot. Codes of ASCII look as they should in every font that is in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factory.drivers.screen.codepage import CP437
from factory.drivers.screen.fonts import Font, upright
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.glyphs import UNKNOWN, under_cursor
from factory.drivers.screen.shapes import shape_of
from factory.drivers.screen.vga_memory import BLANK_CODES, MemoryText

_WIDTH = 8
"""Pixels that a glyph has: the ninth column of a wider cell is paper, or repeats the eighth."""
_LOOKS = 3
"""Cells that are looked at for one code: one of them may be under the cursor."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Lines in which codes beyond ASCII read as what they look like; cells with text are ``known`` or ``unknown``."""

    lines: tuple[str, ...]
    known: int
    unknown: int

    @property
    def confidence(self) -> float:
        total = self.known + self.unknown
        return self.known / total if total else 1.0


def checked(text: MemoryText, frame: Frame, fonts: Sequence[Font]) -> Checked:
    """*text* with U+FFFD for each code that looks neither as in code page 437 nor as any glyph of *fonts*.

    Args:
        fonts: those of 8 pixels' width and the cell's height, the VGA BIOS' first.
    """
    places: dict[int, list[int]] = {}
    for index, code in enumerate(text.codes):
        if not 0x20 <= code < 0x7F and code not in BLANK_CODES:
            places.setdefault(code, []).append(index)
    meaning = list(CP437)
    for code, indexes in places.items():
        meaning[code] = _meant(code, [_bitmap(text, frame, index) for index in indexes[:_LOOKS]], fonts)
    shown = "".join([meaning[code] for code in text.codes])
    columns = text.mode.columns
    lines = tuple(shown[i : i + columns].rstrip() for i in range(0, len(shown), columns))
    unknown = shown.count(UNKNOWN)
    return Checked(lines, sum(not c.isspace() for c in shown) - unknown, unknown)


def _bitmap(text: MemoryText, frame: Frame, index: int) -> bytes:
    """A cell without its colours; empty where it is all of one colour."""
    row, column = divmod(index, text.mode.columns)
    grid = text.mode.grid
    return shape_of(frame.cell(column * grid.width, row * grid.height, _WIDTH, grid.height)).bitmap


def _meant(code: int, bitmaps: Sequence[bytes], fonts: Sequence[Font]) -> str:
    character = CP437[code]
    shown = [bitmap for bitmap in bitmaps if bitmap]
    if not shown or not fonts:
        return character  # painted in the paper's colour, blinking, a full block; or there is nothing to compare with
    for bitmap in shown:
        if _is(bitmap, character, fonts[0]):
            return character
    for font in fonts:
        for bitmap in shown:
            if found := font.by_shape.get(bitmap):
                return found
    return UNKNOWN


def _is(bitmap: bytes, character: str, font: Font) -> bool:
    found = font.by_shape.get(bitmap) or under_cursor(bitmap, font)
    if found == character or character in font.twins.get(found, ""):
        return True
    # A half block and its other half are one shape in reverse video.
    return any(other == character and upright(glyph) == bitmap for glyph, other in font.glyphs.items())
