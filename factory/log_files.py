"""Log files of programs, QEMU's log of the serial line above all: what is in them has never passed an event bus.

They belong to their owner alone from their first byte, and are masked when the program that writes them has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from factory.secret import Redactor

ENDINGS = (".log", ".argv")
"""Of files that hold what a program says, or how it was started."""
_PIECE = 2**16
_DRAFT = ".masked"


def owner_only(path: str, flags: int) -> int:
    """An ``opener`` for ``open``: what it makes is for its owner alone."""
    return os.open(path, flags, 0o600)


def open_log(path: Path) -> IO[bytes]:
    """Opens a log (0600) to add to it. Raises: OSError."""
    return open(path, "ab", buffering=0, opener=owner_only)


def open_text_log(path: Path) -> IO[str]:
    """As ``open_log``, for text. Raises: OSError."""
    return open(path, "a", encoding="utf-8", opener=owner_only)


def mask_logs(folder: Path, redactor: Redactor) -> tuple[Path, ...]:
    """Masks secrets in every log in and below *folder*; nobody may write them any more.

    A log that can't be written anew, as on a full disk, is removed where it holds a secret. Returns these.
    """
    removed = []
    for draft in folder.rglob(f"*{_DRAFT}"):  # of somebody who was killed
        with suppress(OSError):
            draft.unlink()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in ENDINGS):
        if path.is_file() and not path.is_symlink() and not _mask(path, redactor):
            with suppress(OSError):
                path.unlink()
                removed.append(path)
    return tuple(removed)


def _mask(path: Path, redactor: Redactor) -> bool:
    """False when it does not work. The file is replaced whole, and left alone when it holds no secret."""
    draft = path.with_name(f".{path.name}{_DRAFT}")
    try:
        if redactor.finds(_pieces(path)):
            with open(draft, "wb", opener=owner_only) as stream:
                for piece in redactor.masked(_pieces(path)):
                    stream.write(piece.encode("utf-8", "surrogateescape"))
            draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        return False
    return True


def _pieces(path: Path) -> Iterator[str]:
    """What is no UTF-8 comes through as it is."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        while piece := stream.read(_PIECE):
            yield piece
