"""Tells by content what a file on the command line is: a template, a disk image, or an OVA."""

from __future__ import annotations

import enum
from pathlib import Path

import click

from factory.opening import open_content

_HEAD = 64 * 1024
_IMAGES = (
    (0, b"QFI\xfb"),  # qcow2
    (0, b"KDMV"),  # VMDK, sparse or stream-optimised
    (0, b"# Disk DescriptorFile"),  # VMDK whose data lies in other files
    (0, b"vhdxfile"),
    (0, b"conectix"),  # VHD, dynamic
    (0, b"<<< Oracle VM VirtualBox Disk Image >>>"),
)
_TAR = 257, b"ustar"
_PACKED = (b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd")


class FileKind(enum.Enum):
    """What a file is to the commands that take more than one kind."""

    TEMPLATE = "a template"
    IMAGE = "a disk image"
    OVA = "an OVA"
    PACKED = "a compressed file"
    EMPTY = "an empty file"


def kind_of(path: Path) -> FileKind:
    """Looks at the first bytes; text is a template, and so is a folder. Raises: click.UsageError when there is none."""
    if path.is_dir():
        return FileKind.TEMPLATE
    try:
        with open_content(path) as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise click.UsageError(f"{path} can't be read: {error.strerror}") from error
    if not head:
        return FileKind.EMPTY
    if any(head[at : at + len(magic)] == magic for at, magic in _IMAGES):
        return FileKind.IMAGE
    if head[_TAR[0] : _TAR[0] + len(_TAR[1])] == _TAR[1]:
        return FileKind.OVA
    if head.startswith(_PACKED):
        return FileKind.OVA if path.suffix.lower() == ".ova" else FileKind.PACKED
    return FileKind.TEMPLATE if _is_text(head) else FileKind.IMAGE


def _is_text(head: bytes) -> bool:
    """A raw disk begins with code or zeros; what people write has neither."""
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(head) == _HEAD and error.start > _HEAD - 4  # a character that the end of what was read has cut
    return True
