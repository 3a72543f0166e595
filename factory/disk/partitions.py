"""Reads partition tables: MBR with logical partitions, and GPT (UEFI specification 2.10, chapter 5)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from factory.disk.reader import DiskReader

_SECTOR = 512
_EXTENDED = frozenset({0x05, 0x0F, 0x85})


@dataclass(frozen=True, slots=True)
class Partition:
    """``number`` as Linux counts; ``offset`` and ``length`` in bytes; 0 and the whole disk when there is no table.

    ``uuid`` is what Linux calls PARTUUID, ``name`` GPT's; ``type`` as blkid writes it: a UUID of GPT, "0x83" of MBR.
    """

    number: int
    offset: int
    length: int
    uuid: str = field(default="", compare=False)
    name: str = field(default="", compare=False)
    type: str = field(default="", compare=False)


class Window:
    """A part of a disk as a reader of its own."""

    def __init__(self, reader: DiskReader, partition: Partition) -> None:
        self._reader, self._start, self._size = reader, partition.offset, partition.length

    @property
    def size(self) -> int:
        return self._size

    def extents(self) -> Iterator[tuple[int, int]]:
        for offset, length in self._reader.extents():
            first, last = max(offset, self._start), min(offset + length, self._start + self._size)
            if first < last:
                yield first - self._start, last - first

    def read(self, offset: int, length: int) -> bytes:
        return self._reader.read(self._start + offset, max(0, min(length, self._size - offset)))


def partitions(reader: DiskReader) -> list[Partition]:
    """All partitions, by number; the whole disk as number 0 when there is no partition table."""
    sector = reader.read(0, _SECTOR)
    if sector[510:512] != b"\x55\xaa":
        return [Partition(0, 0, reader.size)]
    entries = [_mbr_entry(sector, n) for n in range(4)]
    if any(kind == 0xEE for kind, _, _ in entries):
        return list(_gpt(reader))
    if not any(kind and count and (start + count) * _SECTOR <= reader.size + _SECTOR for kind, start, count in entries):
        return [Partition(0, 0, reader.size)]  # a boot sector of a file system has the same signature
    found = []
    for number, (kind, start, count) in enumerate(entries, 1):
        if kind in _EXTENDED:
            found += list(_logical(reader, start))
        elif kind and count:
            found.append(Partition(number, start * _SECTOR, count * _SECTOR, type=hex(kind)))
    (disk,) = struct.unpack_from("<I", sector, 440)
    return [replace(p, uuid=f"{disk:08x}-{p.number:02x}") for p in found]


def _mbr_entry(sector: bytes, number: int) -> tuple[int, int, int]:
    at = 446 + 16 * number
    start, count = struct.unpack_from("<II", sector, at + 8)
    return sector[at + 4], start, count


def _logical(reader: DiskReader, first: int) -> Iterator[Partition]:
    link, number = first, 5
    seen: set[int] = set()
    while link not in seen and len(seen) < 128:
        seen.add(link)
        sector = reader.read(link * _SECTOR, _SECTOR)
        if sector[510:512] != b"\x55\xaa":
            return
        kind, start, count = _mbr_entry(sector, 0)
        if kind and count:
            yield Partition(number, (link + start) * _SECTOR, count * _SECTOR, type=hex(kind))
            number += 1
        kind, start, count = _mbr_entry(sector, 1)
        if kind not in _EXTENDED:
            return
        link = first + start


def _gpt(reader: DiskReader) -> Iterator[Partition]:
    header = reader.read(_SECTOR, 92)
    if header[:8] != b"EFI PART":
        return
    table, count, size = struct.unpack_from("<QII", header, 72)
    data = reader.read(table * _SECTOR, min(count, 1024) * size)
    for number in range(min(count, 1024)):
        entry = data[number * size : (number + 1) * size]
        if len(entry) >= 48 and any(entry[:16]):
            first, last = struct.unpack_from("<QQ", entry, 32)
            name = entry[56:128].decode("utf-16-le", "replace").split("\0")[0]
            type_, identity = (str(uuid.UUID(bytes_le=entry[at : at + 16])) for at in (0, 16))
            yield Partition(number + 1, first * _SECTOR, (last - first + 1) * _SECTOR, identity, name, type_)
