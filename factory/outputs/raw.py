"""Raw disk files: sparse, or compressed in independent frames by all cores, with a bmap beside them."""

from __future__ import annotations

import hashlib
import lzma
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from factory.disk.reader import DiskReader
from factory.errors import HostError
from factory.outputs import bmap, products
from factory.outputs.bmap import Range
from factory.outputs.model import Exported, Meter, Part, SealedDisk, Work
from factory.outputs.stream import hashing, in_order, is_zero, pieces
from factory.quantity import Size
from factory.template.output_options import Raw

_SUFFIX = {"none": "raw", "gz": "raw.gz", "xz": "raw.xz", "zstd": "raw.zst"}
_FRAME = 8 * 2**20
_HOW = {
    "none": "dd if={path} of=/dev/… bs=4M conv=fsync",
    "gz": "gzip -dc {path} | dd of=/dev/… bs=4M conv=fsync",
    "xz": "xz -dc {path} | dd of=/dev/… bs=4M conv=fsync",
    "zstd": "zstd -dc {path} | dd of=/dev/… bs=4M conv=fsync",
}


async def export_raw(options: Raw, work: Work) -> list[Exported]:
    files = []
    for disk in work.disks:
        source = await products.readable(work, disk)
        path = work.staging / work.file_name(disk, _SUFFIX[options.compress])
        async with work.slots:
            write = _sparse if options.compress == "none" else _compressed
            work.digests[path] = await work.in_thread(f"raw {disk.id}", _writer(write, source, path, options))
        part = Part(disk.id, path.name, "raw", packing="" if options.compress == "none" else options.compress)
        usage = f"bmaptool copy {path.name} /dev/…" if options.bmap else _HOW[options.compress].format(path=path.name)
        size = Size(disk.virtual_size)
        files.append(await work.exported(path, "raw", virtual_size=size, usage=usage, parts=(part,)))
        if options.bmap:
            files.append(await _export_bmap(work, source, path))
    return files


def _writer(
    write: Callable[[DiskReader, Path, Raw, Meter], str], disk: SealedDisk, path: Path, options: Raw
) -> Callable[[Meter], str]:
    def run(meter: Meter) -> str:
        with products.reading(disk) as reader:
            return write(reader, path, options, meter)

    return run


def _sparse(reader: DiskReader, path: Path, options: Raw, meter: Meter) -> str:
    """Writes a sparse file; the digest covers its holes, as whoever reads it sees zeros there."""
    return write_sparse(reader, path, reader.size, b"", meter)


def write_sparse(reader: DiskReader, path: Path, size: int, footer: bytes, meter: Meter) -> str:
    """Writes the disk as a sparse file of *size* bytes (zeros after its end) and *footer*; returns the SHA-256."""
    digest, at = hashlib.sha256(), 0
    with path.open("wb") as out:
        for offset, data in pieces(reader, 4096, 4 * 2**20):
            _hash_zeros(digest.update, offset - at)
            digest.update(data)
            at = offset + len(data)
            for start, stretch in _not_zero(data):
                os.pwrite(out.fileno(), stretch, offset + start)
            meter(at, size)
        _hash_zeros(digest.update, size - at)
        digest.update(footer)
        os.ftruncate(out.fileno(), size)
        os.pwrite(out.fileno(), footer, size)
    meter(size, size)
    return digest.hexdigest()


def _not_zero(data: bytes, step: int = 64 * 1024) -> Iterator[tuple[int, memoryview]]:
    view = memoryview(data)
    for at in range(0, len(view), step):
        stretch = view[at : at + step]
        if not is_zero(stretch):
            yield at, stretch


_ZEROS = bytes(4 * 2**20)


def _hash_zeros(update: Callable[[bytes | memoryview], None], length: int) -> None:
    view = memoryview(_ZEROS)
    for at in range(0, length, len(_ZEROS)):
        update(view[: min(len(_ZEROS), length - at)])


def _compressed(reader: DiskReader, path: Path, options: Raw, meter: Meter) -> str:
    """Frames one after the other: gzip members, xz streams or zstd frames, which every reader takes for one file."""
    compress = frame_compressor(options.compress)
    zero_frame = lru_cache(maxsize=2)(lambda length: compress(bytes(length)))

    def frame(piece: tuple[int, bytes]) -> tuple[int, bytes]:
        length, data = piece
        return length, compress(data) if data else zero_frame(length)

    done = 0
    with hashing(path) as out:
        for length, packed in in_order(frame, _frames(reader), 6):
            out.write(packed)
            done += length
            meter(done, reader.size)
        return out.hexdigest()


def _frames(reader: DiskReader) -> Iterator[tuple[int, bytes]]:
    """``(length, data)`` of each frame; no data for a frame of zeros."""
    extents = iter(reader.extents())
    current = next(extents, None)
    for offset in range(0, reader.size, _FRAME):
        length = min(_FRAME, reader.size - offset)
        while current is not None and sum(current) <= offset:
            current = next(extents, None)
        holds_data = current is not None and current[0] < offset + length
        data = reader.read(offset, length) if holds_data else b""
        yield length, b"" if is_zero(data) else data


def frame_compressor(kind: str, level: int = 12) -> Callable[[bytes], bytes]:
    """*level* is zstd's. Raises: HostError when this Python lacks the compressor."""
    if kind == "gz":
        from deflate import gzip_compress

        return lambda data: bytes(gzip_compress(data, 6))
    if kind == "xz":
        return lambda data: lzma.compress(data, preset=4, check=lzma.CHECK_CRC32)
    try:
        from backports import zstd
    except ImportError as error:
        raise HostError("this Python can't write zstd", hint="pip install backports.zstd") from error
    return lambda data: zstd.compress(data, level)


async def _export_bmap(work: Work, disk: SealedDisk, image: Path) -> Exported:
    path = image.with_name(f"{image.name.split('.raw')[0]}.bmap")

    def write(meter: Meter) -> None:
        with products.reading(disk) as reader:
            ranges: Sequence[Range] = list(bmap.ranges(reader, meter))
            path.write_bytes(bmap.document(reader.size, ranges))

    async with work.slots:
        await work.in_thread(f"bmap {disk.id}", write)
    usage = f"bmaptool copy --bmap {path.name} {image.name} /dev/…"
    return await work.exported(path, "bmap", usage=usage, sidecar=True)
