"""Fonts whose glyphs are known bit by bit, and the shelf that a screen's cells are compared with.

No font is part of this program: each is read at run time out of what is installed (VGA BIOS, UEFI firmware, GRUB,
kernels, console fonts), because the guest's text is drawn with the very same bits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

Bitmap = bytes
"""A cell's pixels, row by row, one byte each: 1 ink, 0 paper."""
DIGITS = bytes.maketrans(b"\0\1", b"01")
"""Makes a bitmap the digits of a binary number."""


RICH = 8
"""Pixels of ink that a glyph has at least, for a match not to be an accident: a full stop is anywhere."""


@dataclass(frozen=True)
class Font:
    """Glyphs of one cell size.

    Args:
        glyphs: bitmap → character, each bitmap ``width * height`` bytes long.
    """

    name: str
    width: int
    height: int
    glyphs: Mapping[Bitmap, str] = field(repr=False)
    twins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Character in ``glyphs`` → the others that look exactly the same (Latin a: Cyrillic а)."""

    def in_one_script(self, line: str) -> str:
        """*line* with letters of words in Cyrillic or Greek taken from that script, where they look the same."""
        if not _OTHER_SCRIPT.search(line):
            return line
        return _WORD.sub(lambda word: self._word(word[0]), line)

    def _word(self, word: str) -> str:
        for script in (_CYRILLIC, _GREEK):
            if not script.search(word):
                continue
            letters = [
                letter if script.match(letter) else next(filter(script.match, self.twins.get(letter, "")), "")
                for letter in word
            ]
            return "".join(letters) if all(letters) else word
        return word

    @cached_property
    def by_shape(self) -> Mapping[Bitmap, str]:
        """The same with the top left pixel as 0, so that reverse video needs no second look-up."""
        shapes: dict[Bitmap, str] = {}
        for bitmap, character in self.glyphs.items():
            _keep(shapes, upright(bitmap), character)
        return shapes

    @cached_property
    def characters_by_shape(self) -> Mapping[Bitmap, frozenset[str]]:
        """All characters that have a shape: a half block and its other half in reverse video, Latin and Cyrillic a."""
        found: dict[Bitmap, set[str]] = {}
        for bitmap, character in self.glyphs.items():
            found.setdefault(upright(bitmap), set()).update((character, *self.twins.get(character, "")))
        return {bitmap: frozenset(characters) for bitmap, characters in found.items()}

    @cached_property
    def rich_numbers(self) -> frozenset[int]:
        """The bitmaps with enough ink as numbers, the top left pixel the highest bit."""
        return frozenset(int(b.translate(DIGITS), 2) for b in self.glyphs if b.count(1) >= RICH)

    def without_rows(self, first: int, last: int) -> Mapping[Bitmap, str]:
        """Shape of the glyphs with rows *first* … *last* left out → character, where that still tells one character.

        For cells in which a cursor covers those rows. Of letters that differ in a tail that it covers (s, ş), the one
        in ASCII is taken.
        """
        key = (first, last)
        if key not in self._covered:
            start, end = first * self.width, (last + 1) * self.width
            shapes: dict[Bitmap, str] = {}
            doubtful: set[Bitmap] = set()
            for bitmap, character in sorted(self.glyphs.items(), key=lambda item: item[1]):
                shape = bitmap[:start] + bitmap[end:]
                other = shapes.setdefault(shape, character)
                if other != character and (character.isascii() or not other.isascii()):
                    doubtful.add(shape)
            blank = bytes(self.width * self.height)
            for shape in doubtful:
                del shapes[shape]
            # A cursor on nothing is far more likely than one on an underscore or a comma's tail.
            shapes[blank[:start] + blank[end:]] = " "
            self._covered[key] = shapes
        return self._covered[key]

    @cached_property
    def _covered(self) -> dict[tuple[int, int], Mapping[Bitmap, str]]:
        return {}

    def nine_wide(self) -> Font:
        """As VGA text modes with cells of nine pixels show an eight pixel font.

        The ninth column is paper, but for codes 0xC0 … 0xDF, which repeat the eighth (IBM VGA, attribute mode bit 2:
        box drawing must not have gaps).
        """
        joined = {bytes([code]).decode("cp437") for code in range(0xC0, 0xE0)}
        glyphs: dict[Bitmap, str] = {}
        for bitmap, character in self.glyphs.items():
            rows = [bitmap[i : i + self.width] for i in range(0, len(bitmap), self.width)]
            wide = b"".join([row + (row[-1:] if character in joined else b"\0") for row in rows])
            _keep(glyphs, wide, character)
        return Font(f"{self.name}, 9 wide", self.width + 1, self.height, glyphs, self.twins)


def upright(bitmap: Bitmap) -> Bitmap:
    """*bitmap* with its top left pixel as 0."""
    return bitmap.translate(_SWAP) if bitmap and bitmap[0] else bitmap


def make_font(name: str, width: int, height: int, rows: Iterable[tuple[str, Iterable[int]]]) -> Font:
    """A font out of ``(character, rows)``; a row is *width* bits, the leftmost the highest.

    Where glyphs look the same (Latin A, Greek Alpha), the likeliest character stays: ASCII before others.
    """
    glyphs: dict[Bitmap, str] = {}
    alike: dict[Bitmap, list[str]] = {}
    for character, lines in rows:
        bits = "".join([f"{line:0{width}b}" for line in lines])
        bitmap = bits.encode().translate(_BITS)
        alike.setdefault(bitmap, []).append(character)
        _keep(glyphs, bitmap, character)
    twins = {glyphs[bitmap]: "".join(same) for bitmap, same in alike.items() if len(same) > 1 and bitmap in glyphs}
    return Font(name, width, height, glyphs, twins)


def likelier(first: str, second: str) -> str:
    """Which of two characters that look the same is meant."""
    return min(first, second, key=_unlikeliness)


def _keep(glyphs: dict[Bitmap, str], bitmap: Bitmap, character: str) -> None:
    # Solid cells are paper of some colour, and what fills the last rows is a cursor far more often than U+2581.
    if "\u2581" <= character <= "\u2583":
        return
    if bitmap.count(bitmap[0]) == len(bitmap):
        character = " "
    known = glyphs.get(bitmap)
    glyphs[bitmap] = character if known is None else likelier(known, character)


def _unlikeliness(character: str) -> tuple[int, int]:
    code = ord(character[0])
    if 0x20 <= code < 0x7F:
        rank = 0
    elif unicodedata.category(character[0]) in ("Lu", "Ll") and code < 0x180:
        rank = 1
    elif _OTHER_SCRIPT.match(character) or 0x2500 <= code < 0x2600:
        rank = 2
    else:
        rank = 3
    return rank, code


_CYRILLIC = re.compile("[\u0400-\u04ff]")
_GREEK = re.compile("[\u0370-\u03ff]")
_OTHER_SCRIPT = re.compile("[\u0370-\u04ff]")
_WORD = re.compile(r"[^\W\d_]+")
_SWAP = bytes.maketrans(b"\0\1", b"\1\0")
_BITS = bytes.maketrans(b"01", b"\0\1")


class FontShelf:
    """Fonts by cell size, the likeliest first."""

    def __init__(self, fonts: Iterable[Font] = ()) -> None:
        self._fonts: dict[tuple[int, int], list[Font]] = {}
        for font in fonts:
            self.add(font)

    def add(self, font: Font) -> None:
        self._fonts.setdefault((font.width, font.height), []).append(font)

    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Cell sizes as (width, height), in the order in which fonts were added."""
        return tuple(self._fonts)

    def of_size(self, width: int, height: int) -> tuple[Font, ...]:
        return tuple(self._fonts.get((width, height), ()))

    def __iter__(self) -> Iterator[Font]:
        for fonts in self._fonts.values():
            yield from fonts

    def __len__(self) -> int:
        return sum(len(fonts) for fonts in self._fonts.values())
