"""Paths on an ext file system with links followed, inside of it, as a kernel does where it is mounted at /."""

from __future__ import annotations

import posixpath
import stat
from dataclasses import dataclass

from factory.disk.ext import Ext
from factory.disk.path_walk import walk


@dataclass(frozen=True, slots=True)
class LinkedPaths:
    """What a path leads to on *ext*. What lies behind a link to another file system is not there."""

    ext: Ext

    def real(self, path: str) -> str | None:
        """The path without links that *path* leads to; None when it leads to nothing."""
        way = walk(path)
        try:
            name = next(way)
            while True:
                number = self.ext.lookup(name.path) if self._is_folder(posixpath.dirname(name.path)) else None
                if number is None:
                    return None
                target = self.ext.target(number)
                name = way.send(None if target is None else target.decode("utf-8", "surrogateescape"))
        except StopIteration as arrived:
            return str(arrived.value)

    def names(self, path: str) -> list[str]:
        """Sorted, of a folder; nothing when it is none."""
        real = self.real(path)
        return sorted(self.ext.folder(real)) if real is not None and self._is_folder(real) else []

    def content(self, path: str) -> bytes:
        """Of a file; nothing when it is no regular one."""
        real = self.real(path)
        number = self.ext.lookup(real) if real is not None else None
        try:
            return self.ext.content(number) if number is not None else b""
        except ValueError:
            return b""

    def _is_folder(self, real: str) -> bool:
        number = self.ext.lookup(real)
        return number is not None and stat.S_ISDIR(self.ext.status(number)[0])
