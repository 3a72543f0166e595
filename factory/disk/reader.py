"""Reads disk images without QEMU or libguestfs: the second pair of eyes of the proof. Raw and qcow2, in pure Python.

qcow2 as in QEMU's ``docs/interop/qcow2.txt``: versions 2 and 3, backing files, zero clusters, clusters compressed with
zlib or zstd.
"""

from __future__ import annotations

import array
import errno
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from factory.disk.references import format_of, read_head
from factory.errors import StepError
from factory.opening import open_content, require_content

SMALLEST_DISCARD = 4096
_SECTOR = 512
_MAGIC = b"QFI\xfb"
_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED = 1 << 62
_ZERO = 1
_INCOMPATIBLE_KNOWN = 0b1011  # dirty, corrupt, compression type; not external data (4) or extended L2 (16)


class DiskReader(Protocol):
    """The bytes that a guest would read."""

    @property
    def size(self) -> int:
        """Bytes of the virtual disk."""

    def extents(self) -> Iterator[tuple[int, int]]:
        """``(offset, length)`` of what may hold data, in order; the rest reads as zeros."""

    def read(self, offset: int, length: int) -> bytes: ...


class RawReader:
    """A raw image; holes are found with SEEK_DATA."""

    def __init__(self, fd: int, offset: int = 0, length: int | None = None) -> None:
        self._fd, self._start = fd, offset
        self._size = os.fstat(fd).st_size - offset if length is None else length

    @property
    def size(self) -> int:
        return self._size

    def extents(self) -> Iterator[tuple[int, int]]:
        at, end = self._start, self._start + self._size
        while at < end:
            try:
                first = os.lseek(self._fd, at, os.SEEK_DATA)
                at = min(os.lseek(self._fd, first, os.SEEK_HOLE), end)
            except OSError as error:
                if error.errno != errno.ENXIO:  # no data after this place
                    raise
                return
            if first < end:
                yield first - self._start, at - first

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, max(0, min(length, self._size - offset)), self._start + offset)
        return data + bytes(length - len(data))


class Qcow2Reader:
    """A qcow2 image over its backing file, if any. Raises: StepError for features that it does not know."""

    def __init__(self, fd: int, path: Path, backing: DiskReader | None = None) -> None:
        self._fd, self._backing = fd, backing
        header = os.pread(fd, 112, 0)
        if header[:4] != _MAGIC:
            raise StepError(f"{path} is no qcow2 image")
        fields: tuple[int, ...] = struct.unpack(">IQIIQIIQ", header[4:48])
        version, _, _, bits, size, crypt, l1_size, l1_offset = fields
        self._size, self._bits = size, bits
        features = struct.unpack(">Q", header[72:80])[0] if version >= 3 else 0
        length = struct.unpack(">I", header[100:104])[0] if version >= 3 else 72
        compression = header[104] if length > 104 and features & 8 else 0
        self._inflate = _inflaters().get(compression)
        self._compression = ("zlib", "zstd")[compression] if compression < 2 else ""
        if crypt or features & ~_INCOMPATIBLE_KNOWN or self._inflate is None:
            raise StepError(
                f"{path} uses features of qcow2 that can't be read here (encryption, external data, subclusters)",
                hint="convert it first: qemu-img convert -O qcow2",
            )
        self._cluster = 1 << bits
        self._l1 = _big_endian(os.pread(fd, l1_size * 8, l1_offset))
        self._l2_bits = bits - 3
        self._l2: tuple[int, array.array[int]] = (-1, array.array("Q"))

    @property
    def size(self) -> int:
        return self._size

    @property
    def cluster(self) -> int:
        """Bytes."""
        return self._cluster

    @property
    def compressed(self) -> str:
        """How its clusters are compressed, "zlib" or "zstd"; empty when none is."""
        tables = (self._table(i) for i, entry in enumerate(self._l1) if entry & _OFFSET)
        return self._compression if any(entry & _COMPRESSED for table in tables for entry in table) else ""

    def extents(self) -> Iterator[tuple[int, int]]:
        below = _Covered(self._backing)
        start = end = 0
        for offset, is_data in self._clusters(below):
            if not is_data:
                continue
            if offset != end:
                if end > start:
                    yield start, min(end, self.size) - start
                start = offset
            end = offset + self._cluster
        if end > start:
            yield start, min(end, self.size) - start

    def _clusters(self, below: _Covered) -> Iterator[tuple[int, bool]]:
        span = 1 << (self._bits + self._l2_bits)
        for index in range(-(-self.size // span)):
            base = index * span
            if index < len(self._l1) and self._l1[index] & _OFFSET:
                for number, entry in enumerate(self._table(index)):
                    offset = base + number * self._cluster
                    if offset >= self.size:
                        return
                    if entry & (_OFFSET | _COMPRESSED):
                        yield offset, not entry & _ZERO or bool(entry & _COMPRESSED)
                    elif not entry & _ZERO and below.touches(offset, self._cluster):
                        yield offset, True
            elif below.touches(base, span):
                for offset in range(base, min(base + span, self.size), self._cluster):
                    if below.touches(offset, self._cluster):
                        yield offset, True

    def _table(self, index: int) -> array.array[int]:
        if self._l2[0] != index:
            data = os.pread(self._fd, self._cluster, self._l1[index] & _OFFSET)
            self._l2 = (index, _big_endian(data.ljust(self._cluster, b"\0")))
        return self._l2[1]

    def read(self, offset: int, length: int) -> bytes:
        parts = []
        while length > 0:
            inside = offset % self._cluster
            take = min(length, self._cluster - inside)
            entry = self._entry(offset)
            run = take
            if entry & _OFFSET and not entry & (_COMPRESSED | _ZERO):
                # Neighbours that lie side by side in the file are read at once.
                while run < length and self._entry(offset + run) & ~(1 << 63) == (entry & ~(1 << 63)) + (inside + run):
                    run += min(self._cluster, length - run)
            parts.append(self._read_cluster(entry, offset, inside, run))
            offset, length = offset + run, length - run
        return b"".join(parts)

    def _entry(self, offset: int) -> int:
        cluster = offset >> self._bits
        index, number = cluster >> self._l2_bits, cluster & ((1 << self._l2_bits) - 1)
        if index >= len(self._l1) or not self._l1[index] & _OFFSET:
            return 0
        return int(self._table(index)[number])

    def _read_cluster(self, entry: int, offset: int, inside: int, length: int) -> bytes:
        if entry & _COMPRESSED:
            return self._decompressed(entry)[inside : inside + length].ljust(length, b"\0")
        if entry & _ZERO:
            return bytes(length)
        if entry & _OFFSET:
            return os.pread(self._fd, length, (entry & _OFFSET) + inside).ljust(length, b"\0")
        if self._backing is None:
            return bytes(length)
        return self._backing.read(offset, length)

    def _decompressed(self, entry: int) -> bytes:
        split = 62 - (self._bits - 8)
        start = entry & ((1 << split) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> split) + 1
        data = os.pread(self._fd, sectors * _SECTOR - start % _SECTOR, start)
        assert self._inflate is not None
        return self._inflate(data, self._cluster)


class _Covered:
    """Tells whether a range touches an extent of a reader; ranges must come in ascending order."""

    def __init__(self, reader: DiskReader | None) -> None:
        self._extents = reader.extents() if reader is not None else iter(())
        self._next = next(self._extents, None)

    def touches(self, offset: int, length: int) -> bool:
        while self._next is not None and sum(self._next) <= offset:
            self._next = next(self._extents, None)
        return self._next is not None and self._next[0] < offset + length


_Inflate = Callable[[bytes, int], bytes]


def _inflaters() -> dict[int, _Inflate | None]:
    """By qcow2's compression type: zlib, and zstd where this Python has it."""

    def inflate(data: bytes, size: int) -> bytes:
        return zlib.decompressobj(-12).decompress(data, size)

    try:
        from backports import zstd
    except ImportError:
        return {0: inflate, 1: None}
    return {0: inflate, 1: lambda data, size: bytes(zstd.ZstdDecompressor().decompress(data))[:size]}


def _big_endian(data: bytes) -> array.array[int]:
    table = array.array("Q", data[: len(data) // 8 * 8])
    if sys.byteorder == "little":
        table.byteswap()
    return table


@contextmanager
def open_disk(path: Path, format: str) -> Iterator[DiskReader]:
    """A reader of *path*, with its backing files. Raises: StepError when the format is none of raw and qcow2."""
    fds: list[int] = []
    try:
        yield _open(path, format, fds)
    finally:
        for fd in fds:
            os.close(fd)


def _open(path: Path, format: str, fds: list[int]) -> DiskReader:
    require_content(path)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fds.append(fd)
    if format == "raw":
        return RawReader(fd)
    if format != "qcow2":
        raise StepError(f"a disk in the format {format!r} can't be read here", hint="convert it to qcow2 or raw first")
    name, backing_format = backing_file(path)
    if not name:
        return Qcow2Reader(fd, path)
    below = path.parent / name
    return Qcow2Reader(fd, path, _open(below, backing_format or format_of(read_head(below)), fds))


def backing_file(path: Path) -> tuple[str, str]:
    """``(name, format)`` of a qcow2 image's backing file, as written in it; empty when there is none."""
    with open_content(path) as stream:
        header = stream.read(112)
        version, offset, length = struct.unpack(">IQI", header[4:20])
        if not offset:
            return "", ""
        extension = struct.unpack(">I", header[100:104])[0] if version >= 3 else 72
        format = ""
        while True:
            stream.seek(extension)
            kind, size = struct.unpack(">II", stream.read(8))
            if kind == 0 or extension >= offset:
                break
            if kind == 0xE2792ACA:  # "backing file format name"
                format = stream.read(size).decode()
            extension += 8 + -(-size // 8) * 8
        stream.seek(offset)
        return stream.read(length).decode(), format


def granularity(path: Path, format: str) -> int:
    """Bytes of the smallest part that the image gives back when a guest discards it.

    4096 at least: what QEMU's SCSI disk announces as its unit (hw/scsi/scsi-disk.c), so that the guest's kernel drops
    smaller discards.
    """
    if format == "raw":
        return SMALLEST_DISCARD
    if format == "qcow2":
        with open_content(path) as stream:
            return max(SMALLEST_DISCARD, 1 << int(struct.unpack(">I", stream.read(24)[20:24])[0]))
    return 64 * 1024
