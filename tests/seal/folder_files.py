"""``GuestFiles`` on a folder of this host: operations run in the process, on real files, without an appliance."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.errors import StepError
from factory.seal.files import Case, FileStatus, PathIndex


class FolderFiles:
    def __init__(self, root: Path, case: Case = Case.MATTERS) -> None:
        self._root, self._case = root, case

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _index(self) -> PathIndex:
        return PathIndex((f"/{p.relative_to(self._root)}" for p in self._root.rglob("*")), self._case)

    async def find(self, globs: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        return self._index().find(globs, keep)

    async def exists(self, path: str) -> bool:
        return os.path.lexists(self._at(path))

    async def status(self, paths: Sequence[str]) -> Mapping[str, FileStatus]:
        there = {p: self._at(p).lstat() for p in paths if os.path.lexists(self._at(p))}
        return {p: FileStatus(s.st_mode, s.st_size) for p, s in there.items()}

    async def read(self, path: str) -> bytes:
        if not stat.S_ISREG(self._at(path).lstat().st_mode):
            raise StepError(f"{path} is no regular file")
        return self._at(path).read_bytes()

    async def target(self, path: str) -> str | None:
        return os.readlink(self._at(path)) if self._at(path).is_symlink() else None

    async def write(self, path: str, content: bytes, *, mode: int | None = None) -> None:
        if self._at(path).is_symlink():
            self._at(path).unlink()
        is_new = not self._at(path).exists()
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        self._at(path).write_bytes(content)
        if is_new or mode is not None:
            self._at(path).chmod(0o644 if mode is None else mode)

    async def remove(self, paths: Sequence[str]) -> None:
        for path in map(self._at, paths):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    async def empty(self, paths: Sequence[str]) -> None:
        for path in paths:
            os.truncate(self._at(path), 0)

    async def link(self, target: str, path: str) -> None:
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        self._at(path).unlink(missing_ok=True)
        self._at(path).symlink_to(target)

    async def make_folder(self, path: str) -> None:
        self._at(path).mkdir(parents=True, exist_ok=True)
