"""Lists the files in a Linux initramfs: cpio archives one after the other, each compressed in its own way.

Source: the kernel's ``Documentation/driver-api/early-userspace/buffer-format.rst``. gzip, xz, lzma, bzip2 and zstd are
read; lz4 and lzo are told by name, and not read.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator

_NEWC = (b"070701", b"070702")


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
    known = {b"\x02\x21\x4c\x18": "lz4", b"\x04\x22\x4d\x18": "lz4", b"\x89LZO": "lzo"}
    raise UnreadableInitramfs(known.get(data[:4], f"something that begins with {data[:4]!r}"))
