"""Reads LVM2: which bytes of its physical volumes make up each logical volume, and which belong to none.

Source: lvm2's ``lib/format_text/layout.h`` (label, areas) and what vgcfgbackup(8) writes (the text). Linear volumes
only: what is striped, mirrored or thin is built of hidden linear ones, whose extents count as used.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from factory.disk.reader import DiskReader

_SECTOR = 512
_MAGIC = b" LVM2 x[5A%r0N*>"
_TOKEN = re.compile(r'\s*(?:#[^\n]*\n\s*)*("(?:[^"\\]|\\.)*"|[{}\[\]=,]|[^\s{}\[\]=,#"]+)')


@dataclass(frozen=True, slots=True)
class Stretch:
    """``length`` bytes of the physical volume number ``volume`` (of those that were handed in) from ``offset``."""

    volume: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Group:
    """A volume group: linear volumes by name, and what no volume uses."""

    name: str
    volumes: Mapping[str, tuple[Stretch, ...]]
    free: tuple[Stretch, ...]
    others: tuple[str, ...] = ()
    """Visible volumes that are no plain stretches of the disks."""


class Joined:
    """Stretches of several readers as one."""

    def __init__(self, readers: Sequence[DiskReader], stretches: Sequence[Stretch]) -> None:
        self._parts = [(readers[s.volume], s.offset, s.length) for s in stretches]

    @property
    def size(self) -> int:
        return sum(length for _, _, length in self._parts)

    def extents(self) -> Iterator[tuple[int, int]]:
        start = 0
        for reader, offset, length in self._parts:
            for at, count in reader.extents():
                first, last = max(at, offset), min(at + count, offset + length)
                if first < last:
                    yield start + first - offset, last - first
            start += length

    def read(self, offset: int, length: int) -> bytes:
        pieces, start = [], 0
        for reader, at, size in self._parts:
            first, last = max(offset, start), min(offset + length, start + size)
            if first < last:
                pieces.append(reader.read(at + first - start, last - first))
            start += size
        return b"".join(pieces)


@dataclass(slots=True)
class _Node:
    """A section of the text: its values and its sections, in order."""

    values: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, _Node] = field(default_factory=dict)


def is_physical_volume(reader: DiskReader) -> bool:
    return _label(reader) is not None


def groups(readers: Sequence[DiskReader]) -> list[Group]:
    """The volume groups on *readers* (one for each physical volume; stretches count them from 0).

    A group with a physical volume that is not there, or with text that makes no sense, is left out.
    """
    identities: dict[str, int] = {}
    texts: dict[str, tuple[int, _Node]] = {}
    for number, reader in enumerate(readers):
        for identity, text in _metadata(reader):
            identities[identity] = number
            for name, group in _parse(text).sections.items():
                sequence = group.values.get("seqno", 0)
                if name not in texts or texts[name][0] < sequence:
                    texts[name] = (sequence, group)
    found = []
    for name, (_, node) in texts.items():
        try:
            found.append(_group(name, node, identities))
        except (KeyError, IndexError, TypeError, ValueError):
            continue
    return found


def _label(reader: DiskReader) -> int | None:
    """Where the header of a physical volume begins; None when this is none."""
    head = reader.read(0, 4 * _SECTOR)
    for sector in range(0, len(head), _SECTOR):
        if head[sector : sector + 8] == b"LABELONE" and head[sector + 24 : sector + 32] == b"LVM2 001":
            return sector + int(struct.unpack_from("<I", head, sector + 20)[0])
    return None


def _metadata(reader: DiskReader) -> Iterator[tuple[str, str]]:
    """``(identity, text)`` of a physical volume; the text is empty where it keeps no copy."""
    start = _label(reader)
    if start is None:
        return
    header = reader.read(start, 4 * _SECTOR)
    identity, areas = header[:32].decode("ascii", "replace"), list(_areas(header, 40))
    at = 40 + 16 * (len(areas) + 1)
    copies = [_text(reader, offset) for offset in _areas(header, at)]
    yield identity, max(copies, key=len, default="")


def _areas(header: bytes, at: int) -> Iterator[int]:
    """Offsets of the areas of a list that ends with zeros."""
    while at + 16 <= len(header):
        offset, size = struct.unpack_from("<QQ", header, at)
        if not offset and not size:
            return
        yield int(offset)
        at += 16


def _text(reader: DiskReader, area: int) -> str:
    header = reader.read(area, _SECTOR)
    if header[4:20] != _MAGIC:
        return ""
    _, size = struct.unpack_from("<QQ", header, 24)
    offset, length = struct.unpack_from("<QQ", header, 40)
    first = min(length, size - offset)
    # The area is a ring: what does not fit at its end goes on behind its header.
    data = reader.read(area + offset, first) + reader.read(area + _SECTOR, length - first)
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _parse(text: str) -> _Node:
    tokens = [m[1] for m in _TOKEN.finditer(text)]
    root = _Node()
    stack, at = [root], 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else ""
        if token == "}" and len(stack) > 1:
            stack.pop()
            at += 1
        elif following == "{":
            stack[-1].sections[token] = node = _Node()
            stack.append(node)
            at += 2
        elif following == "=" and at + 2 < len(tokens):
            end = tokens.index("]", at + 2) if tokens[at + 2] == "[" else at + 2
            values = [_value(t) for t in tokens[at + 2 : end + 1] if t not in "[],"]
            stack[-1].values[token] = values if tokens[at + 2] == "[" else values[0]
            at = end + 1
        else:
            at += 1
    return root


def _value(token: str) -> str | int:
    if token.startswith('"'):
        return token[1:-1]
    return int(token) if token.lstrip("-").isdigit() else token


def _group(name: str, node: _Node, identities: Mapping[str, int]) -> Group:
    extent = node.values["extent_size"] * _SECTOR
    physical: dict[str, tuple[int, int, int]] = {}
    for key, section in node.sections["physical_volumes"].sections.items():
        number = identities[section.values["id"].replace("-", "")]
        physical[key] = number, section.values["pe_start"] * _SECTOR, section.values["pe_count"]
    used: dict[str, list[tuple[int, int]]] = {key: [] for key in physical}
    volumes: dict[str, tuple[Stretch, ...]] = {}
    others = []
    listed = node.sections.get("logical_volumes", _Node()).sections
    for title, volume in listed.items():
        segments = [s for s in volume.sections.values() if "extent_count" in s.values]
        stretches = []
        for segment in sorted(segments, key=lambda s: int(s.values["start_extent"])):
            count, stripes = segment.values["extent_count"], segment.values.get("stripes", [])
            per_stripe = count // max(1, len(stripes) // 2)
            for key, first in zip(stripes[::2], stripes[1::2], strict=True):
                if key in physical:
                    used[key].append((first, per_stripe))
            if segment.values.get("type") == "striped" and len(stripes) == 2 and stripes[0] in physical:
                number, start, _ = physical[stripes[0]]
                stretches.append(Stretch(number, start + stripes[1] * extent, count * extent))
        if "VISIBLE" not in volume.values.get("status", []):
            continue  # a part of another volume
        if len(stretches) == len(segments):
            volumes[title] = tuple(stretches)
        else:
            others.append(title)
    free = tuple(
        Stretch(number, start + first * extent, count * extent)
        for key, (number, start, total) in physical.items()
        for first, count in _gaps(used[key], total)
    )
    return Group(name, volumes, free, tuple(others))


def _gaps(used: Sequence[tuple[int, int]], total: int) -> Iterator[tuple[int, int]]:
    at = 0
    for first, count in sorted(used):
        if first > at:
            yield at, first - at
        at = max(at, first + count)
    if at < total:
        yield at, total - at
