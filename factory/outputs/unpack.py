"""Takes a disk image out of a delivered file, so that it can be read or booted."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
from pathlib import Path
from typing import IO, cast

from factory.errors import HostError, StepError
from factory.outputs.model import Part
from factory.outputs.stream import CHUNK, is_zero


def unpack(file: Path, part: Part, destination: Path) -> None:
    """Writes the image *part* of *file* to *destination*, sparse. Blocking.

    Raises: StepError when it is not in there; HostError when this Python lacks the compressor.
    """
    if part.packing == "tar.gz":
        with tarfile.open(file, "r:*") as tar:
            try:
                stream = tar.extractfile(part.name)
            except KeyError:
                stream = None
            if stream is None:
                raise StepError(f"{file.name} holds no {part.name}", hint="it was not written by this factory")
            with stream:
                _copy(stream, destination)
    elif part.packing:
        with _open(file, part.packing) as stream:
            _copy(stream, destination)
    elif part.length:
        with file.open("rb") as raw:
            raw.seek(part.offset)
            _copy(raw, destination, part.length)
    else:
        shutil.copyfile(file, destination)


def _open(file: Path, packing: str) -> IO[bytes]:
    if packing == "gz":
        return cast("IO[bytes]", gzip.open(file, "rb"))
    if packing == "xz":
        return cast("IO[bytes]", lzma.open(file, "rb"))
    try:
        from backports import zstd
    except ImportError as error:
        raise HostError("this Python can't read zstd", hint="pip install backports.zstd") from error
    return cast("IO[bytes]", zstd.open(file, "rb"))


def _copy(source: IO[bytes], destination: Path, length: int = -1) -> None:
    with destination.open("wb") as out:
        while length and (data := source.read(CHUNK if length < 0 else min(CHUNK, length))):
            if length > 0:
                length -= len(data)
            if is_zero(data):
                out.seek(len(data), 1)
            else:
                out.write(data)
        out.truncate()
