"""Takes the 8x16 font of the framebuffer console out of a Linux kernel image.

The kernel's font is not quite the VGA BIOS' (0, M, T, m, w, x and others differ). It lies unchanged in every x86 kernel
that has a framebuffer console, in the compressed part of the image (Documentation/arch/x86/boot.rst: ``setup_sects``
at 0x1F1, ``payload_offset`` at 0x248, ``payload_length`` at 0x24C).
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from factory.drivers.screen.font_files import A_16, NotAFont, code_page_font, code_page_table
from factory.drivers.screen.fonts import Font

_OVERLAP = 256 * 16
_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_CHUNK = 8 * 2**20


def kernel_font(image: bytes) -> Font:
    """The console font of a bzImage (or of an uncompressed kernel). Raises: NotAFont."""
    return code_page_font("Linux console 8x16", 16, kernel_font_table(image))


def kernel_font_table(image: bytes) -> bytes:
    """The font's 4096 bytes: 256 glyphs of 16 rows. Takes a second or two. Raises: NotAFont."""
    last = b""
    for part in _unpacked(image):
        window = last + part
        table = code_page_table(window, 16, A_16)
        if table:
            return table
        last = window[-_OVERLAP * 2 :]
    raise NotAFont("the kernel has no 8x16 console font in it")


def _unpacked(image: bytes) -> Iterator[bytes]:
    if image[0x202:0x206] != b"HdrS":
        yield image
        return
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start : start + length]
    for magic, unpack in _FORMATS.items():
        if payload.startswith(magic):
            yield from unpack(payload)
            return
    raise NotAFont(f"the kernel is compressed in an unknown way ({payload[:4].hex()})")


def _xz(payload: bytes) -> Iterator[bytes]:
    yield from _stream(lzma.LZMADecompressor(lzma.FORMAT_XZ), payload)


def _lzma_alone(payload: bytes) -> Iterator[bytes]:
    yield from _stream(lzma.LZMADecompressor(lzma.FORMAT_ALONE), payload)


def _stream(decompressor: lzma.LZMADecompressor, payload: bytes) -> Iterator[bytes]:
    try:
        yield decompressor.decompress(payload, _CHUNK)
        while not decompressor.eof and not decompressor.needs_input:
            yield decompressor.decompress(b"", _CHUNK)
    except lzma.LZMAError as error:
        raise NotAFont(f"the kernel's compressed part is damaged: {error}") from None


def _gzip(payload: bytes) -> Iterator[bytes]:
    yield zlib.decompressobj(wbits=31).decompress(payload)


def _bzip2(payload: bytes) -> Iterator[bytes]:
    yield bz2.BZ2Decompressor().decompress(payload)


def _zstd(payload: bytes) -> Iterator[bytes]:
    """By whichever zstd module is there; the standard library has one from Python 3.14 on."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            module: Any = importlib.import_module(name)
        except ImportError:
            continue
        yield module.ZstdDecompressor().decompress(payload)
        return
    raise NotAFont("the kernel is compressed with zstd, and no zstd module is installed")


def _lz4(payload: bytes) -> Iterator[bytes]:
    """LZ4's legacy frame: a magic number, then blocks of 8 MiB, each behind its compressed size."""
    position = 4
    while position + 4 <= len(payload):
        (size,) = struct.unpack_from("<I", payload, position)
        position += 4
        if not size or position + size > len(payload):
            return  # the payload ends with the length of the unpacked kernel
        yield _lz4_block(payload[position : position + size])
        position += size


def _lz4_block(block: bytes) -> bytes:
    """Unpacks one block (LZ4 block format): literals, then a copy from at most 64 KiB back, and so on."""
    out = bytearray()
    position, end = 0, len(block)
    while position < end:
        token = block[position]
        position += 1
        length = token >> 4
        if length == 15:
            length, position = _more_length(block, position, length)
        out += block[position : position + length]
        position += length
        if position >= end:
            break
        start = len(out) - (block[position] | block[position + 1] << 8)
        position += 2
        length = (token & 15) + 4
        if length == 19:
            length, position = _more_length(block, position, length)
        distance = len(out) - start
        if distance >= length:
            out += out[start : start + length]
        else:
            out += (out[start:] * (length // distance + 1))[:length]
    return bytes(out)


def _more_length(block: bytes, position: int, length: int) -> tuple[int, int]:
    while True:
        byte = block[position]
        position += 1
        length += byte
        if byte != 255:
            return length, position


_FORMATS: dict[bytes, Callable[[bytes], Iterator[bytes]]] = {
    b"\xfd7zXZ\0": _xz,
    b"\x5d\0\0": _lzma_alone,
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\x28\xb5\x2f\xfd": _zstd,
    _LZ4_LEGACY: _lz4,
}
