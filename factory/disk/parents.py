"""Images that hold only what differs from a parent, in the formats in which QEMU does not read the parent.

It takes what a differencing VHD or VDI lacks for zeros and says nothing; a VHDX with a parent is an "Invalid argument".
(A Parallels snapshot can't be told from a whole disk: what it stands on is written in another file alone.)

Sources: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, and [MS-VHDX]; VirtualBox' ``VDICore.h``; QEMU's
``block/vpc.c``, ``block/vhdx.c`` and ``block/vdi.c``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import UUID

VHDX_HEAD = 4 * 2**20
"""Bytes of a VHDX to look at: where Hyper-V and qemu-img put its metadata (up to disks of some TB)."""
_VHD_DIFFERENCING = 4
_VDI_DIFFERENCING = 4
_REGION_TABLES = (192 * 1024, 256 * 1024)
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_PARENT_LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le
_HAS_PARENT = 2
_MOST_ENTRIES = 2047  # of a table, in [MS-VHDX]


def parent_of(head: bytes, format: str) -> str | None:
    """What the parent of an image is called, empty where it does not say; None when it has none, or for other formats.

    Raises: struct.error for a head that is too short.
    """
    return {"vpc": _of_vhd, "vdi": _of_vdi, "vhdx": _of_vhdx}.get(format, _none)(head)


def _none(head: bytes) -> None:
    return None


def _of_vhd(head: bytes) -> str | None:
    header, kind = struct.unpack_from(">Q", head, 16)[0], struct.unpack_from(">I", head, 60)[0]
    if kind != _VHD_DIFFERENCING:
        return None
    name = head[header + 64 : header + 64 + 512].decode("utf-16-be", "replace")
    return name.partition("\0")[0]


def _of_vdi(head: bytes) -> str | None:
    kind = struct.unpack_from("<I", head, 76)[0]
    link, parent = head[0x1A8:0x1B8], head[0x1B8:0x1C8]
    # It knows its parent by an id alone, and QEMU takes one without that for a whole disk.
    return "" if kind == _VDI_DIFFERENCING or any(link) or any(parent) else None


def _of_vhdx(head: bytes) -> str | None:
    """None too where its metadata lies behind *head*: QEMU opens none with a parent."""
    region = next((at for table in _REGION_TABLES for at, _ in _entries(head, table, 16, _METADATA)), 0)
    items = {kind: item for kind in (_FILE_PARAMETERS, _PARENT_LOCATOR) for item in _items(head, region, kind)}
    at, _ = items.get(_FILE_PARAMETERS, (0, 0))
    if not at or len(head) < at + 8 or not struct.unpack_from("<I", head, at + 4)[0] & _HAS_PARENT:
        return None
    at, length = items.get(_PARENT_LOCATOR, (0, 0))
    return _located(head[at : at + length])


def _entries(head: bytes, table: int, first: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """``(offset, length)`` of the entries of 32 bytes of one *kind* in a table of regions."""
    if len(head) < table + first:
        return
    for number in range(min(struct.unpack_from("<I", head, table + 8)[0], _MOST_ENTRIES)):
        at = table + first + 32 * number
        if head[at : at + 16] == kind and len(head) >= at + 32:
            yield struct.unpack_from("<QI", head, at + 16)


def _items(head: bytes, region: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """``(offset, length)`` of the items of one *kind* that the table at the start of the metadata names."""
    if not region or len(head) < region + 32:
        return
    for number in range(min(struct.unpack_from("<H", head, region + 10)[0], _MOST_ENTRIES)):
        at = region + 32 * (number + 1)
        if head[at : at + 16] == kind and len(head) >= at + 32:
            offset, length = struct.unpack_from("<II", head, at + 16)
            yield region + offset, length


def _located(locator: bytes) -> str:
    """The parent's path in a parent locator, the relative one first."""
    if len(locator) < 20:
        return ""
    found = {}
    for number in range(min(struct.unpack_from("<H", locator, 18)[0], _MOST_ENTRIES)):
        if len(locator) < 20 + 12 * (number + 1):
            break
        key, value, key_length, value_length = struct.unpack_from("<IIHH", locator, 20 + 12 * number)
        name = locator[key : key + key_length].decode("utf-16-le", "replace")
        found[name] = locator[value : value + value_length].decode("utf-16-le", "replace")
    return found.get("relative_path") or found.get("absolute_win32_path") or found.get("volume_path") or ""
