"""Fonts out of files of every kind, made here byte by byte, and those that are installed."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

import pytest

from factory.drivers.screen.codepage import CP437, decode
from factory.drivers.screen.font_files import NotAFont, edk2_font, pf2_font, psf_font, vga_bios_fonts
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.fonts import make_font, upright
from factory.drivers.screen.kernel_font import kernel_font

pytestmark = pytest.mark.unit
A = (0x00, 0x18, 0x24, 0x42, 0x7E, 0x42, 0x42, 0x00)
B = (0x00, 0x7C, 0x42, 0x7C, 0x42, 0x42, 0x7C, 0x00)


def bitmap(rows: tuple[int, ...]) -> bytes:
    return bytes(row >> bit & 1 for row in rows for bit in range(7, -1, -1))


def test_reverse_video_has_the_same_shape() -> None:
    font = make_font("test", 8, 8, [("A", A)])
    reverse = bytes(1 - pixel for pixel in bitmap(A))
    assert font.by_shape[upright(bitmap(A))] == font.by_shape[upright(reverse)] == "A"


def test_of_glyphs_that_look_the_same_ascii_is_taken() -> None:
    assert make_font("test", 8, 8, [("Α", A), ("A", A), ("А", A)]).glyphs == {bitmap(A): "A"}


def test_letters_that_look_the_same_are_taken_from_the_words_own_script() -> None:
    rows = [("a", A), ("а", A), ("α", A), ("я", B), ("z", (1,) * 8), ("η", (2,) * 8), ("ƞ", (2,) * 8)]
    font = make_font("test", 8, 8, rows)
    assert font.glyphs[bitmap(A)] == "a"
    assert font.glyphs[bitmap((2,) * 8)] == "η"
    assert font.in_one_script("яa za a") == "яа za a"
    assert font.in_one_script("aη") == "αη"
    assert font.in_one_script("яaz") == "яaz"  # z has no twin: not a word of that script


def test_solid_cells_are_blank_and_low_blocks_are_cursors() -> None:
    font = make_font("test", 8, 8, [("█", (0xFF,) * 8), (" ", (0,) * 8), ("▁", (0,) * 7 + (0xFF,))])
    assert set(font.glyphs.values()) == {" "}


def test_nine_wide_cells_join_boxes_and_part_letters() -> None:
    font = make_font("test", 8, 8, [("─", (0, 0, 0, 0xFF, 0, 0, 0, 0)), ("M", (0xFF, 1) * 4)]).nine_wide()
    rows = {c: [b[i : i + 9] for i in range(0, 72, 9)] for b, c in font.glyphs.items()}
    assert rows["─"][3] == b"\1" * 9
    assert rows["M"][0] == b"\1" * 8 + b"\0"


def test_a_covered_row_is_left_out_where_that_is_certain() -> None:
    shifted = (*A[:-1], 0xFF)
    font = make_font("test", 8, 8, [("A", A), ("Ą", shifted), ("B", B), ("Б", (*B[:-1], 0x01)), ("В", (*B[:-1], 0x03))])
    covered = font.without_rows(7, 7)
    assert covered[bitmap(A)[:56]] == "A"
    assert covered[bytes(56)] == " "


def test_code_page_437_has_a_character_for_each_code() -> None:
    assert len(CP437) == 256
    assert all(len(character) == 1 and character.isprintable() for character in CP437)
    assert decode(b"\x00A\xff\xc4\x01") == " A ─☺"


# --- files ------------------------------------------------------------------------------------------------------------


def table(height: int, letter: bytes) -> bytes:
    glyphs = [bytes([code]) * height for code in range(256)]
    glyphs[0x00] = glyphs[0x20] = glyphs[0xFF] = bytes(height)
    glyphs[0x41] = letter
    return b"".join(glyphs)


LETTER = bytes.fromhex("000010386cc6c6fec6c6c6c600000000")


def test_a_vga_bios_is_searched_for_its_font() -> None:
    wide, narrow = vga_bios_fonts(b"\x55\xaa" + bytes(1000) + table(16, LETTER) + bytes(99))
    assert (wide.width, narrow.width, narrow.height) == (9, 8, 16)
    rows = tuple(LETTER)
    assert narrow.glyphs[bitmap(rows)] == "A"


@pytest.mark.parametrize("data", [b"", bytes(100), LETTER, bytes(2000) + LETTER])
def test_a_stray_letter_is_no_font(data: bytes) -> None:
    with pytest.raises(NotAFont):
        vga_bios_fonts(data)


def boot_image(payload: bytes) -> bytes:
    image = bytearray(0x1000)
    image[0x1F1] = 4
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 0x100, len(payload))
    return bytes(image[: 5 * 512]) + bytes(0x100) + payload


def lz4_legacy(data: bytes) -> bytes:
    """One block of literals, then one that copies from before, as LZ4's specification allows."""
    half = len(data) // 2
    literals = bytearray([0xF0])
    rest = half - 15
    while rest >= 255:
        literals.append(255)
        rest -= 255
    literals.append(rest)
    first = bytes(literals) + data[:half]
    second = bytes([0xF0]) + bytes([255] * ((len(data) - half - 15) // 255)) + bytes([(len(data) - half - 15) % 255])
    blocks = [first, second + data[half:]]
    return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(b)) + b for b in blocks) + struct.pack("<I", 1 << 30)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, lz4_legacy], ids=["gzip", "xz", "lz4"])
def test_a_kernel_is_unpacked_for_its_font(pack: object) -> None:
    kernel = bytes(range(256)) * 40 + table(16, LETTER) + bytes(5000)
    assert callable(pack)
    assert kernel_font(boot_image(pack(kernel))).glyphs[bitmap(tuple(LETTER))] == "A"


def test_lz4_copies_that_overlap_themselves() -> None:
    # Four literals, then 20 bytes from 2 back, then the rest as literals.
    font = table(16, LETTER)
    block = bytes([0x4F]) + b"abcd" + struct.pack("<H", 2) + bytes([1])
    block += bytes([0xF0]) + bytes([255] * ((len(font) - 15) // 255)) + bytes([(len(font) - 15) % 255]) + font
    payload = b"\x02\x21\x4c\x18" + struct.pack("<I", len(block)) + block
    assert kernel_font(boot_image(payload)).glyphs[bitmap(tuple(LETTER))] == "A"


@pytest.mark.parametrize("payload", [b"unknown format", gzip.compress(b"no font"), b"\xfd7zXZ\0damaged"])
def test_a_kernel_without_a_font_says_so(payload: bytes) -> None:
    with pytest.raises(NotAFont, match="kernel"):
        kernel_font(boot_image(payload))


def test_uefi_firmware_is_unpacked_for_its_font() -> None:
    records = b"".join(struct.pack("<HB", code, 0) + bytes([code]) * 19 for code in range(0x21, 0x7F))
    volume = bytes(500) + struct.pack("<HB", 0x20, 0) + bytes(19) + records + bytes(22)
    packed = lzma.compress(volume, lzma.FORMAT_ALONE)
    guid = bytes.fromhex("98584eee143959429d6edc7bd79403cf")
    section = struct.pack("<I", len(packed) + 24)[:3] + b"\x02" + guid + struct.pack("<HH", 24, 1) + packed
    font = edk2_font(bytes(333) + section)
    assert (font.width, font.height, len(font.glyphs)) == (8, 19, 95)
    assert font.glyphs[bitmap((0x41,) * 19)] == "A"
    with pytest.raises(NotAFont):
        edk2_font(bytes(333) + guid + section[:30])


def test_console_fonts(tmp_path: Path) -> None:
    glyphs = bytes(8) + bytes(A) + bytes(B)
    psf2 = (
        struct.pack("<8I", 0x864AB572, 0, 32, 1, 3, 8, 8, 8) + glyphs + b" \xff" + "AΑ".encode() + b"\xffB\xfeb\xcc\xff"
    )
    (tmp_path / "two.psf.gz").write_bytes(gzip.compress(psf2))
    codes = struct.pack("<HHHHHHHHH", 0x20, 0xFFFF, 0x41, 0x391, 0xFFFF, 0x42, 0xFFFE, 0x62, 0xFFFF)
    (tmp_path / "one.psf").write_bytes(b"\x36\x04\x02\x08" + glyphs + bytes(253 * 8) + codes)
    for name in ("two.psf.gz", "one.psf"):
        font = psf_font(tmp_path / name)
        assert font.glyphs == {bytes(64): " ", bitmap(A): "A", bitmap(B): "B"}
    (tmp_path / "none").write_bytes(b"\x36\x04\x00\x08" + glyphs)
    with pytest.raises(NotAFont, match="does not say which characters"):
        psf_font(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(NotAFont, match="no PSF font"):
        psf_font(tmp_path / "text")


def test_grubs_fonts() -> None:
    # "A" is 5x4 at the left edge plus 1, standing on the base line; ascent 6, height 8, all of width 8.
    header = b"FILE\0\0\0\4PFF2"
    for name, value in ((b"NAME", b"Test\0"), (b"MAXH", b"\0\x08"), (b"ASCE", b"\0\x06")):
        header += name + struct.pack(">I", len(value)) + value
    index = len(header) + 8 + 2 * 9 + 8
    header += b"CHIX" + struct.pack(">I", 18)
    header += struct.pack(">IBI", 0x41, 0, index) + struct.pack(">IBI", 0x4E00, 0, index) + b"DATA\xff\xff\xff\xff"
    glyph = struct.pack(">HHhhh", 5, 4, 1, 0, 8) + int("00100010101111110001" + "0000", 2).to_bytes(3, "big")
    font = pf2_font(header + glyph)
    assert font.glyphs == {bitmap((0, 0, 0b00010000, 0b00101000, 0b01111100, 0b01000100, 0, 0)): "A"}
    with pytest.raises(NotAFont):
        pf2_font(b"FILE\0\0\0\4PFF1")


# --- this computer's --------------------------------------------------------------------------------------------------


def test_the_library_finds_what_there_is_and_keeps_what_took_long(tmp_path: Path) -> None:
    share, boot, cache = tmp_path / "share", tmp_path / "boot", tmp_path / "cache"
    (share / "seabios").mkdir(parents=True)
    (share / "seabios/vgabios-stdvga.bin").write_bytes(bytes(64) + table(16, LETTER))
    boot.mkdir()
    (boot / "vmlinuz-1").write_bytes(boot_image(gzip.compress(bytes(9000) + table(16, LETTER))))
    (boot / "vmlinuz-2").write_bytes(b"not readable as a kernel")
    names = [f.name for g in FontLibrary(cache=cache, share=[share], boot=boot).groups() for f in g]
    assert names == ["VGA BIOS 8x16, 9 wide", "VGA BIOS 8x16", "Linux console 8x16"]
    (kept,) = cache.iterdir()
    assert kept.stat().st_size == 4096


def test_a_computer_without_fonts_has_none(tmp_path: Path) -> None:
    assert [g for g in FontLibrary(share=[tmp_path], boot=tmp_path).groups() if g] == []
