"""Reads text off a screenshot by comparing cells with glyphs that are known bit by bit.

A cell with two colours is text whatever the colours are, in reverse video too. A cell with one colour is blank. A cell
with more colours is text on a picture where one of the colours, taken alone, has the exact shape of a glyph. What equals
no glyph is not guessed at: it reads as U+FFFD.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from factory.drivers.screen.fonts import Bitmap, Font, FontShelf
from factory.drivers.screen.frame import Frame, Grid, cells_of_band, edges

UNKNOWN = "\ufffd"
_SAMPLE = 24
_ENOUGH = 0.7  # of a sample's cells must be known glyphs for a grid to be right
_RICH = 8  # pixels of ink that a glyph on a picture has, for its colour to count as the text's
_MOST_COLOURS = 12
_CACHED_CELLS = 20_000
_CACHED_BANDS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A cell without its colours. Equal ones are the same object (see ``GlyphReader``), so that counting them is cheap.

    Args:
        bitmap: of a cell with two colours, with the top left pixel as 0; empty for a blank one.
        masks: of a cell with more colours, (colour, where it is) for each.
    """

    bitmap: Bitmap = b""
    masks: tuple[tuple[bytes, Bitmap], ...] = ()


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


_BLANK = Shape()


class GlyphReader:
    """Reads frames of one screen; remembers where its grid lies and what its cells mean."""

    def __init__(self, shelf: FontShelf) -> None:
        self._shelf = shelf
        self._shapes: dict[bytes, Shape] = {}
        self._interned: dict[object, Shape] = {(b"", ()): _BLANK}
        self._bands: dict[tuple[Grid, bytes], tuple[Shape, ...]] = {}
        self._grids: dict[tuple[int, int], Grid] = {}
        self._failures = 0

    def read(self, frame: Frame) -> GlyphText | None:
        """The text of *frame*; None when no known font is on it."""
        grid = self._find_grid(frame)
        if grid is None:
            return None
        rows = self.shapes(frame, grid)
        counts = Counter(shape for row in rows for shape in row)
        best: GlyphText | None = None
        for font in self._shelf.of_size(grid.width, grid.height):
            text = _decode(rows, counts, font, grid)
            if best is None or text.known > best.known:
                best = text
        return best

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
            shapes: tuple[Shape, ...] = (_BLANK,) * grid.columns(frame)
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
                self._interned = {(b"", ()): _BLANK}
                self._bands.clear()
            shape = shape_of(cell)
            shape = self._shapes[cell] = self._interned.setdefault((shape.bitmap, shape.masks), shape)
        return shape

    # --- finding the grid ---------------------------------------------------------------------------------------------

    def _find_grid(self, frame: Frame) -> Grid | None:
        places = _spread(list(edges(frame)), _SAMPLE)
        if not places:
            return self._grids.get((frame.width, frame.height)) or Grid(8, 16)
        size = (frame.width, frame.height)
        candidates = [self._grids[size]] if size in self._grids else []
        candidates += _usual_grids(frame, self._shelf.sizes())
        for grid in candidates:
            if self._score(frame, grid, places) >= _ENOUGH:
                self._grids[size] = grid
                self._failures = 0
                return grid
        # Trying every offset takes a tenth of a second: not for each frame of something that is no text.
        self._failures += 1
        if self._failures & (self._failures - 1):
            return None
        found = self._search_offsets(frame, places)
        if found:
            self._grids[size] = found
            self._failures = 0
        return found

    def _search_offsets(self, frame: Frame, places: Sequence[tuple[int, int]]) -> Grid | None:
        best: tuple[float, Grid] | None = None
        for width, height in self._shelf.sizes():
            for left in range(width):
                for top in range(height):
                    grid = Grid(width, height, left, top)
                    score = self._score(frame, grid, places, give_up=4)
                    if score >= _ENOUGH and (best is None or score > best[0]):
                        best = (score, grid)
        return best[1] if best else None

    def _score(self, frame: Frame, grid: Grid, places: Iterable[tuple[int, int]], *, give_up: int = _SAMPLE) -> float:
        """The part of the cells at *places* that are glyphs of one font; 0 as soon as *give_up* are none of any."""
        fonts = self._shelf.of_size(grid.width, grid.height)
        hits = [0] * len(fonts)
        seen: set[Bitmap] = set()
        tried = misses = 0
        for x, y in places:
            column, row = (x - grid.left) // grid.width, (y - grid.top) // grid.height
            left, top = grid.left + column * grid.width, grid.top + row * grid.height
            if left < 0 or top < 0 or left + grid.width > frame.width or top + grid.height > frame.height:
                continue
            shape = self._shape(frame.cell(left, top, grid.width, grid.height))
            if not shape.bitmap and not shape.masks:
                continue
            tried += 1
            hit = False
            for index, font in enumerate(fonts):
                if shape.bitmap in font.by_shape or _on_picture(shape, font):
                    hits[index] += 1
                    hit = True
            if hit:
                seen.add(shape.bitmap)
            else:
                misses += 1
                if misses >= give_up and misses > tried // 2:
                    return 0.0
        if not tried or (tried >= 8 and len(seen) < 3):
            return 0.0
        return max(hits) / tried


def shape_of(cell: bytes) -> Shape:
    """Takes the colours off a cell (three bytes a pixel)."""
    first = cell[:3]
    pixels = [cell[i : i + 3] for i in range(0, len(cell), 3)]
    colours = Counter(pixels)
    if len(colours) == 1:
        return _BLANK
    if len(colours) == 2:
        return Shape(bytes([pixel != first for pixel in pixels]))
    if len(colours) > _MOST_COLOURS:
        frequent = [colour for colour, count in colours.most_common(3) if count >= 4]
    else:
        frequent = list(colours)
    return Shape(masks=tuple((colour, bytes([pixel == colour for pixel in pixels])) for colour in frequent))


def _on_picture(shape: Shape, font: Font) -> bool:
    return any(mask.count(1) >= _RICH and mask in font.glyphs for _, mask in shape.masks)


def _spread(places: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    if len(places) <= count:
        return places
    step = len(places) / count
    return [places[int(i * step)] for i in range(count)]


def _usual_grids(frame: Frame, sizes: Iterable[tuple[int, int]]) -> list[Grid]:
    """Grids that begin in the corner, and those of UEFI consoles, which are centred."""
    grids = [Grid(w, h) for w, h in sizes if frame.width % w == 0]
    for width, height in sizes:
        grids.append(Grid(width, height))
        # EDK2's GraphicsConsoleDxe centres 80x25, or as many rows and columns as fit.
        for columns, rows in ((frame.width // width, frame.height // height), (80, 25), (100, 31), (80, 50), (128, 40)):
            left, top = (frame.width - columns * width) // 2, (frame.height - rows * height) // 2
            if left >= 0 and top >= 0:
                grids.append(Grid(width, height, left % width, top % height))
    return list(dict.fromkeys(grids))


# --- from shapes to characters ----------------------------------------------------------------------------------------


def _decode(rows: Sequence[Sequence[Shape]], counts: Mapping[Shape, int], font: Font, grid: Grid) -> GlyphText:
    inks = _text_colours(counts, font)
    meaning: dict[Shape, str] = {}
    known = unknown = 0
    for shape, count in counts.items():
        character = _character(shape, font, inks)
        meaning[shape] = character
        if character == UNKNOWN:
            unknown += count
        elif character != " ":
            known += count
    lines = tuple("".join([meaning[shape] for shape in row]).rstrip() for row in rows)
    return GlyphText(lines, font.name, grid, known, unknown)


def _character(shape: Shape, font: Font, inks: frozenset[bytes]) -> str:
    if shape.bitmap:
        return font.by_shape.get(shape.bitmap) or _under_cursor(shape.bitmap, font) or UNKNOWN
    for colour, mask in shape.masks:
        if colour in inks and (character := font.glyphs.get(mask)):
            return character
    return " "


def _text_colours(counts: Mapping[Shape, int], font: Font) -> frozenset[bytes]:
    """Colours that text on a picture is drawn in: several glyphs with enough ink to be no accident."""
    colours: Counter[bytes] = Counter()
    for shape in counts:
        for colour, mask in shape.masks:
            if mask.count(1) >= _RICH and font.glyphs.get(mask, " ") != " ":
                colours[colour] += 1
    return frozenset(colour for colour, count in colours.items() if count >= 3)


def _under_cursor(bitmap: Bitmap, font: Font) -> str:
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
