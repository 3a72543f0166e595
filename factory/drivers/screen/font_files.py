"""Reads fonts out of files: console fonts (PSF), GRUB's fonts (PF2), VGA BIOS images, UEFI firmware."""

from __future__ import annotations

import gzip
import lzma
import struct
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from factory.drivers.screen.codepage import CP437
from factory.drivers.screen.fonts import Font, make_font

A_16 = bytes.fromhex("000010386cc6c6fec6c6c6c600000000")
"""IBM's letter A, 8x16, as VGA BIOSes and kernels carry it: what their fonts are found by."""
_A_14 = bytes.fromhex("000010386cc6c6fec6c6c6000000")
_A_8 = bytes.fromhex("3078ccccfccccc00")
_LZMA_SECTION = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le
_PF2_RANGES = (
    range(0x20, 0x250),
    range(0x370, 0x500),
    range(0x2000, 0x2070),
    range(0x2190, 0x2400),
    range(0x2500, 0x2700),
)


class NotAFont(ValueError):
    """A file has no font that we know how to read."""


def vga_bios_fonts(rom: bytes) -> tuple[Font, ...]:
    """The 8x16, 8x14 and 8x8 fonts of a VGA BIOS, each also as nine-pixel text modes show it.

    Raises: NotAFont.
    """
    fonts: list[Font] = []
    for height, letter in ((16, A_16), (14, _A_14), (8, _A_8)):
        table = code_page_table(rom, height, letter)
        if table:
            font = code_page_font(f"VGA BIOS 8x{height}", height, table)
            fonts += [font.nine_wide(), font] if height > 8 else [font, font.nine_wide()]
    if not fonts:
        raise NotAFont("no VGA BIOS: the 8x16 letter A is not in it")
    return tuple(fonts)


def code_page_table(data: bytes, height: int, letter: bytes) -> bytes:
    """The table of 256 glyphs in *data* whose 0x41st is *letter*; empty when there is none."""
    position = data.find(letter)
    while position >= 0:
        start = position - 0x41 * height
        table = data[start : start + 256 * height] if start >= 0 else b""
        # Blank where blanks belong, and B differs from A: not a stray match.
        if len(table) == 256 * height and not any(table[0x20 * height : 0x21 * height]) and not any(table[:height]):
            return table
        position = data.find(letter, position + 1)
    return b""


def code_page_font(name: str, height: int, table: bytes) -> Font:
    """A font out of 256 glyphs in code page 437, eight pixels wide, one byte a row."""
    return make_font(
        name, 8, height, ((CP437[code], table[code * height : (code + 1) * height]) for code in range(256))
    )


def edk2_font(firmware: bytes) -> Font:
    """The 8x19 console font of a UEFI firmware built from EDK2.

    The firmware's main volume is an LZMA section; in it, ``GraphicsConsoleDxe`` carries records of a UTF-16 code, a
    byte of attributes and 19 rows (UEFI specification, ``EFI_NARROW_GLYPH``).

    Raises: NotAFont.
    """
    start = struct.pack("<HB19xHB", 0x20, 0, 0x21, 0)
    for volume in _edk2_volumes(firmware):
        position = volume.find(start)
        if position >= 0:
            return make_font("EDK2 8x19", 8, 19, _narrow_glyphs(volume, position))
    raise NotAFont("no EDK2 firmware: its console font is not in it")


def _edk2_volumes(firmware: bytes) -> Iterator[bytes]:
    yield firmware
    position = firmware.find(_LZMA_SECTION)
    while position >= 0:
        section = position - 4  # three bytes of size, one of type (2: GUID-defined)
        if section >= 0 and firmware[section + 3] == 2:
            (offset,) = struct.unpack_from("<H", firmware, position + 16)
            with suppress(lzma.LZMAError):  # a mention of the GUID, not a section
                yield lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(firmware[section + offset :])
        position = firmware.find(_LZMA_SECTION, position + 1)


def _narrow_glyphs(volume: bytes, position: int) -> Iterator[tuple[str, bytes]]:
    while position + 22 <= len(volume):
        code, _attributes = struct.unpack_from("<HB", volume, position)
        if not code:
            return
        yield chr(code), volume[position + 3 : position + 22]
        position += 22


def psf_font(path: Path) -> Font:
    """A Linux console font (PSF 1 or 2, gzipped or not), of those with a Unicode table. Raises: NotAFont."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:2] == b"\x36\x04":
        mode, height = data[2], data[3]
        count, width, start, has_table = (512 if mode & 1 else 256), 8, 4, bool(mode & 6)
        table = _psf1_table(data[start + count * height :], count) if has_table else {}
    elif data[:4] == b"\x72\xb5\x4a\x86":
        start, flags, count, _size, height, width = struct.unpack_from("<6I", data, 8)
        table = _psf2_table(data[start + count * height * ((width + 7) // 8) :], count) if flags & 1 else {}
    else:
        raise NotAFont(f"{path.name} is no PSF font")
    if not table:
        raise NotAFont(f"{path.name} does not say which characters its glyphs are")
    row = (width + 7) // 8
    size = row * height

    def glyphs() -> Iterator[tuple[str, list[int]]]:
        for index, characters in table.items():
            bits = data[start + index * size : start + (index + 1) * size]
            rows = [int.from_bytes(bits[i : i + row], "big") >> (row * 8 - width) for i in range(0, size, row)]
            for character in characters:
                yield character, rows

    return make_font(path.name.split(".")[0], width, height, glyphs())


def _psf1_table(data: bytes, count: int) -> dict[int, list[str]]:
    table: dict[int, list[str]] = {}
    index, in_sequence = 0, False
    for (code,) in struct.iter_unpack("<H", data[: len(data) // 2 * 2]):
        if code == 0xFFFF:
            index, in_sequence = index + 1, False
            if index >= count:
                break
        elif code == 0xFFFE:
            in_sequence = True
        elif not in_sequence:
            table.setdefault(index, []).append(chr(code))
    return table


def _psf2_table(data: bytes, count: int) -> dict[int, list[str]]:
    table: dict[int, list[str]] = {}
    for index, entry in enumerate(data.split(b"\xff")[:count]):
        single = entry.split(b"\xfe")[0].decode("utf-8", errors="ignore")
        if single:
            table[index] = list(single)
    return table


def pf2_font(data: bytes) -> Font:
    """A fixed-width font of GRUB's (PFF2; GRUB manual, ``grub-mkfont``), narrow glyphs only. Raises: NotAFont."""
    sections = dict(_pf2_sections(data))
    if data[:12] != b"FILE\0\0\0\4PFF2" or b"CHIX" not in sections:
        raise NotAFont("no PFF2 font")
    index = sections[b"CHIX"]
    height = int.from_bytes(sections[b"MAXH"], "big")
    ascent = int.from_bytes(sections[b"ASCE"], "big")
    placed = [
        (code, offset)
        for code, flags, offset in struct.iter_unpack(">IBI", index[: len(index) // 9 * 9])
        if not flags and any(code in r for r in _PF2_RANGES)
    ]
    width = _pf2_width(data, placed)

    def glyphs() -> Iterator[tuple[str, list[int]]]:
        for code, offset in placed:
            rows = _pf2_glyph(data, offset, width, height, ascent)
            if rows is not None:
                yield chr(code), rows

    return make_font(f"GRUB {sections[b'NAME'].rstrip(bytes(1)).decode(errors='replace')}", width, height, glyphs())


def _pf2_sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        name, (length,) = data[position : position + 4], struct.unpack_from(">I", data, position + 4)
        if name == b"DATA":
            return
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length


def _pf2_width(data: bytes, placed: list[tuple[int, int]]) -> int:
    """GRUB's terminal makes its cells as wide as the widest printable ASCII character."""
    widths = [struct.unpack_from(">h", data, offset + 8)[0] for code, offset in placed if 0x20 <= code < 0x7F]
    if not widths:
        raise NotAFont("a PFF2 font without ASCII")
    return int(max(widths))


def _pf2_glyph(data: bytes, offset: int, width: int, height: int, ascent: int) -> list[int] | None:
    """The rows of a glyph placed in its cell; None when it does not fit into one cell."""
    glyph_width, glyph_height, left, bottom, device_width = struct.unpack_from(">HHhhh", data, offset)
    top = ascent - bottom - glyph_height
    if device_width != width or left < 0 or left + glyph_width > width or top < 0 or top + glyph_height > height:
        return None
    size = glyph_width * glyph_height
    start = offset + 10
    bits = int.from_bytes(data[start : start + (size + 7) // 8], "big") >> (-size % 8)
    rows = [0] * height
    for line in range(glyph_height):
        row = (bits >> (size - (line + 1) * glyph_width)) & ((1 << glyph_width) - 1)
        rows[top + line] = row << (width - left - glyph_width)
    return rows
