"""Reads a VGA text screen out of the card's memory, and claims nothing that the screenshot does not show.

The memory holds codes; what a code shows is the font's affair, which a guest may load anew. The font itself lies in
plane 2, where no address of the guest's leads in a text mode; but whatever is in it is on the screenshot. So each cell
is compared with what its code looks like in the fonts that are known. Where a font is not known at all, a long text
still proves itself: each code has one look, each look one code, again and again; a short one does not and is not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from factory.drivers.screen.codepage import CP437
from factory.drivers.screen.fonts import Bitmap, Font
from factory.drivers.screen.frame import Frame, Grid
from factory.drivers.screen.glyphs import UNKNOWN, under_cursor
from factory.drivers.screen.shapes import shape_of
from factory.drivers.screen.vga_memory import (
    BLANK_CODES,
    FULL_BLOCK,
    Looks,
    TextMode,
    is_unseen,
    looks,
    starts,
    text_modes,
    words_at,
)

_WIDTH = 8
"""Pixels that a glyph has: the ninth column of a wider cell is paper, or repeats the eighth."""
_CONVINCING = 12
"""Cells that had to look like another one, or like their glyph: with fewer, another start might fit by accident."""
_MOSTLY = 4
"""So many times as many cells must be certain as are not."""
_MOST_STARTS = 400
"""Starts that are looked at closely: with more the screen shows next to nothing to tell them apart by."""


@dataclass(frozen=True, slots=True)
class MemoryText:
    """What was read. ``start`` is the offset of the first cell in bytes; unreadable cells are U+FFFD.

    ``known`` and ``unknown`` count the cells with text.
    """

    lines: tuple[str, ...]
    start: int
    mode: TextMode
    known: int = 0
    unknown: int = 0

    @property
    def confidence(self) -> float:
        total = self.known + self.unknown
        return self.known / total if total else 1.0


def read_memory(
    memory: bytes, frame: Frame, *, last_start: int = 0, fonts: Callable[[int, int], Sequence[Font]]
) -> MemoryText | None:
    """The text that *frame* shows, out of *memory* (32 KiB); None when it does not show this memory.

    Args:
        last_start: where the screen began when it was last read.
        fonts: those of a size (width, height), the VGA BIOS' first.
    """
    found: list[_Reading] = []
    for mode in text_modes(frame):
        shown = looks(frame, mode.grid)
        if len(set(shown.cells)) == 1:
            # A blank screen shows nothing to compare with; it is blank all the same.
            return MemoryText(("",) * mode.rows, last_start, mode)
        sight = _Sight(shown, mode.grid, fonts(_WIDTH, mode.grid.height))
        for reading in _readings(memory, sight, mode, last_start):
            if reading.is_settled:
                return reading.text([reading])
            found.append(reading)
    fitting = [reading for reading in found if reading.fits]
    if not fitting:
        return None
    best = min(fitting, key=lambda reading: reading.rank)
    return best.text([r for r in fitting if r.rank == best.rank and r.mode == best.mode])


def _readings(memory: bytes, sight: _Sight, mode: TextMode, last_start: int) -> Iterator[_Reading]:
    seen: set[tuple[int, ...]] = set()
    for start in islice(starts(memory, sight.shown, mode, last_start), _MOST_STARTS):
        words = words_at(memory, start, mode)
        if words not in seen:
            seen.add(words)
            yield _judge(words, start, mode, sight)


class _Sight:
    """What the looks of a screenshot's cells may be, in the fonts that are known."""

    def __init__(self, shown: Looks, grid: Grid, fonts: Sequence[Font]) -> None:
        self.shown = shown
        self.fonts = fonts
        self._grid = grid
        self._bitmaps: dict[int, Bitmap] = {}
        self._characters: dict[int, frozenset[str]] = {}

    def bitmap(self, look: int) -> Bitmap:
        """A cell without its colours; empty where it has one colour, or more than two."""
        if look not in self._bitmaps:
            cell, row = self.shown.pixels[look], self._grid.width * 3
            kept = b"".join([cell[i : i + _WIDTH * 3] for i in range(0, len(cell), row)])
            self._bitmaps[look] = shape_of(kept).bitmap
        return self._bitmaps[look]

    def characters(self, look: int) -> frozenset[str]:
        """All that are drawn like this in some font; none for a look that nobody knows."""
        if look not in self._characters:
            bitmap = self.bitmap(look)
            alike = [font.characters_by_shape.get(bitmap, frozenset()) for font in self.fonts]
            self._characters[look] = frozenset().union(*alike)
        return self._characters[look]

    def likeliest(self, look: int) -> str:
        found = (font.by_shape.get(self.bitmap(look)) for font in self.fonts)
        return next((character for character in found if character), UNKNOWN)

    def is_under_cursor(self, look: int, character: str) -> bool:
        """Whether it is *character* with some whole rows of ink over it; of nothing but such rows, a blank is."""
        bitmap = self.bitmap(look)
        rows = [bitmap[i : i + _WIDTH] for i in range(0, len(bitmap), _WIDTH)]
        if character == " ":
            return bool(rows) and all(row.count(row[0]) == len(row) for row in rows)
        return any(under_cursor(bitmap, font) == character for font in self.fonts if bitmap)


@dataclass(frozen=True)
class _Reading:
    """What the screen says if it begins at ``start``.

    Args:
        meaning: of each pair of a word and a look, where it is certain; "" where it is not.
        good: cells that look like their code's glyph.
        bad: cells that look like something else.
        unsure: cells that look like nothing that is known, or can't be seen.
        repeated: of those cells with a look that nobody knows, how many had to look like another one.
    """

    words: tuple[int, ...]
    start: int
    mode: TextMode
    sight: _Sight = field(repr=False)
    meaning: Mapping[tuple[int, int], str] = field(repr=False)
    good: int
    bad: int
    unsure: int
    repeated: int

    @property
    def rank(self) -> tuple[int, int]:
        """The best is the least."""
        return self.bad, -self.good

    @property
    def is_settled(self) -> bool:
        """No other start can be the right one."""
        if self.bad:
            return False
        return self.good > 0 if not self.unsure else self.good >= max(_CONVINCING, _MOSTLY * self.unsure)

    @property
    def fits(self) -> bool:
        return self.bad * _MOSTLY <= self.good + (self.unsure if self.is_foreign else 0)

    @property
    def is_foreign(self) -> bool:
        """The font is not known, but the text is long enough to prove itself."""
        return self.repeated >= _CONVINCING and self.good < self.unsure

    def text(self, tied: Sequence[_Reading]) -> MemoryText:
        """The text; where other readings are as good and say something else, it is unknown."""
        pages = [reading._characters() for reading in tied]
        shown = "".join(
            [same[0] if len(set(same)) == 1 else UNKNOWN for same in zip(*pages, strict=True)]
            if len(pages) > 1
            else pages[0]
        )
        columns = self.mode.columns
        lines = tuple(shown[i : i + columns].rstrip() for i in range(0, len(shown), columns))
        unknown = shown.count(UNKNOWN)
        return MemoryText(lines, self.start, self.mode, sum(not c.isspace() for c in shown) - unknown, unknown)

    def _characters(self) -> list[str]:
        def of(word: int, look: int) -> str:
            code = word & 0xFF
            if look in self.sight.shown.plain:
                return CP437[code] if is_unseen(word) else " "  # written after the screenshot
            if is_ascii(code) and self.is_foreign:
                return CP437[code]
            return self.sight.likeliest(look) if self.good >= self.unsure else UNKNOWN

        meaning = {pair: character or of(*pair) for pair, character in self.meaning.items()}
        return [meaning[pair] for pair in zip(self.words, self.sight.shown.cells, strict=True)]


def is_ascii(code: int) -> bool:
    return 0x20 < code < 0x7F


def _judge(words: tuple[int, ...], start: int, mode: TextMode, sight: _Sight) -> _Reading:
    """Compares each cell with what its code looks like."""
    meaning: dict[tuple[int, int], str] = {}
    good = bad = unsure = 0
    strange: Counter[tuple[int, int]] = Counter()
    cursor = 1  # there is one at most
    for (word, look), count in Counter(zip(words, sight.shown.cells, strict=True)).items():
        code = word & 0xFF
        character = " " if code in BLANK_CODES else CP437[code]
        plain = look in sight.shown.plain
        meaning[word, look] = character
        if plain and (character == " " or code == FULL_BLOCK):
            continue
        if not plain and character != " " and character in sight.characters(look):
            good += count
        elif not plain and count <= cursor and sight.is_under_cursor(look, character):
            cursor = 0
        elif plain and is_unseen(word):
            unsure += count
        else:
            meaning[word, look] = ""
            if character == " " or plain or (is_ascii(code) and sight.characters(look)):
                bad += count
            else:
                unsure += count
                strange[word, look] = count
    odd = _inconsistent(strange)
    return _Reading(
        words, start, mode, sight, meaning, good, bad + odd, unsure - odd, sum(strange.values()) - len(strange) - odd
    )


def _inconsistent(strange: Mapping[tuple[int, int], int]) -> int:
    """Cells of unknown looks that do not look like the others with their code, or look like those with another code."""
    by_word: dict[int, list[int]] = {}
    by_look: dict[int, Counter[int]] = {}
    for (word, look), count in strange.items():
        by_word.setdefault(word, []).append(count)
        by_look.setdefault(look, Counter())[word & 0xFF] += count
    return max(
        sum(sum(counts) - max(counts) for counts in by_word.values()),
        sum(codes.total() - max(codes.values()) for codes in by_look.values()),
    )
