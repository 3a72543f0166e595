"""What the commands on images share: the drivers, a terminal that shows progress, a folder that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from factory.cli.appliance import ApplianceWhenNeeded
from factory.cli.file_kind import FileKind, kind_of
from factory.cli.places import places
from factory.cli.report.terminal import Terminal
from factory.cli.signals import ended_by_signals
from factory.drivers.process import gone_with_us
from factory.drivers.protocols import ApplianceDisk, ApplianceDriver, DiskImages
from factory.drivers.qemu.disk_image import QemuImg
from factory.errors import StepError
from factory.events import Emit, EventBus
from factory.outputs.source import image_disks, named_disks
from factory.outputs.staging import staging_folder
from factory.plan.resources import SealedDisk

T = TypeVar("T")
READ_HERE = frozenset({"raw", "qcow2"})


@dataclass(frozen=True, slots=True)
class ImageTools:
    """``scratch`` is empty at first, lies where there is room for images, and is removed afterwards."""

    driver: ApplianceDriver
    images: DiskImages
    scratch: Path
    runtime: Path
    emit: Emit


def run_with_tools(work: Callable[[ImageTools], Awaitable[T]], *, beside: Path, verbosity: int) -> T:
    """Runs *work* to its end; signals cancel it, and nothing of it is left. *beside*: a folder with room.

    Raises: click.Abort on a signal, and what *work* raises.
    """
    try:
        return asyncio.run(_run(work, beside, verbosity))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise click.Abort from None


async def _run(work: Callable[[ImageTools], Awaitable[T]], beside: Path, verbosity: int) -> T:
    bus, terminal = EventBus(), Terminal(verbosity=verbosity)
    bus.subscribe(terminal)
    emit = bus.emitter("")
    where = places()
    try:
        with ended_by_signals(), _work_folder(beside) as scratch, tempfile.TemporaryDirectory() as runtime:
            driver = ApplianceWhenNeeded(where.cache)
            return await work(ImageTools(driver, QemuImg(emit), scratch, Path(runtime), emit))
    finally:
        terminal.close()


@contextlib.contextmanager
def _work_folder(beside: Path) -> Iterator[Path]:
    """Where images grow before they are renamed; the next command sweeps what a killed one has left."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(staging_folder(beside, "image", gone_with_us))
        except OSError as error:
            raise StepError(
                f"{beside} can't be written to: {error.strerror}", hint="name a folder with `--output` that can"
            ) from error
        folder.chmod(0o700)  # copies of disks that are not sealed yet
        yield folder


async def disks_of(paths: tuple[Path, ...], tools: ImageTools) -> list[SealedDisk]:
    """One machine's disks: those of an OVA, or images in the machine's order. None of them is written to.

    Raises: StepError when one is in use or no image, CommandFailed when QEMU does not know the format.
    """
    for path in paths:
        kind = kind_of(path)
        if kind is FileKind.PACKED:
            raise StepError(f"{path.name} is compressed", hint="unpack it first (gunzip, xz -d, zstd -d, tar x)")
        if kind is FileKind.EMPTY:
            raise StepError(f"{path.name} is empty", hint="it was cut, or not copied yet: get it again")
        if kind is FileKind.OVA and len(paths) > 1:
            raise StepError(f"{path.name} is an OVA", hint="an OVA is a whole machine: name it alone")
    if len(paths) == 1:
        return await image_disks(paths[0], tools.images, tools.scratch / "unpacked", tools.emit)
    return await named_disks(paths, tools.images, tools.emit)


async def readable_disks(paths: tuple[Path, ...], tools: ImageTools) -> list[ApplianceDisk]:
    """As ``disks_of``, in formats that our own readers know."""
    return await readable(await disks_of(paths, tools), tools)


async def readable(disks: Sequence[SealedDisk], tools: ImageTools) -> list[ApplianceDisk]:
    """Those of *disks* that our own readers don't know are converted, once, into the scratch folder."""
    found = []
    for disk in disks:
        if disk.format in READ_HERE:
            found.append(ApplianceDisk(disk.path, disk.format, disk.id))
            continue
        copy = tools.scratch / f"{disk.id}.qcow2"
        await tools.images.convert(disk.path, copy, source_format=disk.format, format="qcow2")
        found.append(ApplianceDisk(copy, "qcow2", disk.id))
    return found
