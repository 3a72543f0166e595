"""Reads a VGA text screen out of the card's memory: exact in ASCII, whatever font the guest has loaded (``vga_font``).

The 32 KiB at 0xB8000 hold pairs of a character code and an attribute. Which part is shown depends on the CRT
controller's start address (index registers 0x0C, 0x0D), which Linux moves to scroll. It can't be read from outside
without writing the index register, under the guest's hands; but it shows: a screenshot tells which cells look the same,
and only at the right start does every code have one look. The same check tells text modes from graphics modes, in which
that memory holds something stale. Besides, a blank looks blank and a letter does not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from factory.drivers.screen.codepage import CP437
from factory.drivers.screen.frame import Frame, Grid, cells_of_band

BASE = 0xB8000
SIZE = 0x8000
_CELL_HEIGHTS = (16, 8, 14)
_MOST_COLUMNS, _MOST_ROWS = 132, 60
BLANK_CODES = frozenset((0x00, 0x20, 0xFF))
_IS_WRITTEN = bytes(code not in BLANK_CODES for code in range(256))
_FULL_BLOCK = 0xDB
_CONVINCING = 12
_TOLERATED = 2
"""Cells that may look otherwise than their like: the cursor's, and one that just changed."""


@dataclass(frozen=True, slots=True)
class TextMode:
    """A text mode as a screenshot shows it."""

    columns: int
    rows: int
    grid: Grid


@dataclass(frozen=True, slots=True)
class MemoryText:
    """What was read. ``start`` is the offset of the first cell in bytes; ``codes`` are all cells', row by row."""

    lines: tuple[str, ...]
    start: int
    mode: TextMode
    codes: bytes = b""


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
    """What each cell looks like, as a number: equal cells, equal numbers. ``plain`` are the looks of one colour."""

    cells: Sequence[int]
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
    return Looks(cells, frozenset(n for cell, n in numbers.items() if cell == cell[:3] * size))


def read_memory(
    memory: bytes, frame: Frame, *, last_start: int = 0, glyphs: Callable[[], Sequence[str]] | None = None
) -> MemoryText | None:
    """The text that *frame* shows, out of *memory* (32 KiB); None when it does not show this memory.

    Args:
        last_start: where the screen began when it was last read.
        glyphs: reads the frame by its glyphs; asked where several starts would look the same (a few letters on an
            otherwise blank screen, say).
    """
    found: list[MemoryText] = []
    for mode in text_modes(frame):
        shown = looks(frame, mode.grid)
        if len(set(shown.cells)) == 1:
            # A blank screen shows nothing to compare with; it is blank all the same.
            return MemoryText(("",) * mode.rows, last_start, mode)
        starts = _starts(memory, shown, mode, last_start)
        windows = [(start, _window(memory, start, mode)) for start in starts]
        found += [MemoryText(_lines(window, mode), start, mode, window[::2]) for start, window in windows]
        if len(starts) == 1 and _evidence(_window(memory, starts[0], mode)) >= _CONVINCING:
            return found[-1]
    if glyphs and len({text.lines for text in found}) > 1:
        seen = glyphs()
        return max(found, key=lambda text: _agreement(text.lines, seen))
    return found[0] if found else None


def _starts(memory: bytes, shown: Looks, mode: TextMode, last_start: int) -> list[int]:
    """Where the screen can begin: all starts that explain it exactly, else the best of those that nearly do."""
    exact: list[int] = []
    near: list[tuple[int, int]] = []
    # Most starts are ruled out by arithmetic on whole screens: a blank that does not look blank.
    inked = int.from_bytes(bytes([look not in shown.plain for look in shown.cells]), "big")
    blank = int.from_bytes(b"\1" * len(shown.cells), "big")
    for start in dict.fromkeys((last_start, 0, *range(0, SIZE, mode.columns * 2))):
        window = _window(memory, start, mode)
        written = int.from_bytes(window[::2].translate(_IS_WRITTEN), "big")
        if written == 0 or ((written ^ blank) & inked).bit_count() > _TOLERATED:
            continue
        differing = _differing(_words(window), shown)
        if differing == 0:
            exact.append(start)
        elif differing <= _TOLERATED:
            near.append((differing, start))
    return exact or [start for differing, start in near if differing == min(near)[0]]


def _evidence(window: bytes) -> int:
    """How many cells had to look like another one: few, and another start might fit by accident."""
    words = [word for word in _words(window) if word & 0xFF not in BLANK_CODES]
    return len(words) - len(set(words))


def _agreement(lines: Sequence[str], seen: Sequence[str]) -> int:
    return sum(a == b for line, other in zip(lines, seen, strict=False) for a, b in zip(line, other, strict=False))


def _differing(words: Sequence[int], shown: Looks) -> int:
    """Cells that do not look as they should; stops counting when there are too many.

    A cell must look like the first one with the same code and attribute; blank, if its code is; not blank, if not.
    """
    look_of: dict[int, int] = {}
    differing = 0
    for word, look in zip(words, shown.cells, strict=True):
        known = look_of.get(word)
        if known is None:
            look_of[word] = look
            differing += _is_odd(word, look in shown.plain)
        elif known != look:
            differing += 1
        if differing > _TOLERATED:
            break
    return differing


def _is_odd(word: int, plain: bool) -> bool:
    """Whether a blank does not look blank, or a letter does (unless it is painted in the paper's colour, or blinks)."""
    code, attribute = word & 0xFF, word >> 8
    if code in BLANK_CODES:
        return not plain
    invisible = attribute & 0x80 or (attribute >> 4) & 7 == attribute & 0xF or code == _FULL_BLOCK
    return plain and not invisible


def _window(memory: bytes, start: int, mode: TextMode) -> bytes:
    size = mode.columns * mode.rows * 2
    window = memory[start : start + size]
    # The card's addresses wrap around at the end of its 32 KiB.
    return window + memory[: size - len(window)]


def _words(window: bytes) -> Sequence[int]:
    return struct.unpack(f"<{len(window) // 2}H", window)


def _lines(window: bytes, mode: TextMode) -> tuple[str, ...]:
    codes = window[::2]
    text = "".join([CP437[code] for code in codes])
    return tuple(text[i : i + mode.columns].rstrip() for i in range(0, mode.columns * mode.rows, mode.columns))
