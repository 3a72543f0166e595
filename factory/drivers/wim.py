"""What a Windows image file (WIM, SWM, ESD) says of itself, without reading what it holds.

Header and XML: "Windows Imaging File Format (WIM)" white paper, Microsoft.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_MAGIC = b"MSWIM\0\0\0"
_HEADER = 208
_XML_RESOURCE = 72
"""Offset in the header of the entry for the XML: 7 bytes stored size, 1 byte flags, 8 bytes offset, 8 bytes size."""
_COMPRESSED = 0x04
_LARGEST_XML = 4 * 2**20


def read_xml(stream: BinaryIO) -> str:
    """The XML that lists the images in a WIM: names, editions, builds, languages. Empty when *stream* is no WIM."""
    stream.seek(0)
    header = stream.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        return ""
    sizes, offset, size = struct.unpack_from("<QQQ", header, _XML_RESOURCE)
    stored, flags = sizes & (1 << 56) - 1, sizes >> 56
    if flags & _COMPRESSED or stored != size or not 0 < size <= _LARGEST_XML:
        return ""
    stream.seek(offset)
    return stream.read(size).decode("utf-16", "replace").lstrip("\ufeff")
