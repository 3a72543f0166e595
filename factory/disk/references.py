"""What format an image has and which other files it refers to, read from its head before QEMU opens it.

QEMU follows what an image names: the backing file of a qcow2, the extents of a VMDK's descriptor. In an image that
somebody else has made these may be any file of the host, which would then be copied into the result.

Sources: QEMU's ``docs/interop/qcow2.txt``, ``docs/interop/qed_spec.txt`` and ``block/vmdk.c`` (what it reads, which
is not always what the specification says); VMware, "Virtual Disk Format 5.0".
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from factory.disk.parents import VHDX_HEAD, parent_of
from factory.opening import open_content

HEAD = 64 * 1024
"""Bytes of an image that ``format_of`` and ``references`` want to see; of a VHDX, ``VHDX_HEAD``."""
_MAGICS = (
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"QED\0", "qed"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"Bochs Virtual HD Image", "bochs"),
)
_SECTOR = 512
_DESCRIPTOR_AT, _DESCRIPTOR = 0x200, 20 * 512  # where and how much QEMU reads of it, whatever the header says
_EXTENT = re.compile(rb'(?:RW|RDONLY|NOACCESS)\s+[-+]?\d+\s*([^\s"]+)(?:\s*"([^"\r\n]*))?')
_PARENT = re.compile(rb'parentFileNameHint[ \t]*=?[ \t]*"?([^"\n\0]*)')
_PARENT_ID = re.compile(rb"^[ \t]*parentCID[ \t]*=[ \t]*([0-9a-fA-F]+)", re.M)
_NO_PARENT = 0xFFFFFFFF
_EXTERNAL_DATA = 1 << 2  # qcow2's incompatible feature
_BACKING_FORMAT, _DATA_FILE = 0xE2792ACA, 0x44415441  # qcow2's header extensions
BACKING, DATA, EXTENT, PARENT = "the backing file", "the data file", "the extent", "the parent"
DESCRIPTOR = "a descriptor of other files"
_FLAT = frozenset({b"FLAT", b"VMFS"})


@dataclass(frozen=True, slots=True)
class Reference:
    """One file that an image needs besides itself.

    ``name`` as it stands in the image, empty where it is not known; ``format`` empty where QEMU would guess it.
    ``followed`` is False where QEMU does not look there: it takes what should come from it for zeros.
    """

    what: str
    name: str
    format: str = ""
    followed: bool = True

    def __str__(self) -> str:
        return f"{self.what} {self.name!r}" if self.name else self.what


def read_head(path: Path) -> bytes:
    """Raises: OSError."""
    with open_content(path) as stream:
        head = stream.read(HEAD)
        return head + stream.read(VHDX_HEAD - HEAD) if format_of(head) == "vhdx" else head


def format_of(head: bytes) -> str:
    """QEMU's name for the format of an image that begins with *head*; "raw" for what has no mark of another one."""
    if head[:4] == b"QFI\xfb" and len(head) >= 8:
        return "qcow" if head[4:8] == b"\0\0\0\1" else "qcow2"
    found = next((format for at, magic, format in _MAGICS if head[at : at + len(magic)] == magic), "")
    return found or ("vmdk" if _is_descriptor(head) else "raw")


def _is_descriptor(head: bytes) -> bool:
    """As QEMU's ``vmdk_probe``: comments and empty lines, then the version."""
    for line in head.split(b"\n"):
        text = line.rstrip(b"\r")
        if text.startswith(b"#") or not text.strip(b" "):
            continue
        return text in (b"version=1", b"version=2", b"version=3")
    return head.startswith(b"# Disk DescriptorFile")


def references(head: bytes, format: str) -> tuple[Reference, ...]:
    """Every other file that an image of *format* that begins with *head* needs, whether QEMU would open it or not.

    A raw image has none. Raises: ValueError when it does not begin as that format does.
    """
    if format == "raw":
        return ()
    found = format_of(head)
    if found != format and not (format == "vpc" and found == "raw"):  # a fixed VHD has its mark at its end
        raise ValueError(f"it does not begin as a {format} does")
    try:
        if format in ("qcow", "qcow2"):
            return _of_qcow2(head)
        if format == "qed":
            return _of_qed(head)
        parent = parent_of(head, format) if found == format else None
    except struct.error:
        raise ValueError(f"it is too short for a {format}") from None
    if parent is not None:
        return (Reference(PARENT, parent, followed=False),)
    return _of_vmdk(head) if format == "vmdk" else ()


def _of_qcow2(head: bytes) -> tuple[Reference, ...]:
    version, offset, length = struct.unpack_from(">IQI", head, 4)
    found = []
    if offset:
        format = _extension(head, version, _BACKING_FORMAT)
        found.append(Reference(BACKING, _text(head[offset : offset + length]), format))
    if version >= 3 and struct.unpack_from(">Q", head, 72)[0] & _EXTERNAL_DATA:
        found.append(Reference(DATA, _extension(head, version, _DATA_FILE), "raw"))
    return tuple(found)


def _extension(head: bytes, version: int, wanted: int) -> str:
    """The text of a header extension of qcow2; empty when it is not there."""
    at = struct.unpack_from(">I", head, 100)[0] if version >= 3 else 72
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == wanted:
            return _text(head[at + 8 : at + 8 + length])
        if kind == 0:
            break
        at += 8 + -(-length // 8) * 8
    return ""


def _of_qed(head: bytes) -> tuple[Reference, ...]:
    features = struct.unpack_from("<Q", head, 16)[0]
    offset, length = struct.unpack_from("<II", head, 56)
    format = "raw" if features & 4 else ""  # QED_F_BACKING_FORMAT_NO_PROBE
    return (Reference(BACKING, _text(head[offset : offset + length]), format),) if features & 1 else ()


def _of_vmdk(head: bytes) -> tuple[Reference, ...]:
    if head[:4] not in (b"KDMV", b"COWD"):
        return _of_descriptor(head, sparse=False) or (Reference(DESCRIPTOR, ""),)
    text = head[_DESCRIPTOR_AT : _DESCRIPTOR_AT + _DESCRIPTOR]
    if head[:4] == b"COWD":
        return _of_descriptor(text, sparse=True)
    capacity, _, offset, sectors = struct.unpack_from("<QQQQ", head.ljust(_SECTOR, b"\0"), 12)
    start, end = offset * _SECTOR, (offset + sectors) * _SECTOR
    if start > len(head) or not capacity:
        # Without a capacity QEMU takes the descriptor for one of other files; one far from the head nobody writes.
        return (Reference(DESCRIPTOR, ""),)
    return tuple(dict.fromkeys(_of_descriptor(text, sparse=True) + _of_descriptor(head[start:end], sparse=True)))


def _of_descriptor(text: bytes, *, sparse: bool) -> tuple[Reference, ...]:
    """Of a VMDK's descriptor; *sparse*: it lies in the one extent that it describes, whatever that is called there."""
    text = text.partition(b"\0")[0]  # behind it lies data
    extents = _EXTENT.findall(text)
    if sparse and len(extents) == 1 and extents[0][0] == b"SPARSE":
        extents = []
    found = [
        Reference(EXTENT, _text(name), "raw" if kind in _FLAT else "") for kind, name in extents if kind != b"ZERO"
    ]
    parent, parent_id = _PARENT.search(text), _PARENT_ID.search(text)
    if parent:
        found.append(Reference(PARENT, _text(parent[1])))
    elif parent_id and int(parent_id[1], 16) != _NO_PARENT:
        found.append(Reference(PARENT, ""))
    return tuple(found)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
