"""One file, or an archive of several, compressed: the ending of its name says how, as with Packer.

``x.tar.gz`` is an archive, ``x.gz`` one file; an unknown ending, or none, gives a gzipped archive. Besides Packer's
own there is ``zst``.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from factory.deadline import Deadline
from factory.errors import HostError, StepError
from factory.opening import open_content
from factory.outputs.post.artifact import Artifact, Surroundings
from factory.quantity import Duration

_ENDINGS = {"tar": "tar", "zip": "zip", "gz": "gzip", "lz4": "lz4", "bgzf": "bgzf", "xz": "xz", "bzip2": "bzip2",
            "zst": "zstd", "zstd": "zstd"}  # fmt: skip
BEST_LEVEL = 9
"""Packer takes a higher ``compression_level`` for this one."""
_BLOCK = 2**20
_BGZF_BLOCK = 0xFF00
"""Content of one BGZF block: what it becomes must fit into 64 KiB even when it can't be compressed."""
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_PATIENCE = Duration(4 * 3600)


@dataclass(frozen=True, slots=True)
class Form:
    """``archive``: "tar", "zip" or none; ``algorithm``: how the result is compressed, "" for not at all."""

    archive: str
    algorithm: str


def form_of(name: str) -> Form:
    """What the endings of *name* ask for.

    >>> form_of("x.tar.xz"), form_of("x.gz"), form_of("x.odd")
    (Form(archive='tar', algorithm='xz'), Form(archive='', algorithm='gzip'), Form(archive='tar', algorithm='gzip'))
    """
    endings = re.findall(r"\.([a-z0-9]+)", name)
    if not endings:
        return Form("tar", "gzip")
    last, before = endings[-1], endings[-2] if len(endings) > 1 else ""
    if last in ("tar", "zip"):
        return Form(last, "")
    if last in _ENDINGS:
        return Form("tar" if before == "tar" else "", _ENDINGS[last])
    return Form("tar", "gzip")


async def compress(artifact: Artifact, options: Mapping[str, Any], around: Surroundings) -> Artifact:
    """Raises: StepError for several files without an archive; HostError for a program that is not there."""
    name = str(options.get("output") or f"packer_{around.build}_{around.builder}")
    form = form_of(f".{options['format']}" if options.get("format") else name)
    if not form.archive and len(artifact.files) != 1:
        raise StepError(
            f"compress: {len(artifact.files)} files can't become the one file {name}",
            hint="give `output` the ending of an archive: .tar.gz, .tar.zst, .zip, …",
        )
    level = min(int(options.get("compression_level") or -1), BEST_LEVEL)
    target = around.path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    plain = draft.with_name(f"{draft.name}.plain")
    try:
        if form.algorithm == "lz4":
            await asyncio.to_thread(_write, artifact.files, Form(form.archive, ""), level, plain, around)
            await _lz4(plain, draft, level, around)
        else:
            await asyncio.to_thread(_write, artifact.files, form, level, draft, around)
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
        plain.unlink(missing_ok=True)
    return Artifact((name,))


async def _lz4(source: Path, target: Path, level: int, around: Surroundings) -> None:
    argv = ["lz4", "-q", "-f", f"-{level}" if level > 0 else "-1", str(source), str(target)]
    deadline = Deadline.after(_PATIENCE, "lz4 to compress the artifact")
    try:
        await around.programs.run(argv, deadline=deadline, emit=around.emit)
    except HostError as error:
        raise HostError("compress: this host has no lz4", hint="install the package lz4, or use zst") from error


def _write(files: Sequence[str], form: Form, level: int, draft: Path, around: Surroundings) -> None:
    if form.archive == "zip":
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=_level(level)) as archive:
            for name in files:
                archive.write(around.path(name), name)
        return
    with _compressed(form.algorithm, level, draft) as out:
        if form.archive == "tar":
            with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
                for name in files:
                    archive.add(around.path(name), Path(name).name, filter=_plain_owner)
        else:
            with open_content(around.path(files[0])) as source:
                while block := source.read(_BLOCK):
                    out.write(block)


def _plain_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """As Packer writes it: nobody's name and no date, so that equal contents give equal archives."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = 0
    return member


def _level(level: int) -> int:
    return level if level > 0 else 6


def _compressed(algorithm: str, level: int, path: Path) -> AbstractContextManager[IO[bytes]]:
    match algorithm:
        case "":
            return path.open("wb")
        case "gzip":
            return cast("IO[bytes]", gzip.GzipFile(path, "wb", _level(level), mtime=0))
        case "bzip2":
            return cast("IO[bytes]", bz2.BZ2File(path, "wb", compresslevel=level if level > 0 else 9))
        case "xz":
            return cast("IO[bytes]", lzma.LZMAFile(path, "wb", preset=_level(level)))
        case "bgzf":
            return cast("AbstractContextManager[IO[bytes]]", _bgzf(path, level))
        case "zstd":
            return _zstd(path, level)
    raise StepError(f"compress: {algorithm} is not a way to compress")


def _zstd(path: Path, level: int) -> AbstractContextManager[IO[bytes]]:
    try:
        from backports import zstd
    except ImportError as error:  # in Python 3.14 it is a module of the language
        raise HostError("this Python can't write zstd", hint="pip install backports.zstd") from error
    return cast("AbstractContextManager[IO[bytes]]", zstd.open(path, "wb", level=level if level > 0 else 3))


class _BgzfWriter:
    """Blocked gzip (SAM specification, section 4.1): gzip members that each tell their own length."""

    def __init__(self, out: IO[bytes], level: int) -> None:
        self._out, self._level, self._held = out, level, bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        while len(self._held) >= _BGZF_BLOCK:
            self._block(bytes(self._held[:_BGZF_BLOCK]))
            del self._held[:_BGZF_BLOCK]
        return len(data)

    def finish(self) -> None:
        if self._held:
            self._block(bytes(self._held))
        self._out.write(_BGZF_END)

    def _block(self, data: bytes) -> None:
        packer = zlib.compressobj(_level(self._level), zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        head = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00" + struct.pack("<H", len(packed) + 25)
        self._out.write(head + packed + struct.pack("<II", zlib.crc32(data), len(data)))


@contextmanager
def _bgzf(path: Path, level: int) -> Iterator[_BgzfWriter]:
    with path.open("wb") as out:
        writer = _BgzfWriter(out, level)
        yield writer
        writer.finish()
