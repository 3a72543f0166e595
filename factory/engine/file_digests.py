"""Lets the digests of large files outlive the command: a root file system of a GiB is read once, not by every plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from factory.digest import known_digests
from factory.engine.filesystem import write_text
from factory.opening import Stamp

MOST = 256
"""Files that are remembered: the newest."""


@contextmanager
def digests_kept(path: Path) -> Iterator[None]:
    """Takes up what *path* remembers, and writes it anew when the body has read another file.

    Losing it costs time, never truth; a store that can't be written is no error.
    """
    for name, (stamp, digest) in _read(path).items():
        known_digests.setdefault(name, (stamp, digest))
    before = dict(known_digests)
    yield
    if known_digests != before:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_text(path, json.dumps(dict(list({**_read(path), **known_digests}.items())[-MOST:])))


def _stamp(size: int, mtime: int, ctime: int, inode: int) -> Stamp:
    return size, mtime, ctime, inode


def _read(path: Path) -> dict[str, tuple[Stamp, str]]:
    try:
        found = json.loads(path.read_text())
        return {str(name): (_stamp(*map(int, stamp)), str(digest)) for name, (stamp, digest) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
