"""Block maps, bmap 2.0: which blocks of a raw image hold data, with a checksum of each range.

Source: the comment at the head of bmap-tools' own files. The checksum of the file itself is computed with its own
field full of zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from factory.disk.reader import DiskReader
from factory.outputs.stream import blocks, is_zero

BLOCK = 4096
_LONGEST = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Range:
    """Blocks *first* to *last*, both inclusive."""

    first: int
    last: int
    sha256: str


def ranges(reader: DiskReader, progress: Callable[[int, int], None]) -> Iterator[Range]:
    """Ranges of blocks that are not all zeros; holes inside of 64 KiB or more end a range."""
    for offset, length in blocks(reader, BLOCK):
        for start, end in _stretches(reader, offset, length):
            digest = hashlib.sha256()
            for at in range(start, end, 4 * 2**20):
                digest.update(reader.read(at, min(4 * 2**20, end - at)))
            yield Range(start // BLOCK, -(-end // BLOCK) - 1, digest.hexdigest())
            progress(end, reader.size)


def _stretches(reader: DiskReader, offset: int, length: int, step: int = 64 * 1024) -> Iterator[tuple[int, int]]:
    start = None
    for at in range(offset, offset + length, step):
        data = reader.read(at, min(step, offset + length - at))
        if is_zero(data):
            if start is not None:
                yield start, at
                start = None
        elif start is None:
            start = at
        elif at - start >= _LONGEST:
            yield start, at
            start = at
    if start is not None:
        yield start, offset + length


def document(size: int, mapped: Sequence[Range]) -> bytes:
    """The bmap file for an image of *size* bytes."""
    count = sum(r.last - r.first + 1 for r in mapped)
    total = -(-size // BLOCK)
    percent = 100 * count / total if total else 0.0
    lines = "\n".join(
        f'        <Range chksum="{r.sha256}">{r.first}-{r.last}</Range>'
        if r.first != r.last
        else f'        <Range chksum="{r.sha256}">{r.first}</Range>'
        for r in mapped
    )
    empty = "0" * 64
    text = f"""\
<?xml version="1.0" ?>
<!-- Block map of a disk image: only the mapped blocks need to be copied. -->
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> {BLOCK} </BlockSize>
    <BlocksCount> {total} </BlocksCount>
    <!-- {percent:.1f}% of the image -->
    <MappedBlocksCount> {count} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {empty} </BmapFileChecksum>
    <BlockMap>
{lines}
    </BlockMap>
</bmap>
"""
    return text.replace(empty, hashlib.sha256(text.encode()).hexdigest(), 1).encode()
