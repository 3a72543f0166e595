"""Appends files to an initrd: the kernel unpacks one "newc" cpio archive after the other.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from factory.errors import SeedError
from factory.opening import open_content

_TRAILER = "TRAILER!!!"
_BLOCK = 512
_LEAST_ZEROS = 4
"""The kernel takes four zeros behind a legacy lz4 stream for its end; without them it would take our magic number for
the length of one more block. The other compressions end by themselves."""
_LARGEST = 2**32 - 1
"""A newc header has eight hexadecimal digits for a file's length."""


def append_files(initrd: Path, files: Mapping[str, bytes | Path], destination: Path) -> None:
    """Writes *initrd* and, behind it, an uncompressed archive of *files* (owner 0:0, mode 0644) to *destination*.

    Raises: SeedError for a name or a size that an archive can't hold.
    """
    shutil.copyfile(initrd, destination)
    destination.chmod(0o600)  # answer files hold passwords
    with destination.open("ab") as stream:
        stream.write(b"\0" * _padding(stream.tell()))
        write_archive(stream, files)


def _padding(length: int) -> int:
    """Zeros up to the next block; the kernel skips them between archives."""
    return _LEAST_ZEROS + -(length + _LEAST_ZEROS) % _BLOCK


def write_archive(stream: BinaryIO, files: Mapping[str, bytes | Path]) -> None:
    """One newc archive: folders first, parents before what is in them, then files by name."""
    folders = sorted({p.as_posix() for name in files for p in Path(name).parents if p.as_posix() != "."})
    start = stream.tell()
    for inode, folder in enumerate(folders, 1):
        _write_entry(stream, inode, folder, 0o040755, b"")
    for inode, (name, content) in enumerate(sorted(files.items()), len(folders) + 1):
        _write_entry(stream, inode, name, 0o100644, content)
    _write_entry(stream, 0, _TRAILER, 0, b"")
    stream.write(b"\0" * (-(stream.tell() - start) % _BLOCK))


def _write_entry(stream: BinaryIO, inode: int, name: str, mode: int, content: bytes | Path) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise SeedError(f"{name!r} can't be put into an initrd", hint="names of seed files are relative and plain")
    length = content.stat().st_size if isinstance(content, Path) else len(content)
    if length > _LARGEST:
        raise SeedError(f"{name} is too large for an initrd", hint="deliver the seed by http or cd")
    encoded = name.encode() + b"\0"
    links = 2 if mode & 0o040000 else 1
    numbers = (inode, mode, 0, 0, links, 0, length, 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % n for n in numbers) + encoded
    stream.write(head + b"\0" * (-len(head) % 4))
    if isinstance(content, Path):
        with open_content(content) as source:
            shutil.copyfileobj(source, stream)
    else:
        stream.write(content)
    stream.write(b"\0" * (-length % 4))
