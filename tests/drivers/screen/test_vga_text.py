"""What is read out of VGA text memory, and that nothing else is claimed: memory and screenshots made here."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence

import pytest

from factory.drivers.screen.fonts import Font, make_font
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.vga_memory import SIZE
from factory.drivers.screen.vga_text import MemoryText, read_memory

pytestmark = pytest.mark.unit

COLUMNS, ROWS, HEIGHT = 80, 25, 16
PAGE = 4096
"""Bytes: where the BIOS puts page 1 of a text mode of 80x25. No multiple of a line's 160."""
BLANK = 0x0720


def drawn(seed: int) -> dict[int, tuple[int, ...]]:
    """Glyphs for all codes of ASCII, those of another font for another seed."""
    dice = random.Random(seed)
    return {code: tuple(dice.randrange(1, 128) for _ in range(HEIGHT)) for code in range(0x21, 0x7F)} | {
        0x20: (0,) * HEIGHT
    }


BIOS = drawn(1)


def known(glyphs: Mapping[int, tuple[int, ...]] = BIOS) -> Sequence[Font]:
    return [make_font("BIOS", 8, HEIGHT, [(chr(code), rows) for code, rows in glyphs.items()])]


def memory(texts: Mapping[int, str]) -> bytes:
    """Text memory with lines at offsets in bytes."""
    words = [BLANK] * (SIZE // 2)
    for offset, line in texts.items():
        for index, character in enumerate(line):
            words[(offset // 2 + index) % len(words)] = 0x0700 | ord(character)
    return struct.pack(f"<{len(words)}H", *words)


def screenshot(data: bytes, start: int, glyphs: Mapping[int, tuple[int, ...]] = BIOS, cursor: int = -1) -> Frame:
    """What the card shows of *data*: 720x400. *cursor* is the cell in which one stands."""
    words = struct.unpack(f"<{SIZE // 2}H", data)
    pixels = bytearray()
    for row in range(ROWS):
        for y in range(HEIGHT):
            for column in range(COLUMNS):
                cell = row * COLUMNS + column
                bits = glyphs[words[(start // 2 + cell) % len(words)] & 0xFF][y] << 1
                if cell == cursor and y in (14, 15):
                    bits = 0x1FF
                for bit in range(8, -1, -1):
                    pixels += b"\xaa\xaa\xaa" if bits >> bit & 1 else b"\0\0\0"
    return Frame(COLUMNS * 9, ROWS * HEIGHT, bytes(pixels))


def read(data: bytes, frame: Frame, fonts: Sequence[Font] = (), last_start: int = 0) -> MemoryText | None:
    return read_memory(
        data, frame, last_start=last_start, fonts=lambda _width, height: fonts if height == HEIGHT else ()
    )


@pytest.mark.parametrize("start", [PAGE, 2 * PAGE, 30 * 160, 0x800, 3 * PAGE + 2, SIZE - 100])
@pytest.mark.parametrize(("shown", "stale"), [("Panic", "Login"), ("X", "Y"), ("boot failed: no disk", "boot:")])
def test_the_page_that_is_shown_is_read_wherever_it_begins(start: int, shown: str, stale: str) -> None:
    elsewhere = 0 if start < SIZE - PAGE else 5 * PAGE
    data = memory({elsewhere: stale, start: shown})
    found = read(data, screenshot(data, start), known())
    assert found is not None
    assert (found.lines[0], found.start, found.confidence) == (shown, start, 1.0)


def test_a_screen_that_is_not_in_the_memory_is_not_read() -> None:
    """The screenshot shows one word of five letters, the memory holds another one."""
    frame = screenshot(memory({0: "Panic"}), 0)
    assert read(memory({0: "Login"}), frame, known()) is None


@pytest.mark.parametrize("fonts", [known(), ()], ids=["another font is known", "none is known"])
def test_short_words_in_an_unknown_font_are_not_claimed(fonts: Sequence[Font]) -> None:
    data = memory({0: "Login", 30 * 160: "Panic"})
    found = read(data, screenshot(data, 30 * 160, drawn(2)), fonts)
    assert found is None or not {"Login", "Panic"} & set(found.lines)
    assert found is None or found.confidence < 0.5


def test_a_long_text_in_an_unknown_font_proves_itself() -> None:
    said = {160 * row + PAGE: f"[    {row}.000000] the kernel says something, line after line" for row in range(10)}
    data = memory({0: "Login"} | said)
    found = read(data, screenshot(data, PAGE, drawn(2)), known())
    assert found is not None
    assert (found.lines[:10], found.confidence) == (tuple(said.values()), 1.0)


def test_a_letter_that_the_guest_drew_anew_is_not_claimed() -> None:
    line = "Welcome to the installer of this system"
    data = memory({0: line})
    found = read(data, screenshot(data, 0, BIOS | {ord("t"): drawn(3)[ord("t")]}), known())
    assert found is not None
    assert found.lines[0] == line.replace("t", "\ufffd")
    assert 0.5 < found.confidence < 0.97


def test_letters_that_the_guest_exchanged_are_read_as_they_look() -> None:
    line = "Welcome to the installer of this system, which is a long line with few a and some more letters in it"
    data = memory({0: line})
    found = read(data, screenshot(data, 0, BIOS | {ord("a"): BIOS[ord("b")]}), known())
    assert found is not None
    assert "".join(found.lines) == line.replace("a", "b")


@pytest.mark.parametrize("cursor", [5, 0, 900])
def test_a_cursor_hides_nothing(cursor: int) -> None:
    data = memory({0: "boot:"})
    found = read(data, screenshot(data, 0, cursor=cursor), known())
    assert found is not None
    assert (found.lines[0], found.confidence) == ("boot:", 1.0)
