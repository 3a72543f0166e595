"""Appends files to an initrd: the kernel unpacks one "newc" cpio archive after the other (Linux' initramfs format)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

_TRAILER = "TRAILER!!!"


def append_files(initrd: Path, files: Mapping[str, bytes | Path], destination: Path) -> None:
    """Writes *initrd* and, behind it, an uncompressed archive of *files* (owner 0:0, mode 0644) to *destination*."""
    shutil.copyfile(initrd, destination)
    with destination.open("ab") as stream:
        stream.write(b"\0" * (-stream.tell() % 512))  # the kernel skips zeros between archives
        stream.write(archive(files))


def archive(files: Mapping[str, bytes | Path]) -> bytes:
    """One newc archive: folders first, then files by name."""
    folders = sorted({p.as_posix() for name in files for p in Path(name).parents if p.as_posix() != "."})
    entries = [_entry(i + 1, name, 0o040755, b"") for i, name in enumerate(folders)]
    for i, (name, content) in enumerate(sorted(files.items()), len(folders) + 1):
        data = content.read_bytes() if isinstance(content, Path) else content
        entries.append(_entry(i, name, 0o100644, data))
    return b"".join(entries) + _entry(0, _TRAILER, 0, b"")


def _entry(inode: int, name: str, mode: int, data: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    links = 2 if mode & 0o040000 else 1
    numbers = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % n for n in numbers)
    head = header + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
