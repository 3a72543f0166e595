"""Guesses from a disk's first sector and its partitions how it boots."""

from __future__ import annotations

from factory.disk.partitions import Window, partitions
from factory.disk.reader import DiskReader

_BOOT_CODE = 440


def boots_by_uefi_only(reader: DiskReader) -> bool:
    """True when there is an EFI system partition, and no BIOS boot loader: no code in the master boot record.

    A disk with both (a cloud image, say) is taken for one that a BIOS boots, as every hypervisor has one.
    """
    code = reader.read(0, _BOOT_CODE)
    return not code.strip(b"\0") and any(_is_fat(Window(reader, p)) for p in partitions(reader))


def _is_fat(window: Window) -> bool:
    head = window.read(0, 90)
    return head[54:57] == b"FAT" or head[82:85] == b"FAT"
