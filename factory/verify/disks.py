"""The disks of delivered files as QEMU can read them where they lie, and throw-away overlays on them."""

from __future__ import annotations

import asyncio
import json
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers.protocols import ApplianceDisk, ApplianceDriver, DiskAccess, DiskImages
from factory.errors import StepError
from factory.events import Emit
from factory.outputs.model import Exported, Part
from factory.outputs.unpack import refuse_references_in, unpack
from factory.quantity import Size
from factory.seal.layout import inspect
from factory.verify.let_in import write_key

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError)
SMALL_CLUSTERS = {"cluster_size": "4096"}
"""An overlay that changes a file hides as little as can be of the image below it."""


@dataclass(frozen=True, slots=True)
class Base:
    """One disk of a delivered file. ``backing`` is what QEMU opens, ``size`` what a guest sees."""

    disk: str
    backing: str
    format: str
    size: Size


def backing_of(file: Path, part: Part) -> str:
    """The part as QEMU's ``json:`` name: inside of an archive by offset, else the whole file."""
    inner: dict[str, object] = {"driver": "file", "filename": str(file)}
    if part.length:
        inner = {"driver": "raw", "offset": part.offset, "size": part.length, "file": inner}
    return "json:" + json.dumps({"driver": part.format, "file": inner}, separators=(",", ":"))


async def bases(files: Sequence[Exported], folder: Path, scratch: Path, images: DiskImages) -> list[Base]:
    """The disks in *files* below *folder*; what is compressed is unpacked into *scratch* first.

    What is written is called by number, never by what the artifact calls it.

    Raises: StepError when it can't be unpacked or refers to another file, CommandFailed when QEMU does not take it for
    what it should be.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    found: list[Base] = []
    for file in files:
        for part in file.parts:
            path = (folder / file.path).absolute()
            inside = part
            if part.packing:
                target = (scratch / f"disk{len(found)}.{part.format}").absolute()
                try:
                    await asyncio.to_thread(unpack, path, part, target)
                except _BROKEN as error:
                    raise StepError(f"{path.name} can't be unpacked: {error}", hint="copy it again") from error
                path, inside = target, Part(part.disk, target.name, part.format)
            await asyncio.to_thread(refuse_references_in, path, inside)
            backing = backing_of(path, inside)
            probe = scratch / f"disk{len(found)}-size.qcow2"
            await images.create(probe, size=None, backing=backing, backing_format=part.format)
            size = (await images.info(probe, format="qcow2")).virtual_size
            probe.unlink()
            found.append(Base(part.disk, backing, part.format, size))
    return found


async def admit(
    disks: Sequence[Base], folder: Path, *, user: str, public_key: str, images: DiskImages, driver: ApplianceDriver,
    runtime_dir: Path, deadline: Deadline, emit: Emit,
) -> Mapping[str, Path]:  # fmt: skip
    """Overlays in which *user* may log in by *public_key*: the image itself lets nobody in.

    All formats hold the same disk, so the overlays of one fit on each of them. Raises: HostError without libguestfs,
    NoSuchUser.
    """
    folder.mkdir(parents=True, exist_ok=True)
    overlays = {}
    for number, base in enumerate(disks):
        overlays[base.disk] = folder / f"disk{number}.qcow2"
        await images.create(
            overlays[base.disk], size=None, backing=base.backing, backing_format=base.format, options=SMALL_CLUSTERS
        )
    async with driver.launch(
        [ApplianceDisk(path, "qcow2") for path in overlays.values()],
        access=DiskAccess.READ_WRITE, runtime_dir=runtime_dir, deadline=deadline, emit=emit,
    ) as appliance:  # fmt: skip
        await inspect(appliance)  # finds the file systems and mounts them
        await write_key(appliance, user, public_key)
    return overlays


async def overlays(
    disks: Sequence[Base], admitted: Mapping[str, Path], folder: Path, images: DiskImages, larger: Size
) -> dict[str, Path]:
    """One throw-away overlay for each disk; the first is made larger by *larger*."""
    made = {}
    for number, base in enumerate(disks):
        overlay = folder / f"disk{number}.qcow2"
        if base.disk in admitted:
            await asyncio.to_thread(shutil.copyfile, admitted[base.disk], overlay)
            await images.rebase(overlay, base.backing, base.format)
        else:
            await images.create(overlay, size=None, backing=base.backing, backing_format=base.format)
        wanted = Size(base.size + (larger if number == 0 else 0))
        if (await images.info(overlay, format="qcow2")).virtual_size != wanted:
            await images.resize(overlay, wanted)
        made[base.disk] = overlay
    return made
