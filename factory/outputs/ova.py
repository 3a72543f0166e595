"""OVA: one tar of descriptor, manifest and disks, in the order that readers of a stream need."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from factory.outputs import ovf, products, usage
from factory.outputs.model import Exported, Meter, Part, SealedDisk, Work
from factory.outputs.ovf import OvfDisk, OvfSystem
from factory.outputs.stream import CHUNK, HashingWriter, hashing
from factory.quantity import Size
from factory.template.output_options import Ova

_USTAR_LIMIT = 8 * 2**30
_EPOCH = 315532800  # 1980-01-01: some readers take a time before that for a damaged header


async def export_ova(options: Ova, work: Work) -> list[Exported]:
    adapter = "ide" if options.controller == "ide" else "lsilogic"
    disks = [await products.stream_optimized(work, disk, adapter) for disk in work.disks]
    system = OvfSystem(
        name=work.name,
        hardware=work.hardware,
        controller=options.controller,
        network=options.network,
        hardware_version=options.hardware_version,
        os_type=options.os_type,
        product=options.product,
        vendor=options.vendor,
        version=options.version,
    )
    destination = work.staging / f"{work.name}.ova"
    names = [f"{work.name}-disk{number}.vmdk" for number in range(1, len(disks) + 1)]

    def write(meter: Meter) -> tuple[str, list[Part]]:
        digests = {p: work.digests[p] for p in disks} if options.manifest == "sha256" else {}
        if options.manifest == "sha1":
            digests = {p: _sha1(p) for p in disks}
        text = ovf.descriptor(system, _described(work.disks, disks, names))
        members: list[tuple[str, bytes | Path]] = [(f"{work.name}.ovf", text)]
        if options.manifest != "none":
            listed = [(f"{work.name}.ovf", hashlib.new(options.manifest, text).hexdigest())]
            listed += [(name, digests[p]) for name, p in zip(names, disks, strict=True)]
            members.append((f"{work.name}.mf", ovf.manifest(listed, options.manifest)))
        members += list(zip(names, disks, strict=True))
        with hashing(destination) as out:
            offsets = write_tar(out, members, meter)
            digest = out.hexdigest()
        parts = [
            Part(disk.id, name, "vmdk", offsets[name], path.stat().st_size)
            for disk, name, path in zip(work.disks, names, disks, strict=True)
        ]
        return digest, parts

    async with work.slots:
        digest, parts = await work.in_thread("ova", write)
    work.digests[destination] = digest
    total = Size(sum(d.virtual_size for d in work.disks))
    words = usage.of_ova(destination.name, work.name, work.hardware)
    return [await work.exported(destination, "ova", virtual_size=total, usage=words, parts=tuple(parts))]


def _described(disks: Sequence[SealedDisk], files: Sequence[Path], names: Sequence[str]) -> list[OvfDisk]:
    return [
        OvfDisk(name, path.stat().st_size, Size(disk.virtual_size))
        for disk, path, name in zip(disks, files, names, strict=True)
    ]


def _sha1(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha1").hexdigest()


def write_tar(
    out: HashingWriter,
    members: Sequence[tuple[str, bytes | Path]],
    meter: Callable[[int, int], None],
    *,
    owner: int = 0,
) -> dict[str, int]:
    """Writes a plain tar (ustar; GNU for long names and large members), same bytes for same contents.

    Gives the offsets of the members' data.
    """
    sizes = [len(m) if isinstance(m, bytes) else m.stat().st_size for _, m in members]
    total, offsets = sum(sizes), {}
    beyond = max(sizes) >= _USTAR_LIMIT or any(len(os.fsencode(name)) > tarfile.LENGTH_NAME for name, _ in members)
    with tarfile.open(
        fileobj=out,
        mode="w",
        format=tarfile.GNU_FORMAT if beyond else tarfile.USTAR_FORMAT,
    ) as tar:
        for (name, content), size in zip(members, sizes, strict=True):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = size, _EPOCH, 0o644
            info.uid = info.gid = owner
            header = info.tobuf(tar.format or tarfile.USTAR_FORMAT, tar.encoding or "utf-8", "surrogateescape")
            offsets[name] = out.tell() + len(header)
            stream = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
            with stream:
                tar.addfile(info, _Metered(stream, meter, total, out))
    return offsets


class _Metered:
    """A file that reports how far its tar is, each time it is read."""

    def __init__(
        self, stream: io.BytesIO | io.BufferedReader, meter: Callable[[int, int], None], total: int, out: HashingWriter
    ) -> None:
        self._stream, self._meter, self._total, self._out = stream, meter, total, out

    def read(self, size: int = -1) -> bytes:
        self._meter(min(self._out.tell(), self._total), self._total)
        return self._stream.read(min(size, CHUNK) if size > 0 else size)
