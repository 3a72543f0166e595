"""Finds the system on disks by reading them on the host: ext on plain partitions, swap, EFI system partitions.

That is what most images are, and takes milliseconds where the appliance takes seconds. Whatever else is on the disks
(LVM, btrfs, XFS, NTFS, encryption, a journal that must be replayed) is left to the appliance.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from dataclasses import replace

from factory.disk.ext import Ext
from factory.disk.partitions import Partition, Window, partitions
from factory.disk.reader import DiskReader
from factory.seal.layout import (
    TELLING,
    Layout,
    Mount,
    identities,
    linux_guest,
    parse_fstab,
    plan_mounts,
)

_OTHERS = (
    (0, b"XFSB", "xfs"),
    (0x10040, b"_BHRfS_M", "btrfs"),
    (3, b"NTFS", "ntfs"),
    (536, b"LVM2", "LVM2_member"),
    (0, b"LUKS", "crypto_LUKS"),
    (0x438, b"\x53\xef", "ext (unusual)"),  # one that our reader refuses
)
_READ_HERE = frozenset({"", "ext4", "vfat", "swap"})
_PAGE = 4096


def read_layout(readers: Sequence[DiskReader]) -> Layout | None:
    """The layout of a machine's disks, in the order of the machine; None when the appliance must look. Blocking."""
    facts: dict[str, dict[str, str]] = {}
    exts: dict[str, Ext] = {}
    for number, reader in enumerate(readers):
        for partition in partitions(reader):
            device = f"/dev/sd{chr(ord('a') + number)}{partition.number or ''}"
            window = Window(reader, partition)
            found = identify(window)
            if found.get("TYPE", "") not in _READ_HERE or not (found or _is_nothing(window)):
                return None
            if found.get("TYPE") == "ext4":
                exts[device] = Ext(window)
            facts[device] = found | _partition_facts(partition)
    if any(ext.needs_recovery for ext in exts.values()):
        return None
    for device, ext in exts.items():
        layout = _system_on(device, ext, facts)
        if layout is not None:
            return layout
    return None


def _partition_facts(partition: Partition) -> dict[str, str]:
    return {"PART_ENTRY_UUID": partition.uuid, "PART_ENTRY_NAME": partition.name}


def identify(window: Window) -> dict[str, str]:
    """What blkid would say of a partition: TYPE, UUID, LABEL; nothing for what is no known file system."""
    try:
        ext = Ext(window)
    except ValueError:
        pass
    else:
        return {"TYPE": "ext4", "UUID": ext.uuid, "LABEL": ext.label}
    head = window.read(0, 0x10048)
    if head[_PAGE - 10 : _PAGE] == b"SWAPSPACE2":
        identity = str(uuid.UUID(bytes=head[1036:1052]))
        return {"TYPE": "swap", "UUID": identity, "LABEL": head[1052:1068].split(b"\0")[0].decode("utf-8", "replace")}
    for offset, label in ((39, 54), (67, 82)):  # FAT12 and FAT16, FAT32
        if head[label : label + 3] == b"FAT":
            (serial,) = struct.unpack_from("<I", head, offset)
            name = head[offset + 4 : offset + 15].decode("ascii", "replace").strip()
            return {"TYPE": "vfat", "UUID": f"{serial >> 16:04X}-{serial & 0xFFFF:04X}", "LABEL": name}
    return next(({"TYPE": name} for at, magic, name in _OTHERS if head[at : at + len(magic)] == magic), {})


def _is_nothing(window: Window) -> bool:
    """A BIOS boot partition holds a boot loader's code, an empty one zeros: neither is a file system."""
    return window.size <= 8 * 2**20 or not window.read(0, 0x10048).strip(b"\0")


def _system_on(device: str, ext: Ext, facts: dict[str, dict[str, str]]) -> Layout | None:
    """The layout when *ext* is a root file system."""
    if ext.lookup("/etc") is None:
        return None
    release = _read(ext, "/etc/os-release") or _read(ext, "/usr/lib/os-release")
    guest = linux_guest(release, {path for path in TELLING if ext.lookup(path) is not None})
    if guest is None:
        return None
    filesystems = {name: fact["TYPE"] for name, fact in facts.items() if fact.get("TYPE")}
    plan = plan_mounts(parse_fstab(_read(ext, "/etc/fstab").decode("utf-8", "replace")), filesystems, identities(facts))
    mounts = (Mount(device, "/", "ext4"), *plan.mounts)
    taken = {m.device for m in mounts}
    others = tuple(Mount(n, "/", t) for n, t in filesystems.items() if n not in taken and t != "swap")
    swaps = tuple(name for name, type_ in filesystems.items() if type_ == "swap")
    layout = Layout(guest, mounts, others, swaps, plan.swap_files, unseen=plan.unseen)
    return replace(layout, mounts=tuple(m for m in mounts if m.point == "/" or _has_folder(ext, m.point)))


def _has_folder(ext: Ext, path: str) -> bool:
    """Whether a mount point is there (or below another mount, which can't be told)."""
    return ext.lookup(path) is not None or path.count("/") > 2


def _read(ext: Ext, path: str) -> bytes:
    number = ext.lookup(path)
    try:
        return ext.content(number) if number is not None else b""
    except ValueError:
        return b""
