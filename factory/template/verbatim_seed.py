"""Files for the guest that are served as they lie there: nothing is rendered and no name is hidden, as Packer does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from factory.digest import content_digest
from factory.quantity import Size
from factory.template.model import Loaded

LARGEST_DIGESTED = Size(64 * 2**20)
"""Larger files count for a key by name and size alone: an ISO that lies beside the answer files is not read."""
_PASSED_OVER = frozenset({".git", "packer_cache", ".factory"})


def is_verbatim(loaded: Loaded) -> bool:
    return bool(loaded.profile and loaded.profile.seed and loaded.profile.seed.verbatim)


class VerbatimFolder:
    """Implements ``drivers.protocols.SeedSource``. *extra* comes before the folder's own files."""

    def __init__(self, directory: Path | None, extra: Mapping[str, str | Path]) -> None:
        self._directory, self._extra = directory, dict(extra)

    def names(self) -> Sequence[str]:
        return tuple(sorted({*self._extra, *(name for name, _ in self._files())}))

    def read(self, name: str) -> bytes | Path | None:
        """Asked for at each request: a file may appear while the build runs. Nothing outside of the folder."""
        if name in self._extra:
            content = self._extra[name]
            return content.encode() if isinstance(content, str) else content
        if self._directory is None:
            return None
        path = self._directory / name
        inside = path.resolve().is_relative_to(self._directory.resolve())
        return path if inside and path.is_file() else None

    def recipe(self) -> dict[str, Any]:
        """What of it counts for a key, by name."""
        found: dict[str, Any] = {}
        for name, path in self._files():
            stat = path.stat()
            found[name] = (
                {"sha256": content_digest(path)} if stat.st_size <= LARGEST_DIGESTED else {"size": stat.st_size}
            )
        found.update({n: c if isinstance(c, str) else {"sha256": content_digest(c)} for n, c in self._extra.items()})
        return found

    def _files(self) -> Iterator[tuple[str, Path]]:
        if self._directory is None:
            return
        for folder, folders, files in os.walk(self._directory):
            folders[:] = sorted(f for f in folders if f not in _PASSED_OVER)
            for file in sorted(files):
                path = Path(folder, file)
                if path.is_file():
                    yield path.relative_to(self._directory).as_posix(), path
