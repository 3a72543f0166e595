"""The words of exporting: what comes in, what each exporter gives back, and the work that exporters share."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from factory.drivers.protocols import DiskImages
from factory.errors import StepError
from factory.events import Emit, Progress
from factory.opening import open_content
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import TargetMachine
from factory.quantity import Size

T = TypeVar("T")
_BETWEEN_REPORTS = 0.1  # seconds


class SealedDisk(Protocol):
    """A disk to export: ``plan.resources.SealedDisk``, or anything with the same fields."""

    @property
    def id(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def format(self) -> str: ...

    @property
    def virtual_size(self) -> Size: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A disk image inside a file: the VMDK in an OVA. ``offset`` and ``length`` in bytes, 0 for the whole file.

    ``packing`` says how it is compressed: "gz", "xz", "zstd", or "tar.gz" with the member ``name``; the module
    ``unpack`` undoes it.
    """

    disk: str
    name: str
    format: str
    offset: int = 0
    length: int = 0
    packing: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """One delivered file. ``path`` is relative to the artifact's folder.

    ``format`` is the output's word ("ova"), ``sidecar`` true for what only accompanies another file (a bmap, UEFI
    variables). ``parts`` says where the disks lie in it, for who boots it.
    """

    path: Path
    format: str
    size: Size
    sha256: str
    virtual_size: Size = Size(0)
    usage: str = ""
    parts: tuple[Part, ...] = ()
    sidecar: bool = False
    target: TargetMachine | None = None
    """The machine that it is meant for; None for what nothing boots from."""


@dataclass(frozen=True, slots=True)
class Exports:
    """All files of an artifact, in the order of the template's outputs."""

    files: tuple[Exported, ...]
    name: str = ""
    hardware: OvfHardware = field(default_factory=OvfHardware)
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each output took."""


class Stopped(Exception):
    """Work in a thread ends because nobody waits for it any more."""


@dataclass(slots=True)
class Meter:
    """Progress of work in a thread, and its way to be stopped."""

    report: Callable[[int, int], None]
    stop: threading.Event
    told: float = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Tells some ten times a second at most. Raises: Stopped."""
        if self.stop.is_set():
            raise Stopped
        now = time.monotonic()
        if done >= total or now - self.told > _BETWEEN_REPORTS:
            self.told = now
            self.report(done, total)


UEFI_VARIABLES = "uefi-vars.fd"


@dataclass(frozen=True, slots=True)
class Work:
    """What exporters are handed: the disks, a place, and each other's intermediate products."""

    disks: Sequence[SealedDisk]
    name: str
    hardware: OvfHardware
    uefi_variables: Path | None
    staging: Path
    images: DiskImages
    emit: Emit
    products: dict[Hashable, asyncio.Future[Path]] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(max(1, os.cpu_count() or 1)))
    digests: dict[Path, str] = field(default_factory=dict)
    """SHA-256 of files that were hashed while they were written."""
    uefi_code: Path | None = None
    """The firmware that goes with ``uefi_variables`` on this computer, for words on how to start a disk."""

    @property
    def variables_name(self) -> str:
        """The delivered file of the machine's UEFI variables."""
        return f"{self.name}-{UEFI_VARIABLES}"

    @property
    def scratch(self) -> Path:
        """For intermediate files; on the same file system as the delivered ones, and gone at the end."""
        return self.staging / ".work"

    def file_name(self, disk: SealedDisk, suffix: str) -> str:
        """``<name>.<suffix>`` for the first disk, ``<name>-<disk>.<suffix>`` for the others."""
        stem = self.name if disk is self.disks[0] else f"{self.name}-{disk.id}"
        return f"{stem}.{suffix}"

    async def product(self, key: Hashable, make: Callable[[Path], Awaitable[None]], suffix: str) -> Path:
        """The file that *make* writes, made once for all who ask for the same *key*."""
        known = self.products.get(key)
        if known is not None:
            return await asyncio.shield(known)
        future: asyncio.Future[Path] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda f: f.cancelled() or f.exception())  # nobody else may be waiting
        self.products[key] = future
        path = self.scratch / f"{len(self.products)}.{suffix}"
        try:
            async with self.slots:
                await make(path)
        except BaseException as error:
            future.set_exception(
                error if isinstance(error, Exception) else StepError("the export that was to make it was stopped")
            )
            raise
        future.set_result(path)
        return path

    async def in_thread(self, task: str, function: Callable[[Meter], T]) -> T:
        """Runs CPU-bound work beside the event loop; when we are cancelled, it stops at its next report."""
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def report(done: int, total: int) -> None:
            loop.call_soon_threadsafe(self.emit, Progress(task, done, total))

        thread = asyncio.ensure_future(asyncio.to_thread(function, Meter(report, stop)))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([thread])
            if not thread.cancelled():
                thread.exception()
            raise

    def deliver(self, product: Path, name: str) -> Path:
        """Gives a product its place among the delivered files; the product stays for others."""
        destination = self.staging / name
        try:
            os.link(product, destination)
        except OSError:  # a file system without hard links
            shutil.copyfile(product, destination)
        if product in self.digests:
            self.digests[destination] = self.digests[product]
        return destination

    async def exported(self, path: Path, format: str, **more: object) -> Exported:
        """The description of a file in the staging folder; hashes it unless that was done while writing."""
        digest = self.digests.get(path)
        if digest is None:
            digest = await self.in_thread(f"checksum {path.name}", lambda meter: hash_file(path, meter))
        size = Size(path.stat().st_size)
        exported = Exported(path.relative_to(self.staging), format, size, digest)
        return replace(exported, **more)  # type: ignore[arg-type]


def hash_file(path: Path, meter: Callable[[int, int], None]) -> str:
    """SHA-256 in hex."""
    import hashlib

    digest, total, done = hashlib.sha256(), path.stat().st_size, 0
    with open_content(path) as stream:
        while chunk := stream.read(4 * 2**20):
            digest.update(chunk)
            done += len(chunk)
            meter(done, total)
    return digest.hexdigest()


Exporter = Callable[[Work], Awaitable[list[Exported]]]
