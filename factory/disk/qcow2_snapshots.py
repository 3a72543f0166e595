"""Names of the snapshots inside of a qcow2 image (QEMU's ``docs/interop/qcow2.txt``): a copy does not have them."""

from __future__ import annotations

import struct
from pathlib import Path

from factory.opening import open_content

_ENTRY = 40
"""Bytes of an entry before what it holds besides: more data, its id, its name."""


def snapshots(path: Path) -> list[str]:
    with open_content(path) as stream:
        header = stream.read(72)
        if len(header) < 72 or header[:4] != b"QFI\xfb":
            return []
        count, at = struct.unpack_from(">IQ", header, 60)
        names = []
        for _ in range(count):
            stream.seek(at)
            entry = stream.read(_ENTRY)
            if len(entry) < _ENTRY:
                break
            (identity, name), (more,) = struct.unpack_from(">HH", entry, 12), struct.unpack_from(">I", entry, 36)
            text = stream.read(more + identity + name)[more:]
            names.append((text[identity:] or text[:identity]).decode("utf-8", "replace"))
            at += -(-(_ENTRY + more + identity + name) // 8) * 8
    return names
