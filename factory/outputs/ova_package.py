"""Anyone's OVA, opened for judging: its tar, its descriptor, its manifest and the heads and ends of its disks."""

from __future__ import annotations

import hashlib
import lzma
import re
import struct
import tarfile
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from factory.disk.references import HEAD, format_of, references
from factory.errors import StepError
from factory.opening import open_content, require_content

OVF_SPACE = "http://schemas.dmtf.org/ovf/envelope/1"
_HASH = re.compile(r"(\S+?)\s*\((.*)\)\s*=\s*([0-9a-fA-F]+)\s*\Z")
_CHUNK = 4 * 2**20
_TEXT = 8 * 2**20
"""No descriptor or manifest is larger."""
_DIGESTS = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
_USTAR = 257, b"ustar"
_NO_TAR = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, ArithmeticError, OSError)
"""What tarfile raises for what is none: damaged numbers and compressed streams raise errors of their own."""
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
    needs: dict[str, str] = field(default_factory=dict)
    """Disks that are not whole in themselves, and what they refer to."""
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    """(member, algorithm) → hex digest, for what the manifest lists."""

    @property
    def names(self) -> list[str]:
        return [m.name for m in self.members]

    def pieces(self, name: str) -> list[tarfile.TarInfo]:
        """The members that make up a file: one, or chunks ``name.000000000`` and on, as vCenter writes them."""
        whole = [m for m in self.members if is_file(m) and plain_name(m) == name]
        return whole[:1] or self.chunks(name)

    def chunks(self, name: str) -> list[tarfile.TarInfo]:
        return sorted(
            (m for m in self.members if is_file(m) and plain_name(m) != name and file_name(m) == name), key=plain_name
        )

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


def is_file(member: tarfile.TarInfo) -> bool:
    """A sparse member is none: a few bytes of it can make a file that fills the disk."""
    return member.isreg() and not member.issparse()


def plain_name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def file_name(member: tarfile.TarInfo) -> str:
    """The name of the file that a member is, or is a chunk of."""
    return re.sub(r"\.[0-9]{9}\Z", "", plain_name(member))


def attribute(element: ET.Element, name: str) -> str:
    """An attribute by local name."""
    return next((v for k, v in element.attrib.items() if k.rsplit("}", 1)[-1] == name), "")


def is_package(path: Path) -> bool:
    """Whether it is an OVA, by its name or its content. Raises: OSError."""
    with open_content(path) as stream:
        head = stream.read(_USTAR[0] + len(_USTAR[1]))
    return path.suffix.lower() == ".ova" or head[_USTAR[0] :] == _USTAR[1]


@contextmanager
def opened_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Raises: StepError when it is no tar, or becomes none where it is read."""
    try:
        require_content(path)
        with tarfile.open(path, "r:*") as tar:
            yield tar
    except _NO_TAR as error:
        if isinstance(error, OSError) and error.errno:  # the host's own: a full disk, a file that is gone
            raise
        why = str(error).partition("\n")[0].rstrip(":")  # one line for each way of packing follows
        raise StepError(f"{path} is no OVA: {why}", hint="an OVA is a tar of an .ovf file and its disks") from error


def open_package(path: Path) -> OvaPackage:
    """Reads all but the disks' contents, which are only hashed. Blocking. Raises: StepError for what is no tar."""
    try:
        with open_content(path) as raw:
            head = raw.read(6)
    except OSError as error:
        raise StepError(f"{path} can't be read: {error.strerror}") from error
    compressed = head[:2] == b"\x1f\x8b" or head[:6] == b"\xfd7zXZ\0" or head[:3] == b"BZh"
    with opened_tar(path) as tar:
        members = tar.getmembers()
        package = OvaPackage(path, compressed, members)
        for member in members:
            if is_file(member) and member.name.lower().endswith(".ovf") and not package.descriptor_name:
                package.descriptor_name, package.descriptor = member.name, _read(tar, member)
            elif is_file(member) and member.name.lower().endswith(".mf") and not package.manifest_name:
                package.manifest_name = member.name
                package.manifest = parse_manifest(_read(tar, member).decode("utf-8", "replace"))
        package.envelope = _envelope(package.descriptor)
        for name in _disk_files(package):
            _look(tar, package, name)
        _hash(tar, package)
    return package


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _TEXT:
        raise StepError(f"{member.name!r} has {member.size} bytes", hint="no descriptor is so long: is it an OVA?")
    stream = tar.extractfile(member)
    return stream.read() if stream is not None else b""


def _envelope(descriptor: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(descriptor) if descriptor else None
    except (ET.ParseError, ValueError, LookupError):  # the latter two: an encoding that nobody knows
        return None


def _disk_files(package: OvaPackage) -> list[str]:
    """What is called a VMDK, and what the descriptor calls a disk."""
    names = [n for n in map(file_name, filter(is_file, package.members)) if n.lower().endswith(".vmdk")]
    files = package.files()
    declared = [files[i] for i in (attribute(d, "fileRef") for d in package.elements("Disk")) if i in files]
    return list(dict.fromkeys([*names, *(n for n in (attribute(f, "href") for f in declared) if package.pieces(n))]))


def parse_manifest(text: str) -> list[ManifestLine]:
    lines = []
    for line in text.splitlines():
        match = _HASH.match(line)
        if match:
            lines.append(ManifestLine(line, match[1], match[2], match[3].lower()))
        elif line.strip():
            lines.append(ManifestLine(line))
    return lines


def _look(tar: tarfile.TarFile, package: OvaPackage, name: str) -> None:
    """At the head and the end of a disk."""
    pieces, head = package.pieces(name), b""
    for piece in pieces:
        stream = tar.extractfile(piece)
        if stream is not None and len(head) < HEAD:
            head += stream.read(HEAD - len(head))
    others = _others(head)
    if others:
        package.needs[name] = others
    last = tar.extractfile(pieces[-1])
    package.disks[name] = None
    if last is not None and pieces[0].size >= 1024 and pieces[-1].size >= 512:
        last.seek(pieces[-1].size - 512)
        package.disks[name] = _facts(head, last.read(512))


def _others(head: bytes) -> str:
    """What a disk that begins so refers to; what can't be read may refer to anything."""
    try:
        return ", ".join(map(str, references(head, format_of(head))))
    except ValueError as error:
        return f"nobody knows what: {error}"


def sparse_vmdk(path: Path) -> VmdkFacts | None:
    """Of a VMDK in one file; None when it is none, or its data lies in other files."""
    with open_content(path) as stream:
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
        if not pieces or algorithm not in _DIGESTS or (line.name, line.algorithm) in package.digests:
            continue
        digest = hashlib.new(algorithm)
        for member in pieces:
            stream = tar.extractfile(member)
            while stream is not None and (chunk := stream.read(_CHUNK)):
                digest.update(chunk)
        package.digests[line.name, line.algorithm] = digest.hexdigest()
