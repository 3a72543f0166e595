"""Reads a disk's partition tables through the appliance, with the plain code that reads those of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from factory.disk.reader import DiskReader
from factory.drivers.protocols import Appliance

_T = TypeVar("_T")
_BLOCK = 2**18  # both ends of a disk with a GPT in one block each; libguestfs's protocol ends at 4 MiB


class _Missing(Exception):
    """A part of a disk that has not been fetched yet."""

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block = block


class _Fetched:
    """A reader of the blocks that were fetched. What lies behind the end is zeros."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.blocks: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        return self._size

    def extents(self) -> Iterator[tuple[int, int]]:
        yield 0, self._size

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self._size)
        first, last = offset // _BLOCK, -(-end // _BLOCK)
        for number in range(first, last):
            if number not in self.blocks:
                raise _Missing(number)
        data = b"".join(self.blocks[number] for number in range(first, last))
        return data[offset - first * _BLOCK :][: max(0, end - offset)].ljust(length, b"\0")


async def read_tables(appliance: Appliance, device: str, size: int, read: Callable[[DiskReader], _T]) -> _T:
    """What *read* makes of the first *size* bytes of a device.

    Plain code can't wait for the appliance: it is called again for each block that it turns out to need, and must
    change nothing. Raises: what *read* raises, ApplianceCallFailed.
    """
    reader = _Fetched(size)
    while True:
        try:
            return read(reader)
        except _Missing as missing:
            at = missing.block * _BLOCK
            data: Any = await appliance.call("pread_device", device, min(_BLOCK, size - at), at)
            reader.blocks[missing.block] = bytes(data).ljust(_BLOCK, b"\0")
