"""Takes anybody's image as a source for outputs: a disk image of any format that QEMU reads, or an OVA."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from pathlib import Path

from factory.drivers.protocols import DiskImages
from factory.errors import StepError
from factory.outputs.lint_ova import judge
from factory.outputs.ova_package import OvaPackage, attribute, open_package
from factory.outputs.stream import CHUNK
from factory.plan.resources import SealedDisk

_MUST_HOLD = ("manifest-digests", "well-formed", "references")


async def image_disks(path: Path, images: DiskImages, scratch: Path) -> list[SealedDisk]:
    """The disks in *path*, the one that boots first; those of an OVA are unpacked into *scratch*.

    Raises: StepError when an OVA is damaged, CommandFailed when QEMU does not know the format.
    """
    if path.suffix.lower() in {".ova", ".ovf.tar"}:
        files = await asyncio.to_thread(_unpack, path, scratch)
        named = [(f"disk{number}", file) for number, file in enumerate(files, 1)]
    else:
        named = [("main", path)]
    disks = []
    for name, file in named:
        info = await images.info(file)
        disks.append(SealedDisk(name, file, info.format, info.virtual_size))
    return disks


def _unpack(path: Path, scratch: Path) -> list[Path]:
    package = open_package(path)
    for verdict in judge(package):
        if verdict.rule in _MUST_HOLD and not verdict.ok:
            raise StepError(f"{path.name}: {verdict.problems[0]}", hint=f"{verdict.why}; get it again from its source")
    scratch.mkdir(parents=True, exist_ok=True)
    files = []
    with tarfile.open(path, "r:*") as tar:
        for number, name in enumerate(_disk_names(package), 1):
            target = scratch / f"disk{number}.vmdk"
            with target.open("wb") as out:
                for member in package.pieces(name):
                    stream = tar.extractfile(member)
                    if stream is not None:
                        shutil.copyfileobj(stream, out, CHUNK)
            files.append(target)
    if not files:
        raise StepError(f"{path.name} holds no disks", hint="is it an OVA of a virtual machine?")
    return files


def _disk_names(package: OvaPackage) -> list[str]:
    """Files of disks, in the order of the descriptor's disks."""
    files = package.files()
    wanted = [files[attribute(d, "fileRef")] for d in package.elements("Disk") if attribute(d, "fileRef") in files]
    return [attribute(f, "href") for f in wanted]
