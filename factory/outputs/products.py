"""What several outputs need, made once: a qcow2, a streamOptimized VMDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory.disk.reader import DiskReader, open_disk
from factory.errors import StepError
from factory.events import Progress
from factory.outputs import vmdk
from factory.outputs.model import Meter, SealedDisk, Work

READABLE = frozenset({"raw", "qcow2"})


@contextmanager
def reading(disk: SealedDisk) -> Iterator[DiskReader]:
    """The disk's bytes. ``readable`` must have been asked first."""
    with open_disk(disk.path, disk.format) as reader:
        yield reader


async def readable(work: Work, disk: SealedDisk) -> SealedDisk:
    """The disk in a format that we read ourselves; another one (a VMDK to convert) is turned into a raw file first."""
    if disk.format in READABLE and await asyncio.to_thread(_opens, disk):
        return disk

    async def make(path: Path) -> None:
        await work.images.convert(disk.path, path, source_format=disk.format, format="raw")

    path = await work.product(("raw", disk.id), make, "raw")
    return _Converted(disk, path)


def _opens(disk: SealedDisk) -> bool:
    try:
        with reading(disk):
            return True
    except StepError:
        return False  # qcow2 with a feature that our reader lacks


class _Converted:
    """A disk whose bytes lie in another file now."""

    def __init__(self, disk: SealedDisk, path: Path) -> None:
        self.id, self.path, self.format, self.virtual_size = disk.id, path, "raw", disk.virtual_size


async def qcow2(work: Work, disk: SealedDisk, compress: str, compat: str) -> Path:
    """A self-contained qcow2. Raises: CommandFailed when qemu-img finds what it wrote damaged."""

    async def make(path: Path) -> None:
        options = [f"compat={compat}"]
        if compress != "none" and compat != "0.10":
            options.append(f"compression_type={compress}")
        task = f"qcow2 {disk.id}"
        await work.images.convert(
            disk.path,
            path,
            source_format=disk.format,
            format="qcow2",
            options=options,
            compress=compress != "none",
            progress=lambda done, total: work.emit(Progress(task, done, total)),
        )
        await work.images.check(path, format="qcow2")

    return await work.product(("qcow2", disk.id, compress, compat), make, "qcow2")


async def stream_optimized(work: Work, disk: SealedDisk, adapter: str, hardware_version: int = 14) -> Path:
    """A streamOptimized VMDK, hashed while it is written."""
    source = await readable(work, disk)

    async def make(path: Path) -> None:
        name = work.file_name(disk, "vmdk")

        def write(meter: Meter) -> str:
            with reading(source) as reader:
                return vmdk.write_stream_optimized(
                    reader, path, name=name, adapter=adapter, hardware_version=hardware_version, progress=meter
                )

        work.digests[path] = await work.in_thread(f"vmdk {disk.id}", write)

    family = "ide" if adapter == "ide" else "scsi"  # all that the file itself tells apart
    return await work.product(("vmdk", disk.id, family), make, "vmdk")
