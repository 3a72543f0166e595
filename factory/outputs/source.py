"""Takes anybody's image as a source for outputs: a disk image of any format that QEMU reads, or an OVA."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from factory.disk.references import format_of, read_head
from factory.disk.trust import read_besides, refuse_references
from factory.drivers.protocols import DiskImages
from factory.errors import StepError
from factory.events import Emit, Note, ignore
from factory.outputs.lint_ova import judge
from factory.outputs.ova_package import OvaPackage, attribute, is_package, open_package, opened_tar
from factory.outputs.stream import CHUNK
from factory.plan.resources import SealedDisk

_MUST_HOLD = ("distinct-names", "manifest-digests", "well-formed", "references", "self-contained")
_DECLARED = (
    # What `ovf:format` of a disk says, a URI, of what is no VMDK (DSP0243, *DiskSection*, and what products write).
    ("qcow2", re.compile(r"qcow", re.I)),
    ("vhdx", re.compile(r"vhdx", re.I)),
    ("vpc", re.compile(r"vhd|LinkId=137171", re.I)),
    ("raw", re.compile(r"\braw\b|wiki/Byte\b", re.I)),
)


async def image_disks(path: Path, images: DiskImages, scratch: Path, emit: Emit = ignore) -> list[SealedDisk]:
    """The disks in *path*, the one that boots first; those of an OVA are unpacked into *scratch*.

    Raises: StepError when an OVA is damaged or a disk of it refers to other files, CommandFailed when QEMU does not
    take a disk for what it should be.
    """
    if not is_package(path):
        return await named_disks([path], images, emit)
    disks = []
    for number, (file, format) in enumerate(await asyncio.to_thread(_unpack, path, scratch), 1):
        info = await images.info(file, format=format)
        disks.append(SealedDisk(f"disk{number}", file, format, info.virtual_size))
    return disks


async def named_disks(paths: Sequence[Path], images: DiskImages, emit: Emit) -> list[SealedDisk]:
    """Images that the user has named, in the machine's order. *emit* is told of other files that they stand on.

    Raises: StepError when one refers to what is no file, or not there.
    """
    disks = []
    for number, path in enumerate(paths, 1):
        format, others = await asyncio.to_thread(read_besides, path)
        if others:
            emit(Note(f"{path.name} does not hold its whole disk: {', '.join(map(str, others))} is read, too"))
        info = await images.info(path, format=format)
        disks.append(SealedDisk("main" if len(paths) == 1 else f"disk{number}", path, format, info.virtual_size))
    return disks


def _unpack(path: Path, scratch: Path) -> list[tuple[Path, str]]:
    """Files and their formats."""
    package = open_package(path)
    for verdict in judge(package):
        if verdict.rule in _MUST_HOLD and not verdict.ok:
            raise StepError(f"{path.name}: {verdict.problems[0]}", hint=f"{verdict.why}; get it again from its source")
    scratch.mkdir(parents=True, exist_ok=True)
    files = []
    with opened_tar(path) as tar:
        for number, (name, declared) in enumerate(_disks(package), 1):
            target = scratch / f"disk{number}.image"
            with target.open("wb") as out:
                for member in package.pieces(name):
                    stream = tar.extractfile(member)
                    if stream is not None:
                        shutil.copyfileobj(stream, out, CHUNK)
            files.append((target, _format(target, declared, f"{name!r} in {path.name}")))
    if not files:
        raise StepError(f"{path.name} holds no disks", hint="is it an OVA of a virtual machine?")
    return files


def _disks(package: OvaPackage) -> list[tuple[str, str]]:
    """Files of disks and what the descriptor calls their formats, in the order of its disks."""
    files = package.files()
    return [
        (attribute(files[attribute(d, "fileRef")], "href"), attribute(d, "format"))
        for d in package.elements("Disk")
        if attribute(d, "fileRef") in files
    ]


def _format(file: Path, declared: str, name: str) -> str:
    """A sparse VMDK by its mark; another format only where the descriptor says so: QEMU's own guess may be deceived.

    Raises: StepError for another one, and for an image that refers to other files.
    """
    head = read_head(file)
    format = "vmdk" if head[:4] == b"KDMV" else next((f for f, uri in _DECLARED if uri.search(declared)), "")
    if not format:
        raise StepError(
            f"{name} is no sparse VMDK but begins as a {format_of(head)} does",
            hint="the descriptor must say so (ovf:format of the disk); get it again from its source",
        )
    refuse_references(head, format, name)
    return format
