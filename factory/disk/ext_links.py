"""Paths on an ext file system with links followed, inside of it, as a kernel does where it is mounted at /."""

from __future__ import annotations

import posixpath
import stat
from dataclasses import dataclass

from factory.disk.ext import Ext

_MOST = 40
"""Links that Linux follows for one path (``MAXSYMLINKS``)."""


@dataclass(frozen=True, slots=True)
class LinkedPaths:
    """What a path leads to on *ext*. What lies behind a link to another file system is not there."""

    ext: Ext

    def real(self, path: str) -> str | None:
        """The path without links that *path* leads to; None when it leads to nothing."""
        todo, real, followed = _names(path), "/", 0
        while todo:
            name = todo.pop()
            if name == "..":
                real = posixpath.dirname(real)
                continue
            here = posixpath.join(real, name)
            number = self.ext.lookup(here) if self._is_folder(real) else None
            if number is None or followed > _MOST:
                return None
            target = self.ext.target(number)
            if target is None:
                real = here
                continue
            followed += 1
            real = "/" if target.startswith(b"/") else real
            todo += _names(target.decode("utf-8", "surrogateescape"))
        return real

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


def _names(path: str) -> list[str]:
    """The last first."""
    return [name for name in path.split("/") if name not in {"", "."}][::-1]
