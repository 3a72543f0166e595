"""Finds where the cells of a text screen lie: the font's size and the offset of the first cell.

Places where something is drawn are cut out once, with room around them, and turned into bits; then each offset needs
some shifts and one look-up per place, so that all of them can be tried in some hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.drivers.screen.fonts import DIGITS, RICH, FontShelf
from factory.drivers.screen.frame import Frame, Grid
from factory.drivers.screen.shapes import CONTRAST, inks, shape_of

_PLACES = 20
_ENOUGH = 0.6
_SURE = 0.9
_DISTINCT = 3


@dataclass(frozen=True, slots=True)
class _Patch:
    """What surrounds a place: rows of bits, the leftmost pixel the highest bit."""

    x: int
    y: int
    left: int
    top: int
    width: int
    rows: tuple[int, ...]


def find_grid(frame: Frame, shelf: FontShelf, known: Grid | None = None, *, everywhere: bool = True) -> Grid | None:
    """The grid of *frame*; None when no font of *shelf* is on it in a recognisable amount.

    Args:
        known: where it lay last time; tried first.
        everywhere: tries every offset, not only the usual ones.
    """
    places = _spread(list(_contrasts(frame)), _PLACES)
    best: tuple[float, Grid] | None = None
    for width, height in _sizes(shelf, known):
        for grid in _usual(frame, width, height, known):
            score = _score_cells(frame, grid, places, shelf)
            if score >= _SURE:
                return grid
            if score >= _ENOUGH and (best is None or score > best[0]):
                best = (score, grid)
    if best or not everywhere:
        return best[1] if best else None
    for width, height in _sizes(shelf, known):
        patches = _patches(frame, places, width, height)
        glyphs = [font.rich_numbers for font in shelf.of_size(width, height)]
        for left in range(width):
            for top in range(height):
                grid = Grid(width, height, left, top)
                score = _score(patches, grid, glyphs)
                if score >= _ENOUGH and (best is None or score > best[0]):
                    best = (score, grid)
        if best and best[0] >= _SURE:
            break
    return best[1] if best else None


def _score_cells(frame: Frame, grid: Grid, places: Sequence[tuple[int, int]], shelf: FontShelf) -> float:
    """The part of the cells at *places* that are glyphs of one font, each looked at with its own colours."""
    corners = dict.fromkeys((x - (x - grid.left) % grid.width, y - (y - grid.top) % grid.height) for x, y in places)
    shapes = [
        shape_of(frame.cell(left, top, grid.width, grid.height))
        for left, top in corners
        if left >= 0 and top >= 0 and left + grid.width <= frame.width and top + grid.height <= frame.height
    ]
    inked = [shape for shape in shapes if shape.bitmap or shape.on_picture]
    best = 0.0
    for font in shelf.of_size(grid.width, grid.height):
        small = [s for s in inked if s.bitmap and s.bitmap.count(1) < RICH and s.bitmap in font.by_shape]
        hits = [s for s in inked if s.is_rich_glyph(font)]
        judged = len(inked) - len(small)
        different = len({s.bitmap or s.on_picture for s in hits})
        # A screen with hardly any text is believed if every cell on it is a glyph.
        if different >= _DISTINCT or (hits and judged == len(hits)):
            best = max(best, len(hits) / judged)
    return best


def _sizes(shelf: FontShelf, known: Grid | None) -> list[tuple[int, int]]:
    sizes = list(shelf.sizes())
    if known and (known.width, known.height) in sizes:
        sizes.remove((known.width, known.height))
        sizes.insert(0, (known.width, known.height))
    return sizes


def _usual(frame: Frame, width: int, height: int, known: Grid | None) -> Iterator[Grid]:
    """Offsets of programs that are known, as places of the first whole cell."""
    if known and (known.width, known.height) == (width, height):
        yield known
    offsets = [(0, 0)]
    # EDK2's GraphicsConsoleDxe centres its rows and columns, of which there are as many as fit, or one of the modes.
    for columns, rows in ((frame.width // width, frame.height // height), (80, 25), (100, 31), (80, 50), (128, 40)):
        left, top = (frame.width - columns * width) // 2, (frame.height - rows * height) // 2
        if left >= 0 and top >= 0:
            offsets.append((left % width, top % height))
    offsets.append((10 % width, 10 % height))  # GRUB's graphical terminal has a border of ten pixels
    offsets.append((0, height // 2))  # syslinux' vesamenu.c32 centres its rows
    for left, top in dict.fromkeys(offsets):
        yield Grid(width, height, left, top)


def _score(patches: Sequence[_Patch], grid: Grid, glyphs: Sequence[frozenset[int]]) -> float:
    """The part of the cells at the patches that are glyphs of one font; small glyphs do not count for or against it."""
    numbers = (_number(patch, grid) for patch in patches)
    rich = [n for n in numbers if n is not None and n.bit_count() >= RICH]
    best = 0.0
    for known in glyphs:
        hits = [n for n in rich if n in known]
        if len(set(hits)) >= _DISTINCT:
            best = max(best, len(hits) / len(rich))
    return best


def _number(patch: _Patch, grid: Grid) -> int | None:
    """The bits of the cell that the patch's place lies in, as one number; None when it reaches over the frame's rim."""
    left = patch.x - (patch.x - grid.left) % grid.width - patch.left
    top = patch.y - (patch.y - grid.top) % grid.height - patch.top
    shift = patch.width - left - grid.width
    if left < 0 or top < 0 or shift < 0 or top + grid.height > len(patch.rows):
        return None
    mask = (1 << grid.width) - 1
    number = 0
    for row in patch.rows[top : top + grid.height]:
        number = number << grid.width | (row >> shift & mask)
    return number


def _patches(frame: Frame, places: Sequence[tuple[int, int]], width: int, height: int) -> list[_Patch]:
    patches: list[_Patch] = []
    for x, y in places:
        left, top = max(0, x - width + 1), max(0, y - height + 1)
        across, down = min(frame.width, x + width) - left, min(frame.height, y + height) - top
        cell = frame.cell(left, top, across, down)
        lights = [r + g + b for r, g, b in zip(cell[::3], cell[1::3], cell[2::3], strict=True)]
        ink = next(inks(lights), None)
        if ink:
            digits = ink.translate(DIGITS)
            rows = tuple(int(digits[i : i + across], 2) for i in range(0, across * down, across))
            patches.append(_Patch(x, y, left, top, across, rows))
    return patches


def _contrasts(frame: Frame, *, rows: int = 40, per_row: int = 12) -> Iterator[tuple[int, int]]:
    """Pixels (x, y) at the rim of something that stands out, from rows spread over the frame, from either side."""
    row = frame.width * 3
    pixels = frame.pixels
    inked = [y for y in range(frame.height) if (line := pixels[y * row : (y + 1) * row]) != line[:3] * frame.width]
    step = max(1, len(inked) // rows)
    columns = range(0, frame.width - 8, 8)
    for index, y in enumerate(inked[::step]):
        line = pixels[y * row : (y + 1) * row]
        found = 0
        for x in reversed(columns) if index & 1 else columns:
            block = line[x * 3 : x * 3 + 27]
            if block == block[:3] * 9:
                continue
            place = _contrast(block)
            if place is not None:
                yield x + place, y
                found += 1
                if found >= per_row:
                    break


def _contrast(block: bytes) -> int | None:
    """The first pixel of a row that is much brighter than a neighbour: it is taken for ink."""
    before = sum(block[:3])
    for index in range(3, len(block), 3):
        light = sum(block[index : index + 3])
        if abs(light - before) >= CONTRAST:
            return index // 3 if light > before else index // 3 - 1
        before = light
    return None


def _spread(places: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    if len(places) <= count:
        return places
    step = len(places) / count
    return [places[int(i * step)] for i in range(count)]
