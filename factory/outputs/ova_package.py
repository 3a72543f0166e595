"""Anyone's OVA, opened for judging: its tar, its descriptor, its manifest and the heads and ends of its disks."""

from __future__ import annotations

import hashlib
import re
import struct
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from factory.errors import StepError

OVF_SPACE = "http://schemas.dmtf.org/ovf/envelope/1"
_HASH = re.compile(r"(\S+?)\s*\((.*)\)\s*=\s*([0-9a-fA-F]+)\s*\Z")
_CHUNK = 4 * 2**20
_AT_END = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """One line of the ``.mf`` file; ``text`` as it stands there."""

    text: str
    algorithm: str = ""
    name: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class VmdkFacts:
    """What the header of a sparse VMDK says; ``capacity`` in bytes."""

    version: int
    compressed: bool
    markers: bool
    capacity: int
    has_end_marker: bool
    directory_at_end: bool
    """Then its footer and end marker are what a reader begins with; without them the file was cut."""


@dataclass(slots=True)
class OvaPackage:
    """All that the rules look at."""

    path: Path
    compressed: bool
    members: list[tarfile.TarInfo]
    descriptor_name: str = ""
    descriptor: bytes = b""
    envelope: ET.Element | None = None
    manifest_name: str = ""
    manifest: list[ManifestLine] = field(default_factory=list)
    disks: dict[str, VmdkFacts | None] = field(default_factory=dict)
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    """(member, algorithm) → hex digest, for what the manifest lists."""

    @property
    def names(self) -> list[str]:
        return [m.name for m in self.members]

    def pieces(self, name: str) -> list[tarfile.TarInfo]:
        """The members that make up a file: one, or chunks ``name.000000000`` and on, as vCenter writes them."""
        whole = [m for m in self.members if plain_name(m) == name]
        chunks = [m for m in self.members if re.fullmatch(re.escape(name) + r"\.\d{9}", plain_name(m))]
        return whole[:1] or sorted(chunks, key=lambda m: m.name)

    def size(self, name: str) -> int:
        return sum(m.size for m in self.pieces(name))

    def elements(self, tag: str) -> Iterator[ET.Element]:
        """Elements by local name, whatever namespace a product used."""
        if self.envelope is not None:
            yield from (e for e in self.envelope.iter() if e.tag.rsplit("}", 1)[-1] == tag)

    def files(self) -> Mapping[str, ET.Element]:
        """The descriptor's files, by id."""
        return {attribute(f, "id"): f for f in self.elements("File")}

    def items(self) -> list[dict[str, str]]:
        """The descriptor's devices: local name → text."""
        return [
            {c.tag.rsplit("}", 1)[-1]: (c.text or "").strip() for c in item}
            for tag in ("Item", "StorageItem", "EthernetPortItem")
            for item in self.elements(tag)
        ]


def plain_name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def file_name(member: tarfile.TarInfo) -> str:
    """The name of the file that a member is, or is a chunk of."""
    return re.sub(r"\.\d{9}\Z", "", plain_name(member))


def attribute(element: ET.Element, name: str) -> str:
    """An attribute by local name."""
    return next((v for k, v in element.attrib.items() if k.rsplit("}", 1)[-1] == name), "")


@contextmanager
def _tar(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:*") as tar:
            yield tar
    except tarfile.TarError as error:
        why = str(error).partition("\n")[0].rstrip(":")  # one line for each way of packing follows
        raise StepError(f"{path} is no OVA: {why}", hint="an OVA is a tar of an .ovf file and its disks") from error


def open_package(path: Path) -> OvaPackage:
    """Reads all but the disks' contents, which are only hashed. Blocking. Raises: StepError when it is no tar."""
    with path.open("rb") as raw:
        head = raw.read(6)
    compressed = head[:2] == b"\x1f\x8b" or head[:6] == b"\xfd7zXZ\0" or head[:3] == b"BZh"
    with _tar(path) as tar:
        members = tar.getmembers()
        package = OvaPackage(path, compressed, members)
        for member in members:
            if member.isreg() and member.name.lower().endswith(".ovf") and not package.descriptor_name:
                package.descriptor_name, package.descriptor = member.name, _read(tar, member)
            elif member.isreg() and member.name.lower().endswith(".mf") and not package.manifest_name:
                package.manifest_name = member.name
                package.manifest = parse_manifest(_read(tar, member).decode("utf-8", "replace"))
        try:
            package.envelope = ET.fromstring(package.descriptor) if package.descriptor else None
        except ET.ParseError:
            package.envelope = None
        names = dict.fromkeys(file_name(m) for m in members if m.isreg())
        for name in (n for n in names if n.lower().endswith(".vmdk")):
            package.disks[name] = _vmdk(tar, package.pieces(name))
        _hash(tar, package)
    return package


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream is not None else b""


def parse_manifest(text: str) -> list[ManifestLine]:
    lines = []
    for line in text.splitlines():
        match = _HASH.match(line)
        if match:
            lines.append(ManifestLine(line, match[1], match[2], match[3].lower()))
        elif line.strip():
            lines.append(ManifestLine(line))
    return lines


def _vmdk(tar: tarfile.TarFile, pieces: list[tarfile.TarInfo]) -> VmdkFacts | None:
    first, last = tar.extractfile(pieces[0]), tar.extractfile(pieces[-1])
    if first is None or last is None or pieces[0].size < 1024 or pieces[-1].size < 512:
        return None
    head = first.read(512)
    last.seek(pieces[-1].size - 512)
    return _facts(head, last.read(512))


def sparse_vmdk(path: Path) -> VmdkFacts | None:
    """Of a VMDK in one file; None when it is none, or its data lies in other files."""
    with path.open("rb") as stream:
        head = stream.read(512)
        stream.seek(max(0, path.stat().st_size - 512))
        return _facts(head, stream.read(512))


def _facts(head: bytes, end: bytes) -> VmdkFacts | None:
    if head[:4] != b"KDMV" or len(head) < 512:
        return None
    version, flags, capacity = struct.unpack_from("<IIQ", head, 4)
    directory = struct.unpack_from("<Q", head, 56)[0]
    return VmdkFacts(
        version,
        bool(flags & 1 << 16),
        bool(flags & 1 << 17),
        capacity * 512,
        end == bytes(512),
        directory == _AT_END,
    )


def _hash(tar: tarfile.TarFile, package: OvaPackage) -> None:
    for line in package.manifest:
        pieces = package.pieces(line.name)
        algorithm = line.algorithm.lower().replace("-", "")
        algorithm = {"sha2256": "sha256", "sha2512": "sha512"}.get(algorithm, algorithm)
        if not pieces or not pieces[0].isreg() or algorithm not in hashlib.algorithms_available:
            continue
        digest = hashlib.new(algorithm)
        for member in pieces:
            stream = tar.extractfile(member)
            while stream is not None and (chunk := stream.read(_CHUNK)):
                digest.update(chunk)
        package.digests[line.name, line.algorithm] = digest.hexdigest()
