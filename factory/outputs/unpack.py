"""Takes a disk image out of a delivered file, so that it can be judged, read or booted."""

from __future__ import annotations

import gzip
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from factory.disk.references import HEAD
from factory.disk.trust import refuse_references
from factory.errors import HostError, StepError
from factory.opening import open_content, require_content
from factory.outputs.model import Part
from factory.outputs.stream import CHUNK, is_zero


def unpack(file: Path, part: Part, destination: Path) -> None:
    """Writes the image *part* of *file* to *destination*, sparse. Blocking.

    Raises: StepError when it is not in there; HostError when this Python lacks the compressor.
    """
    with _opened(file, part) as stream:
        _copy(stream, destination, part.length if part.length and not part.packing else -1)


def refuse_references_in(file: Path, part: Part) -> None:
    """Looks only at its head: an image in an artifact must hold its whole disk. Blocking.

    Raises: StepError when the image *part* of *file* refers to another file, or is not of its format; as ``unpack``.
    """
    if part.format == "raw":
        return  # refers to nothing, whatever a guest has written into it
    with _opened(file, part) as stream:
        head = stream.read(min(HEAD, part.length) if part.length else HEAD)
    refuse_references(head, part.format, part.name)


@contextmanager
def _opened(file: Path, part: Part) -> Iterator[IO[bytes]]:
    """The image's bytes; behind them may come others."""
    require_content(file)
    if part.packing == "tar.gz":
        with tarfile.open(file, "r:*") as tar:
            try:
                stream = tar.extractfile(part.name)
            except KeyError:
                stream = None
            if stream is None:
                raise StepError(f"{file.name} holds no {part.name}", hint="it was not written by this factory")
            with stream:
                yield stream
        return
    with _open(file, part.packing) if part.packing else open_content(file) as stream:
        if not part.packing:
            stream.seek(part.offset)
        yield stream


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
