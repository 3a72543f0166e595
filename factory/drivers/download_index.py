"""What the media store remembers: digests of local files by stamp, and what a URL gave."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factory.deadline import Deadline, poll
from factory.digest import file_digest
from factory.quantity import Duration


class Index:
    """A small JSON file, written whole. Losing it costs time, never truth: everything in it can be found again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def digest_of_local(self, path: Path) -> str:
        """SHA-256 (hex) of a file; from memory when size, mtime and inode are as they were. Raises: OSError."""
        sys.audit("factory.trusted", str(path))  # a file that counts, though nobody opens it: see cli.noticing
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        entry = self._read().get(f"file {path.absolute()}")
        if entry and entry[0] == stamp:
            return str(entry[1])
        digest = file_digest(path)
        self._write(f"file {path.absolute()}", [stamp, digest])
        return digest

    def downloaded(self, name: str) -> str:
        """The digest of what *name* (URL and checksum) gave before; empty when it is not known."""
        return str(self._read().get(f"url {name}", ""))

    def remember_download(self, name: str, digest: str, path: Path) -> None:
        stat = path.stat()
        self._write(f"url {name}", digest)
        self._write(f"file {path.absolute()}", [[stat.st_size, stat.st_mtime_ns, stat.st_ino], digest])

    def _read(self) -> dict[str, Any]:
        try:
            data = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def _write(self, key: str, value: Any) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.write_text(json.dumps({**self._read(), key: value}))
            draft.rename(self._path)
        except OSError:  # a store that can't be written can still be used
            draft.unlink(missing_ok=True)


@asynccontextmanager
async def lock(path: Path, deadline: Deadline) -> AsyncIterator[None]:
    """Holds *path* by flock: the kernel releases it when we die. Raises: DeadlineExpired."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def attempt() -> bool | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return True

    try:
        await poll(attempt, deadline, every=Duration(0.2))
        yield
    finally:
        os.close(descriptor)
