"""Wipes what lies outside of all partitions: an old system or an old partition may have left anything there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from factory.disk.gaps import Loaders, gaps
from factory.drivers.protocols import Appliance, ApplianceCallFailed
from factory.seal.table_reader import read_tables
from factory.seal.trim import Trimmed

_PAGE = 4096
_PIECE = 2**20  # libguestfs's protocol ends at 4 MiB


async def wipe_gaps(appliance: Appliance, disk: int, loaders: Loaders, cut_to: int | None = None) -> list[Trimmed]:
    """Wipes the gaps of a disk (counted from 0), nothing of which is mounted; *cut_to*: the size that it will have."""
    device = f"/dev/sd{chr(ord('a') + disk)}"
    size = cut_to or int(await appliance.call("blockdev_getsize64", device))
    try:
        found = await read_tables(appliance, device, size, lambda reader: gaps(reader, loaders))
    except ValueError as error:
        return [Trimmed(f"{device} outside of its partitions", "none", str(error))]
    problem = ""
    for offset, length in found:
        problem = problem or await _zero(appliance, device, offset, length)
    return [Trimmed(f"{device} outside of its partitions", "zero", problem)] if found else []


async def _zero(appliance: Appliance, device: str, offset: int, length: int) -> str:
    """Gives why not. A gap of gigabytes is zeroed by the kernel, which asks QEMU to give it back; a short one by us."""
    if length > _PIECE:
        # With -f: a logical volume may hold the disk. Zeroing (-z) is exact, where a discard rounds.
        argv = f"blkdiscard -f -z -o {offset} -l {length} {device}"
        outcome = (await appliance.attempt([("debug", "sh", [f"{argv} && echo done"])]))[0]
        if isinstance(outcome, str) and outcome.strip() == "done":
            return ""
    for at in range(offset, offset + length, _PIECE):
        piece = min(_PIECE, offset + length - at)
        data: Any = (await appliance.attempt([("pread_device", device, piece, at)]))[0]
        if isinstance(data, ApplianceCallFailed):
            return f"byte {at} and what follows could not be read: {data.message}"
        for start, count in _dirty(bytes(data)):
            written: Any = (await appliance.attempt([("pwrite_device", device, bytes(count), at + start)]))[0]
            if written != count:
                return f"byte {at + start} and what follows could not be written: {written}"
    return ""


def _dirty(data: bytes) -> Iterator[tuple[int, int]]:
    """``(offset, length)`` of runs of pages that are not all zeros: zeros over zeros would only take space."""
    start = end = 0
    for at in range(0, len(data), _PAGE):
        page = data[at : at + _PAGE]
        if page.count(0) == len(page):
            continue
        if at != end:
            if end > start:
                yield start, end - start
            start = at
        end = at + len(page)
    if end > start:
        yield start, end - start
