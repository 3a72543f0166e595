"""Reads text off a screenshot by comparing cells with glyphs that are known bit by bit.

A cell with two colours is text whatever the colours are, in reverse video too. A cell with one colour is blank. A cell
with more colours is text on a picture where what stands out has the exact shape of a glyph. What equals no glyph is not
guessed at: it reads as U+FFFD.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from factory.drivers.screen.fonts import RICH, Bitmap, Font, FontShelf
from factory.drivers.screen.frame import Frame, Grid, cells_of_band
from factory.drivers.screen.grid import find_grid
from factory.drivers.screen.shapes import BLANK, Shape, shape_of

UNKNOWN = "\ufffd"
_SURE = 0.9  # of the cells must be known glyphs, for a grid that was right once to be still right
_NEAR = 8  # columns around a certain glyph on a picture within which small ones are believed too
_DISTINCT = 3  # glyphs on a picture, for any of them to be believed
_CACHED_CELLS = 20_000
_CACHED_BANDS = 400


@dataclass(frozen=True, slots=True)
class GlyphText:
    """What was read.

    ``known`` and ``unknown`` count the cells that hold something and are, or are not, glyphs of the font.
    """

    lines: tuple[str, ...]
    font: str
    grid: Grid
    known: int
    unknown: int

    @property
    def confidence(self) -> float:
        """Known cells among all that hold something: 1.0 when every one equals a glyph bit by bit."""
        total = self.known + self.unknown
        return self.known / total if total else 1.0


class GlyphReader:
    """Reads frames of one screen; remembers where its grid lies and what its cells mean."""

    def __init__(self, shelf: FontShelf) -> None:
        self._shelf = shelf
        self._shapes: dict[bytes, Shape] = {}
        self._interned: dict[object, Shape] = {(b"", ()): BLANK}
        self._bands: dict[tuple[Grid, bytes], tuple[Shape, ...]] = {}
        self._grids: dict[tuple[int, int], Grid] = {}
        self._failures = 0

    def read(self, frame: Frame) -> GlyphText | None:
        """The text of *frame*; None when no known font is on it."""
        size = (frame.width, frame.height)
        known = self._grids.get(size)
        if known:
            text = self.read_at(frame, known)
            if text.confidence >= _SURE and text.known:
                return text
        # Every offset is tried for the first frame without a known font, the second, the fourth, the eighth …
        grid = find_grid(frame, self._shelf, known, everywhere=not self._failures & (self._failures - 1))
        if grid is None:
            self._failures += 1
            return None
        self._failures = 0
        self._grids[size] = grid
        return self.read_at(frame, grid)

    def read_at(self, frame: Frame, grid: Grid) -> GlyphText:
        """The text of *frame* where the grid is known; the shelf must have a font of its size."""
        rows = self.shapes(frame, grid)
        counts: Counter[Shape] = Counter()
        for row in rows:
            counts.update(row)
        fonts = self._shelf.of_size(grid.width, grid.height)
        return max((_decode(rows, counts, font, grid) for font in fonts), key=lambda text: text.known)

    def shapes(self, frame: Frame, grid: Grid) -> list[tuple[Shape, ...]]:
        """The shape of every cell, row by row."""
        return [
            self._band(frame.band(top, grid.height), frame, grid)
            for top in range(grid.top, grid.top + grid.rows(frame) * grid.height, grid.height)
        ]

    def _band(self, band: bytes, frame: Frame, grid: Grid) -> tuple[Shape, ...]:
        key = (grid, band)
        known = self._bands.get(key)
        if known is not None:
            return known
        if band == band[:3] * (len(band) // 3):
            shapes: tuple[Shape, ...] = (BLANK,) * grid.columns(frame)
        else:
            shapes = tuple([self._shape(cell) for cell in cells_of_band(band, frame, grid)])
        if len(self._bands) >= _CACHED_BANDS:
            self._bands.clear()
        self._bands[key] = shapes
        return shapes

    def _shape(self, cell: bytes) -> Shape:
        shape = self._shapes.get(cell)
        if shape is None:
            if len(self._shapes) >= _CACHED_CELLS:
                self._shapes.clear()
                self._interned = {(b"", ()): BLANK}
                self._bands.clear()
            shape = shape_of(cell)
            shape = self._shapes[cell] = self._interned.setdefault((shape.bitmap, shape.on_picture), shape)
        return shape


# --- from shapes to characters ----------------------------------------------------------------------------------------


def _decode(rows: Sequence[Sequence[Shape]], counts: Mapping[Shape, int], font: Font, grid: Grid) -> GlyphText:
    meaning: dict[Shape, str] = {}
    painted: dict[Shape, tuple[str, bool]] = {}
    known = unknown = 0
    for shape, count in counts.items():
        if not shape.bitmap:
            meaning[shape] = " "
            for mask in shape.on_picture:
                if character := font.glyphs.get(mask):
                    painted[shape] = (character, mask.count(1) >= RICH)
                    break
            continue
        character = font.by_shape.get(shape.bitmap) or under_cursor(shape.bitmap, font) or UNKNOWN
        meaning[shape] = character
        if character == UNKNOWN:
            unknown += count
        elif character != " ":
            known += count
    if len({character for character, certain in painted.values() if certain}) < _DISTINCT:
        painted = {}
    if painted:
        # Text on a picture throws a shadow, which reaches into the blank cell beside or below it.
        for shape in [s for s, c in meaning.items() if c == UNKNOWN and _is_shadow(s.bitmap, font.width)]:
            meaning[shape] = " "
            unknown -= counts[shape]
    lines = []
    for row in rows:
        characters = [meaning[shape] for shape in row]
        if painted:
            known += _add_painted(characters, row, painted)
        lines.append(font.in_one_script("".join(characters).rstrip()))
    return GlyphText(tuple(lines), font.name, grid, known, unknown)


def _is_shadow(bitmap: Bitmap, width: int) -> bool:
    """Ink in the first column or the first row only."""
    return not any(bitmap[width:][i] for i in range(len(bitmap) - width) if i % width)


def _add_painted(characters: list[str], row: Sequence[Shape], painted: Mapping[Shape, tuple[str, bool]]) -> int:
    """Puts text that is drawn on a picture into a row; returns how much."""
    found = {column: painted[shape] for column, shape in enumerate(row) if shape in painted}
    certain = [column for column, (_, sure) in found.items() if sure]
    added = 0
    for column, (character, sure) in found.items():
        if sure or any(abs(column - other) <= _NEAR for other in certain):
            characters[column] = character
            added += 1
    return added


def under_cursor(bitmap: Bitmap, font: Font) -> str:
    """The character beneath an underline cursor: full rows of ink in the lower part of the cell; empty if in doubt."""
    full = [bitmap.count(1, i, i + font.width) == font.width for i in range(0, len(bitmap), font.width)]
    last = max((i for i, row in enumerate(full) if row), default=-1)
    if last < font.height // 2:
        return ""
    first = last
    while first > 0 and full[first - 1]:
        first -= 1
    rest = bitmap[: first * font.width] + bitmap[(last + 1) * font.width :]
    return font.without_rows(first, last).get(rest, "")
