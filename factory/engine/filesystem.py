"""Durable writes: a reader never sees half of anything."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factory.errors import StoreError
from factory.quantity import Size


def fsync_path(path: Path) -> None:
    """Flushes a file or a folder's entries to disk. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(root: Path) -> None:
    """Flushes every file and folder below *root*, and *root* itself."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            fsync_path(path)
    fsync_path(root)


def write_json(path: Path, value: Any, *, mode: int = 0o600) -> None:
    """Writes JSON whole or not at all (temporary name, fsync, rename)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(value, stream, indent=2, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(path)
    fsync_path(path.parent)


def rename_durably(source: Path, destination: Path) -> None:
    """Makes *source* appear at *destination* after its whole content is on disk."""
    fsync_tree(source)
    source.rename(destination)
    fsync_path(destination.parent)


@contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Turns what a disk can do to us into ``StoreError`` with the way out."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC or error.errno == errno.EDQUOT:
            free = Size(shutil.disk_usage(root).free) if root.exists() else Size(0)
            raise StoreError(
                f"no space left in {root} ({free} free)",
                hint="free space there, run `factory cache gc`, or set FACTORY_CACHE to a larger disk",
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StoreError(
                f"can't write to {error.filename or root}: {error.strerror}",
                hint="set FACTORY_CACHE (and FACTORY_RUNS) to folders that you may write to",
            ) from error
        raise
