"""Writes streamOptimized VMDKs that VMware's own tools accept.

Source: VMware, "Virtual Disk Format 5.0", *Stream-Optimized Compressed Sparse Extents*. QEMU's writer leaves out the
end-of-stream marker, the footer and the order that a reader of a stream needs; ovftool then refuses the disk. Here the
grain tables follow their grains, the directory and the footer come last, and the end-of-stream marker ends it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from factory.disk.reader import DiskReader
from factory.outputs.stream import HashingWriter, hashing, in_order, is_zero, pieces

SECTOR = 512
GRAIN = 128 * SECTOR
_ENTRIES = 512  # grains for each grain table
_OVERHEAD = 128  # sectors before the first grain, as VMware's own tools leave them
_AT_END = 0xFFFFFFFFFFFFFFFF
_FLAGS = 1 | 1 << 16 | 1 << 17  # newline test, compressed, markers
_EOS, _TABLE, _DIRECTORY, _FOOTER = 0, 1, 2, 3
_AT_ONCE = 32 * GRAIN
_DESCRIPTOR = """\
# Disk DescriptorFile
version=1
CID={cid:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW {sectors} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "{hardware_version}"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "{heads}"
ddb.geometry.sectors = "{track}"
ddb.adapterType = "{adapter}"
"""


def write_stream_optimized(
    reader: DiskReader,
    destination: Path,
    *,
    name: str,
    adapter: str,
    hardware_version: int,
    progress: Callable[[int, int], None],
) -> str:
    """Writes *destination* and returns its SHA-256. *name* is the extent's name in the descriptor.

    The size is rounded up to whole sectors. Compression is by libdeflate, which makes it smaller than zlib's default
    level in less than half the time.
    """
    sectors = -(-reader.size // SECTOR)
    descriptor = _descriptor(name, sectors, adapter, hardware_version)
    with hashing(destination) as out:
        out.write(_header(sectors, len(descriptor) // SECTOR, _AT_END))
        out.write(descriptor)
        out.write(bytes(_OVERHEAD * SECTOR - out.tell()))
        directory = _write_grains(out, reader, progress)
        tables = -(-sectors * SECTOR // (GRAIN * _ENTRIES))
        gd_sectors = -(-tables * 4 // SECTOR)
        out.write(_marker(gd_sectors, _DIRECTORY))
        gd_offset = out.tell() // SECTOR
        entries = [directory.get(number, 0) for number in range(tables)]
        out.write(struct.pack(f"<{tables}I", *entries).ljust(gd_sectors * SECTOR, b"\0"))
        out.write(_marker(1, _FOOTER))
        out.write(_header(sectors, len(descriptor) // SECTOR, gd_offset))
        out.write(_marker(0, _EOS))
        return out.hexdigest()


def _write_grains(out: HashingWriter, reader: DiskReader, progress: Callable[[int, int], None]) -> dict[int, int]:
    """Writes all grains that hold data, each table after its grains; returns table number → its sector."""
    directory: dict[int, int] = {}
    table: list[int] = []
    current = -1

    def close_table() -> None:
        if current >= 0:
            out.write(_marker(_ENTRIES * 4 // SECTOR, _TABLE))
            directory[current] = out.tell() // SECTOR
            out.write(struct.pack(f"<{_ENTRIES}I", *table))

    for batch in in_order(_compress, pieces(reader, GRAIN, _AT_ONCE)):
        for grain, data in batch:
            if grain // _ENTRIES != current:
                close_table()
                current, table = grain // _ENTRIES, [0] * _ENTRIES
            table[grain % _ENTRIES] = out.tell() // SECTOR
            out.write(data)
            progress((grain + 1) * GRAIN, reader.size)
    close_table()
    progress(reader.size, reader.size)
    return directory


def _compress(piece: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    """The grains of one piece: number, and marker + compressed data + padding."""
    offset, data = piece
    return list(_grains(offset, memoryview(data)))


def _grains(offset: int, view: memoryview) -> Iterator[tuple[int, bytes]]:
    from deflate import zlib_compress

    for at in range(0, len(view), GRAIN):
        grain = view[at : at + GRAIN]
        if is_zero(grain):
            continue
        if len(grain) < GRAIN:  # the end of a disk that is no whole number of grains
            grain = memoryview(bytes(grain).ljust(GRAIN, b"\0"))
        packed = bytes(zlib_compress(grain, 6))
        record = struct.pack("<QI", (offset + at) // SECTOR, len(packed)) + packed
        yield (offset + at) // GRAIN, record.ljust(-(-len(record) // SECTOR) * SECTOR, b"\0")


def _marker(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def _header(sectors: int, descriptor_sectors: int, gd_offset: int) -> bytes:
    return struct.pack(
        "<4sIIQQQQIQQQBccccH",
        b"KDMV", 3, _FLAGS, sectors, GRAIN // SECTOR, 1, descriptor_sectors, _ENTRIES, 0, gd_offset, _OVERHEAD,
        0, b"\n", b" ", b"\r", b"\n", 1,
    ).ljust(SECTOR, b"\0")  # fmt: skip


def _descriptor(name: str, sectors: int, adapter: str, hardware_version: int) -> bytes:
    heads, track = (255, 63) if adapter != "ide" else (16, 63)
    cylinders = min(-(-sectors // (heads * track)), 65535 if adapter != "ide" else 16383)
    text = _DESCRIPTOR.format(
        # A content id must differ between disks, and stay the same for the same build.
        cid=int.from_bytes(hashlib.sha256(f"{name} {sectors}".encode()).digest()[:4], "big") & 0xFFFFFFFE,
        sectors=sectors,
        name=name,
        hardware_version=hardware_version,
        cylinders=cylinders,
        heads=heads,
        track=track,
        # The format knows no other SCSI adapter: pvscsi is the OVF's matter.
        adapter="ide" if adapter == "ide" else "lsilogic",
    ).encode()
    return text.ljust(-(-len(text) // SECTOR) * SECTOR, b"\0")
