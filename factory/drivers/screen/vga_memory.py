"""Where in the VGA card's memory the text screen lies that a screenshot shows; what it says is ``vga_text``'s affair.

The 32 KiB at 0xB8000 hold pairs of a character code and an attribute. Which part is shown depends on the CRT
controller's start address (index registers 0x0C, 0x0D), which the BIOS moves to show another page, Linux to scroll. It
can't be read from outside without writing the index register, under the guest's hands; but it shows: a blank looks
blank and a letter does not, whatever the font is. The address counts cells, so the screen can begin at any of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.drivers.screen.fonts import DIGITS
from factory.drivers.screen.frame import Frame, Grid, cells_of_band

BASE = 0xB8000
SIZE = 0x8000
_CELL_HEIGHTS = (16, 8, 14)
_MOST_ROWS = 60
BLANK_CODES = frozenset((0x00, 0x20, 0xFF))
FULL_BLOCK = 0xDB
_TOLERATED = 2
"""Cells that may be blank on one side and not on the other: the cursor's, and one that just changed."""
_IS_WRITTEN = bytes(code not in BLANK_CODES for code in range(256))
_IS_FULL_BLOCK = bytes(code == FULL_BLOCK for code in range(256))
_IS_UNSEEN = bytes(bool(a & 0x80) or (a >> 4) & 7 == a & 0xF for a in range(256))
"""By attribute: blinking, or ink of the paper's colour."""
_FEW = 8
"""Letters with which one such cell is tolerated, the cursor's."""
_CELLS = SIZE // 2


@dataclass(frozen=True, slots=True)
class TextMode:
    """A text mode as a screenshot shows it."""

    columns: int
    rows: int
    grid: Grid


def text_modes(frame: Frame) -> Iterator[TextMode]:
    """The text modes that have a screenshot of this size; none where only graphics modes have it.

    QEMU draws text modes in cells of nine pixels' width (or eight, as programmed), without a border. 640x480 and the
    like are left out although text modes of 80x30 exist: reading the memory in a planar graphics mode would change
    what the card holds (its latches), so it is not done where such a mode is likely.
    """
    if (frame.width, frame.height) in ((640, 480), (640, 350), (320, 200), (800, 600), (1024, 768)):
        return
    for width in (9, 8):
        for height in _CELL_HEIGHTS:
            if frame.width % width or frame.height % height:
                continue
            columns, rows = frame.width // width, frame.height // height
            if columns in (40, 80, 90, 100, 132) and 20 <= rows <= _MOST_ROWS:
                yield TextMode(columns, rows, Grid(width, height))


@dataclass(frozen=True, slots=True)
class Looks:
    """What each cell looks like, as a number: equal cells, equal numbers.

    Args:
        pixels: of a cell, by that number.
        plain: the looks of one colour.
    """

    cells: Sequence[int]
    pixels: Sequence[bytes]
    plain: frozenset[int]


def looks(frame: Frame, grid: Grid) -> Looks:
    """The looks of the cells, row by row."""
    numbers: dict[bytes, int] = {}
    cells = [
        numbers.setdefault(cell, len(numbers))
        for row in range(grid.rows(frame))
        for cell in cells_of_band(frame.band(row * grid.height, grid.height), frame, grid)
    ]
    size = grid.width * grid.height
    return Looks(cells, tuple(numbers), frozenset(n for cell, n in numbers.items() if cell == cell[:3] * size))


def starts(memory: bytes, shown: Looks, mode: TextMode, last_start: int) -> Iterator[int]:
    """Offsets in bytes at which *memory* has letters where *shown* has ink and blanks where it has none.

    The likeliest come first: where the screen began last time, the first page, a whole number of lines further.
    """
    size = len(shown.cells)
    whole = (1 << size) - 1
    inked = _bits(bytes([look not in shown.plain for look in shown.cells]))
    around = memory + memory[: size * 2]  # the card's addresses wrap around at the end of its 32 KiB
    codes, attributes = around[::2], around[1::2]
    written = _bits(codes.translate(_IS_WRITTEN))
    visible = written & ~_bits(codes.translate(_IS_FULL_BLOCK)) & ~_bits(attributes.translate(_IS_UNSEEN))
    for start in dict.fromkeys((last_start, 0, *range(0, SIZE, mode.columns * 2), *range(0, SIZE, 2))):
        shift = _CELLS - start // 2
        letters = written >> shift & whole
        if not letters & inked or (inked & ~letters).bit_count() > _TOLERATED:
            continue
        differing = (inked & ~letters | visible >> shift & whole & ~inked).bit_count()
        if differing <= min(_TOLERATED, 1 + (letters & inked).bit_count() // _FEW):
            yield start


def is_unseen(word: int) -> bool:
    """Whether a letter may look blank: painted in the paper's colour, blinking, or a full block."""
    return bool(_IS_UNSEEN[word >> 8]) or word & 0xFF == FULL_BLOCK


def words_at(memory: bytes, start: int, mode: TextMode) -> tuple[int, ...]:
    """Code and attribute (the high byte) of each cell of the screen that begins at *start*, row by row."""
    size = mode.columns * mode.rows * 2
    window = memory[start : start + size]
    window += memory[: size - len(window)]
    return struct.unpack(f"<{size // 2}H", window)


def _bits(flags: bytes) -> int:
    """One bit for each byte, which is 0 or 1; the first the highest."""
    return int(flags.translate(DIGITS), 2)
