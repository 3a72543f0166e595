"""Lists the files in a Linux initramfs: cpio archives one after the other, each compressed in its own way.

Source: the kernel's ``Documentation/driver-api/early-userspace/buffer-format.rst``. gzip, xz, lzma, bzip2 and zstd are
read, and lz4 in the legacy format that the kernel takes; lzo is told by name, and not read.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator

_NEWC = (b"070701", b"070702")
_LZ4_LEGACY = b"\x02\x21\x4c\x18"


class UnreadableInitramfs(ValueError):
    """Its compression is not read here; the message names it."""


def names(data: bytes) -> Iterator[str]:
    """Every path in the archive, without a leading slash. Raises: UnreadableInitramfs."""
    at = 0
    while at < len(data):
        if data[at] == 0:  # padding between archives
            at += 1
        elif data[at : at + 6] in _NEWC:
            found, at = _archive(data, at)
            yield from found
        else:
            yield from names(_unpack(data[at:]))
            return


def _archive(data: bytes, start: int) -> tuple[list[str], int]:
    """Names in the archive at *start*, and where it ends. Headers and contents are aligned to 4 from its start."""
    found, at = [], start
    while data[at : at + 6] in _NEWC:
        size, length = int(data[at + 54 : at + 62], 16), int(data[at + 94 : at + 102], 16)
        name = data[at + 110 : at + 110 + length - 1].decode("utf-8", "replace")
        content = start + -(-(at + 110 + length - start) // 4) * 4
        at = start + -(-(content + size - start) // 4) * 4
        if name == "TRAILER!!!":
            break
        found.append(name.removeprefix("./").lstrip("/"))
    return found, at


def _unpack(data: bytes) -> bytes:
    """One compressed archive; what follows it is dropped."""
    if data[:2] == b"\x1f\x8b":
        return zlib.decompressobj(47).decompress(data)
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)
    if data[:3] == b"]\0\0":
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(data)
    if data[:3] == b"BZh":
        return bz2.BZ2Decompressor().decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        try:
            from backports import zstd
        except ImportError as error:
            raise UnreadableInitramfs("zstd (install backports.zstd to read it)") from error
        return bytes(zstd.ZstdDecompressor().decompress(data))
    if data[:4] == _LZ4_LEGACY:
        return _unlz4(data)
    known = {b"\x04\x22\x4d\x18": "lz4 in a format that kernels don't take", b"\x89LZO": "lzo"}
    raise UnreadableInitramfs(known.get(data[:4], f"something that begins with {data[:4]!r}"))


def _unlz4(data: bytes) -> bytes:
    """Legacy frames: a magic number, then blocks with their compressed size before them (lz4_Frame_format.md).

    Raises: UnreadableInitramfs when it is cut.
    """
    out, at = [], 4
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if data[at - 4 : at] == _LZ4_LEGACY:  # one frame after the other
            continue
        if size == 0 or at + size > len(data):  # padding, or another archive
            break
        out.append(_lz4_block(data[at : at + size]))
        at += size
    return b"".join(out)


def _lz4_block(data: bytes) -> bytes:
    """One block (lz4_Block_format.md): literals, then a match in what is there already, again and again."""
    out, at, end = bytearray(), 0, len(data)
    try:
        while at < end:
            token, at = data[at], at + 1
            length, at = _lz4_length(data, at, token >> 4)
            out += data[at : at + length]
            at += length
            if at >= end:  # the last sequence has no match
                break
            offset = data[at] | data[at + 1] << 8
            length, at = _lz4_length(data, at + 2, token & 15)
            length += 4
            start = len(out) - offset
            if offset == 0 or start < 0:
                raise UnreadableInitramfs("damaged lz4")
            if offset >= length:
                out += out[start : start + length]
            else:  # the match runs into what it writes
                out += (out[start:] * (length // offset + 1))[:length]
    except IndexError:
        raise UnreadableInitramfs("lz4 that is cut") from None
    return bytes(out)


def _lz4_length(data: bytes, at: int, nibble: int) -> tuple[int, int]:
    """A length of 15 goes on in the bytes that follow, the last of them below 255."""
    if nibble < 15:
        return nibble, at
    while data[at] == 255:
        nibble, at = nibble + 255, at + 1
    return nibble + data[at], at + 1
