"""What must be written so that a partition, and with it the disk, ends earlier. Pure: bytes in, bytes out."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from factory.disk.partitions import partitions
from factory.disk.reader import DiskReader

_SECTOR, _MIB = 512, 2**20
_HEADER = 92


@dataclass(frozen=True, slots=True)
class Shrunk:
    """``patches``: (offset, bytes) to write before the disk is cut to ``size`` bytes."""

    size: int
    patches: tuple[tuple[int, bytes], ...]


def shrink_table(reader: DiskReader, number: int, length: int) -> Shrunk:
    """Partition *number* gets *length* bytes, and the disk ends behind it.

    Raises: ValueError when the partition is a logical one, or not the last.
    """
    found = {p.number: p for p in partitions(reader)}
    partition = found.get(number)
    if partition is None or number == 0:
        raise ValueError(f"there is no partition {number}")
    starts = [p.offset for p in found.values()]
    if reader.read(_SECTOR, 8) != b"EFI PART":  # an extended partition is in none of the above when it is empty
        starts += [n * _SECTOR for n in struct.unpack_from("<" + "8xI4x" * 4, reader.read(446, 64))]
    if any(start > partition.offset for start in starts):
        raise ValueError(f"partition {number} is not the last one")
    end = partition.offset + -(-length // _SECTOR) * _SECTOR
    if end > partition.offset + partition.length:
        raise ValueError("a partition can't be shrunk to more than it has")
    if reader.read(_SECTOR, 8) == b"EFI PART":
        return _gpt(reader, number, end)
    if number > 4:
        raise ValueError(f"partition {number} is a logical one")
    count = struct.pack("<I", (end - partition.offset) // _SECTOR)
    return Shrunk(-(-end // _MIB) * _MIB, ((446 + 16 * (number - 1) + 12, count),))


def _gpt(reader: DiskReader, number: int, end: int) -> Shrunk:
    header = bytearray(reader.read(_SECTOR, _HEADER))
    table, count, size = struct.unpack_from("<QII", header, 72)
    entries = bytearray(reader.read(table * _SECTOR, count * size))
    struct.pack_into("<Q", entries, (number - 1) * size + 40, end // _SECTOR - 1)
    table_sectors = -(-len(entries) // _SECTOR)
    disk = -(-(end + (table_sectors + 1) * _SECTOR) // _MIB) * _MIB
    last = disk // _SECTOR - 1
    struct.pack_into("<Q", header, 48, last - table_sectors - 1)  # last usable sector
    struct.pack_into("<I", header, 88, zlib.crc32(entries))
    primary = _sealed(header, mine=1, other=last, table=table)
    secondary = _sealed(header, mine=last, other=1, table=last - table_sectors)
    protective = struct.pack("<I", min(last, 0xFFFFFFFF))
    return Shrunk(
        disk,
        (
            (446 + 12, protective),
            (_SECTOR, primary),
            (table * _SECTOR, bytes(entries)),
            ((last - table_sectors) * _SECTOR, bytes(entries)),
            (last * _SECTOR, secondary.ljust(_SECTOR, b"\0")),
        ),
    )


def _sealed(header: bytearray, *, mine: int, other: int, table: int) -> bytes:
    """The header for one of its two places, with its checksum."""
    copy = bytearray(header)
    struct.pack_into("<I", copy, 16, 0)
    struct.pack_into("<QQ", copy, 24, mine, other)
    struct.pack_into("<Q", copy, 72, table)
    struct.pack_into("<I", copy, 16, zlib.crc32(copy[:_HEADER]))
    return bytes(copy)
