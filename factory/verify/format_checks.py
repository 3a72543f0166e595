"""Is each delivered file a whole file of its format? Asked of the file alone, without booting it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import lzma
import re
import struct
import tarfile
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from factory.disk.references import HEAD, format_of, references
from factory.disk.trust import self_contained
from factory.drivers.protocols import DiskImages
from factory.errors import FactoryError, StepError
from factory.opening import open_content, require_content
from factory.outputs.lint_ova import lint_ova
from factory.outputs.model import Exported, Exports
from factory.outputs.unpack import refuse_references_in

_CHECKED_BY_QEMU = frozenset({"qcow2", "vmdk", "vhdx"})
_BROKEN = (
    FactoryError, OSError, ValueError, LookupError, TypeError, tarfile.TarError, ET.ParseError, EOFError, zlib.error,
    lzma.LZMAError, struct.error, RecursionError,
)  # fmt: skip
"""What readers raise for files that are damaged, or not what they should be."""
_BMAP_SUM = re.compile(rb"<BmapFileChecksum>\s*([0-9a-f]{64})\s*</BmapFileChecksum>")
_RAW_HEADS = {".gz": b"\x1f\x8b", ".xz": b"\xfd7zXZ\0", ".zst": b"\x28\xb5\x2f\xfd"}


async def wrong_with_formats(exports: Exports, folder: Path, images: DiskImages) -> list[str]:
    """What is wrong with the files of an artifact in *folder*, each in words; empty when they are as they should be."""
    found = []
    for file in exports.files:
        path = folder / file.path
        try:
            await asyncio.to_thread(require_content, path)
            referring = await asyncio.to_thread(_referring, file, path)
            found += [f"{file.path}: {problem}" for problem in referring]
            if file.format in _CHECKED_BY_QEMU and not referring:  # QEMU would follow them
                await images.check(path, format=file.format)
            found += [f"{file.path}: {problem}" for problem in await asyncio.to_thread(_look, file, path)]
        except _BROKEN as error:
            found.append(f"{file.path}: {error}")
    return list(dict.fromkeys(found))


def _referring(file: Exported, path: Path) -> list[str]:
    """What the file itself refers to, and each disk that the manifest says is inside."""
    try:
        if file.format in _CHECKED_BY_QEMU:
            self_contained(path, file.format)
        for part in file.parts:
            refuse_references_in(path, part)
    except StepError as error:
        return [error.message]
    return []


def _others(tar: tarfile.TarFile) -> Iterator[str]:
    """What the members of a box or a layer refer to, whatever the manifest says that they are."""
    for member in tar.getmembers():
        stream = tar.extractfile(member) if member.isreg() else None
        if stream is not None:
            head = stream.read(HEAD)
            yield from (f"{member.name} refers to another file: {r}" for r in references(head, format_of(head)))


def _look(file: Exported, path: Path) -> Iterator[str] | list[str]:
    look = {
        "ova": _ova, "bmap": _bmap, "vhd": _vhd, "vagrant": _box, "vagrant-catalog": _catalog, "gce": _gce,
        "containerdisk": _oci, "raw": _raw,
    }.get(file.format)  # fmt: skip
    return list(look(file, path)) if look else []


def _ova(file: Exported, path: Path) -> Iterator[str]:
    for verdict in lint_ova(path):
        yield from verdict.problems


def _raw(file: Exported, path: Path) -> Iterator[str]:
    head = _RAW_HEADS.get(path.suffix)
    if head is not None:
        with path.open("rb") as stream:
            if stream.read(len(head)) != head:
                yield f"it does not begin as a {path.suffix} file does"
    elif path.stat().st_size != file.virtual_size:
        yield f"it has {path.stat().st_size} bytes, and the disk has {int(file.virtual_size)}"


def _bmap(file: Exported, path: Path) -> Iterator[str]:
    content = path.read_bytes()
    ET.fromstring(content)
    match = _BMAP_SUM.search(content)
    if match is None:
        yield "it has no checksum of its own"
    elif hashlib.sha256(content.replace(match[1], b"0" * 64)).hexdigest() != match[1].decode():
        yield "its own checksum is not right"


def _vhd(file: Exported, path: Path) -> Iterator[str]:
    size = path.stat().st_size - 512
    with path.open("rb") as stream:
        stream.seek(max(size, 0))
        footer = bytearray(stream.read(512))
    if size % 2**20:
        yield "its disk is no whole number of MiB, which Azure refuses"
    if footer[:8] != b"conectix":
        yield "it has no footer"
        return
    declared, current = struct.unpack_from(">I", footer, 64)[0], struct.unpack_from(">Q", footer, 48)[0]
    footer[64:68] = bytes(4)
    if declared != ~sum(footer) & 0xFFFFFFFF:
        yield "its footer's checksum is not right"
    if current != size:
        yield f"its footer says {current} bytes, and the disk has {size}"


def _box(file: Exported, path: Path) -> Iterator[str]:
    with tarfile.open(path, "r:*") as tar:
        names = set(tar.getnames())
        if "metadata.json" not in names:
            yield "it has no metadata.json"
            return
        stream = tar.extractfile("metadata.json")
        metadata = json.loads(stream.read() if stream else b"")
        yield from _others(tar)
    wanted = {"box.ovf"} if metadata["provider"] == "virtualbox" else set()
    wanted |= {part.name for part in file.parts}
    yield from (f"it has no {name}" for name in sorted(wanted - names))


def _catalog(file: Exported, path: Path) -> Iterator[str]:
    for version in json.loads(path.read_bytes())["versions"]:
        for provider in version["providers"]:
            box = path.with_name(provider["url"])
            with open_content(box) as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != provider["checksum"]:
                    yield f"its checksum of {box.name} is not right"


def _gce(file: Exported, path: Path) -> Iterator[str]:
    with tarfile.open(path, "r:gz") as tar:
        member = tar.next()
    if member is None or member.name != "disk.raw":
        yield "its first file is not disk.raw"
    elif member.size % 2**30:
        yield "its disk is no whole number of GiB, which Google refuses"


def _oci(file: Exported, path: Path) -> Iterator[str]:
    with tarfile.open(path, "r:") as tar:
        for member in tar.getmembers():
            kind, _, digest = member.name.removeprefix("blobs/").partition("/")
            stream = tar.extractfile(member)
            if member.name.startswith("blobs/") and stream is not None:
                actual = hashlib.file_digest(stream, kind).hexdigest()  # type: ignore[arg-type]
                if actual != digest:
                    yield f"the blob {digest[:12]} is not what its name says"
                yield from _in_layer(stream)
        index = tar.extractfile("index.json")
        for manifest in json.loads(index.read() if index else b"")["manifests"]:
            name = "blobs/" + manifest["digest"].replace(":", "/")
            if name not in tar.getnames():
                yield f"it has no {name}"


def _in_layer(stream: IO[bytes]) -> Iterator[str]:
    """A blob that is no tar is a document."""
    stream.seek(0)
    with suppress(tarfile.ReadError), tarfile.open(fileobj=stream, mode="r:*") as layer:
        yield from _others(layer)
