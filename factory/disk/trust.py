"""Which other files an image may make us read: none where somebody else has made it, and told ones where the user has.

See ``disk.references`` for why. All of it is blocking, and asked before QEMU or libguestfs opens the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from factory.disk.references import EXTENT, PARENT, Reference, format_of, read_head, references
from factory.errors import StepError

_PROTOCOL = re.compile(r"[^/]*:")  # as QEMU's path_has_protocol: nbd:…, json:…
_DEEPEST = 64


def self_contained(path: Path, format: str = "", *, name: str = "") -> str:
    """The format of an image that must be whole in itself; *format* is what it must have, *name* what it is called.

    Raises: StepError when it refers to another file, or has another format.
    """
    head = read_head(path)
    format = format or format_of(head)
    refuse_references(head, format, name or path.name)
    return format


def refuse_references(head: bytes, format: str, name: str) -> None:
    """Raises: StepError when an image that begins with *head* is no *format*, or refers to another file."""
    try:
        others = references(head, format)
    except ValueError as error:
        raise StepError(f"{name} can't be read: {error}", hint="get it again from its source") from None
    if others:
        _refuse_difference(name, others[0])
        raise StepError(
            f"{name} refers to another file: {others[0]}",
            hint="an image from elsewhere must hold its whole disk; where the file is yours: qemu-img convert -O qcow2",
        )


def _refuse_difference(name: str, other: Reference) -> None:
    """Raises: StepError where the image is no disk without a parent that QEMU does not read."""
    if not other.followed:
        raise StepError(
            f"{name} holds only what differs from {other}, which QEMU does not read",
            hint="merge it into its parent where it was made (Hyper-V: Convert-VHD; VirtualBox: clonemedium)",
        )


def read_besides(path: Path) -> tuple[str, tuple[Path, ...]]:
    """The format of an image that the user has named, and the files besides it that its disk is read from.

    A VMDK's pieces and parents must lie in its own folder. Raises: StepError for what is no file, or not there.
    """
    try:
        head = read_head(path)
        if path.suffix.lower() == ".raw":  # what a guest has written into its disk says nothing of the disk
            refuse_references(head, format_of(head), path.name)
        return format_of(head), tuple(_followed(path, head, format_of(head), _DEEPEST))
    except OSError as error:
        raise StepError(f"{error.filename or path} can't be read: {error.strerror}") from error


def _followed(path: Path, head: bytes, format: str, deepest: int) -> Iterator[Path]:
    try:
        others = references(head, format)
    except ValueError as error:
        raise StepError(f"{path.name} can't be read: {error}") from None
    if others and not deepest:
        raise StepError(f"{path.name} stands on more than {_DEEPEST} other images, or on itself")
    for other in others:
        target = _target(path, other)
        yield target
        below = read_head(target)
        yield from _followed(target, below, other.format or format_of(below), deepest - 1)


def _target(path: Path, other: Reference) -> Path:
    _refuse_difference(path.name, other)
    if not other.name or _PROTOCOL.match(other.name):
        raise StepError(f"{path.name} refers to {other}, which is no file", hint="copy it into one image first")
    if other.what in (EXTENT, PARENT) and "/" in other.name:
        raise StepError(f"{path.name} refers to {other}, which is not in its folder", hint="put all its parts there")
    target = path.parent / other.name
    if not target.exists():
        raise StepError(f"{path.name} refers to {other}, which is not there", hint=f"put it to {target}")
    return target
