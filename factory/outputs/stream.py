"""Moving many bytes: in order through a pool of threads, hashed while written, zeros never touched."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from factory.disk.reader import DiskReader

T = TypeVar("T")
R = TypeVar("R")
CHUNK = 4 * 2**20


def workers() -> int:
    return max(1, os.cpu_count() or 1)


def in_order(function: Callable[[T], R], items: Iterable[T], window: int = 16) -> Iterator[R]:
    """As ``map``, but *window* items ahead in threads; pays off where *function* releases the GIL (zlib, hashlib)."""
    with ThreadPoolExecutor(workers()) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= window:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class HashingWriter(io.RawIOBase):
    """A write-only file that knows the SHA-256 of what was written. No seeking: what is written stays."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self._digest = hashlib.sha256()
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._digest.update(view)
        self._raw.write(view)
        self._at += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._at

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def hashing(path: Path) -> Iterator[HashingWriter]:
    """Opens *path* for writing, hashed on the way."""
    with path.open("wb") as raw:
        yield HashingWriter(raw)


def blocks(reader: DiskReader, block: int) -> Iterator[tuple[int, int]]:
    """``(offset, length)`` of runs of whole *block*-sized pieces that may hold data; the last may be short."""
    start = end = 0
    for offset, length in reader.extents():
        first, last = offset // block * block, min(-(-(offset + length) // block) * block, reader.size)
        if first > end:
            if end > start:
                yield start, end - start
            start = first
        end = max(end, last)
    if end > start:
        yield start, end - start


def pieces(reader: DiskReader, block: int, at_once: int) -> Iterator[tuple[int, bytes]]:
    """``(offset, data)`` of everything that may hold data, in pieces of at most *at_once* bytes (whole blocks)."""
    for offset, length in blocks(reader, block):
        for at in range(offset, offset + length, at_once):
            yield at, reader.read(at, min(at_once, offset + length - at))


_ZEROS = bytes(CHUNK)


def is_zero(data: bytes | memoryview) -> bool:
    """True when all bytes are zero (compared at memory speed)."""
    view = memoryview(data)
    return all(view[at : at + CHUNK] == _ZEROS[: min(CHUNK, len(view) - at)] for at in range(0, len(view), CHUNK))
