"""Disk images, by qemu-img."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.quantity import Size


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """``qemu-img info``: sizes in bytes."""

    format: str
    virtual_size: Size
    actual_size: Size
    backing_file: str = ""


class DiskImages(Protocol):
    """qemu-img."""

    async def create(
        self,
        path: Path,
        *,
        size: Size | None,
        format: str = "qcow2",
        backing: str = "",
        backing_format: str = "qcow2",
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Makes an empty image. ``backing`` is written as it is: relative to *path*, or a ``json:{…}`` of QEMU's."""

    async def info(self, path: Path, *, format: str = "") -> ImageInfo: ...

    async def convert(
        self,
        source: Path,
        destination: Path,
        *,
        source_format: str,
        format: str,
        options: Sequence[str] = (),
        compress: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None: ...

    async def check(self, path: Path, *, format: str) -> None:
        """Raises: CommandFailed when the image is damaged."""

    async def compare(self, first: Path, first_format: str, second: Path, second_format: str) -> bool:
        """True when a guest would read the same bytes from both."""

    async def resize(self, path: Path, size: Size, *, format: str = "qcow2") -> None: ...

    async def rebase(self, path: Path, backing: str, backing_format: str = "qcow2") -> None:
        """Rewrites the name of the backing file without looking at contents."""

    async def map_extents(self, path: Path, *, format: str) -> Sequence[tuple[int, int]]:
        """``(offset, length)`` in bytes of everything that holds data."""
