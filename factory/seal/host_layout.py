"""Finds the system on disks by reading them on the host: ext on plain partitions, swap, EFI system partitions.

That is what most images are, and takes milliseconds where the appliance takes seconds. Whatever else is on the disks
(LVM, btrfs, XFS, NTFS, encryption, a journal that must be replayed) is left to the appliance.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from factory.disk.ext import Ext
from factory.disk.ext_links import LinkedPaths
from factory.disk.fat import Fat
from factory.disk.partitions import Partition, Window, partitions
from factory.disk.reader import DiskReader
from factory.seal.layout import TELLING, Layout, linux_guest
from factory.seal.mount_units import (
    FOLDERS_OF_UNITS,
    UNIT_FOLDERS,
    enabled_units,
    entries_of_units,
    files_of_units,
    with_units,
)
from factory.seal.mounts import FstabEntry, Mount, by_type, identities, parse_fstab, plan_mounts
from factory.seal.unclaimed import is_of_a_loader, judge_unclaimed
from factory.seal.unseen import Unseen

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


@dataclass(frozen=True, slots=True)
class _Devices:
    """All of the disks, by the appliance's names: what blkid would say of them, and the file systems."""

    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    exts: dict[str, Ext] = field(default_factory=dict)
    fats: dict[str, Fat] = field(default_factory=dict)

    def names_on(self, device: str) -> Collection[str]:
        """In its topmost folder."""
        return self.exts[device].folder("/") if device in self.exts else self.fats[device].names()


def read_layout(readers: Sequence[DiskReader]) -> Layout | None:
    """The layout of a machine's disks, in the order of the machine; None when the appliance must look. Blocking."""
    devices = _Devices()
    for number, reader in enumerate(readers):
        for partition in partitions(reader):
            device = f"/dev/sd{chr(ord('a') + number)}{partition.number or ''}"
            window = Window(reader, partition)
            found = identify(window)
            if found.get("TYPE", "") not in _READ_HERE or not (found or _is_nothing(window)):
                return None
            if found.get("TYPE") == "ext4":
                devices.exts[device] = Ext(window)
            if found.get("TYPE") == "vfat":
                devices.fats[device] = Fat(window)
            devices.facts[device] = found | _partition_facts(partition)
    if any(ext.needs_recovery for ext in devices.exts.values()):
        return None
    for device in devices.exts:
        try:
            layout = _system_on(device, devices)
        except _LeftToTheApplianceError:
            return None
        if layout is not None:
            return layout
    return None


def _partition_facts(partition: Partition) -> dict[str, str]:
    return {"PART_ENTRY_UUID": partition.uuid, "PART_ENTRY_NAME": partition.name, "PART_ENTRY_TYPE": partition.type}


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


class _LeftToTheApplianceError(Exception):
    """What can't be told here."""


class _Tree:
    """The mounted guest, so far."""

    def __init__(self, root: str, devices: _Devices) -> None:
        self.mounts = [Mount(root, "/", "ext4")]
        self._devices = devices

    def mount(self, mount: Mount) -> bool:
        """Gives whether there is a folder for it."""
        if self._names_in(mount.point) is None:
            return False
        self.mounts.append(mount)
        return True

    def mount_by_type(self) -> None:
        for mount in by_type(self.mounts, self._devices.facts):
            if self._names_in(mount.point) == set():
                self.mounts.append(mount)

    def _names_in(self, folder: str) -> set[str] | None:
        """None when it is not there. Raises: _LeftToTheApplianceError for what lies behind a link, or not on ext."""
        path, found = "", set[str]()
        for name in filter(None, folder.split("/")):
            path = f"{path}/{name}"
            mount = max((m for m in self.mounts if path.startswith(m.below)), key=lambda m: len(m.below))
            ext, inner = self._devices.exts.get(mount.device), f"/{path.removeprefix(mount.below)}"
            number = ext.lookup(inner) if ext is not None else None
            if ext is None or (number is not None and ext.target(number) is not None):
                raise _LeftToTheApplianceError
            if number is None:
                return None
            found = set(ext.folder(inner))
        return found


def _system_on(device: str, devices: _Devices) -> Layout | None:
    """The layout when there is a root file system on *device*."""
    paths, facts = LinkedPaths(devices.exts[device]), devices.facts
    if paths.real("/etc") is None:
        return None
    release = paths.content("/etc/os-release") or paths.content("/usr/lib/os-release")
    guest = linux_guest(release, {path for path in TELLING if paths.real(path) is not None})
    if guest is None:
        return None
    filesystems = {name: fact["TYPE"] for name, fact in facts.items() if fact.get("TYPE")}
    entries = with_units(parse_fstab(_text(paths, "/etc/fstab")), _units(paths))
    plan = plan_mounts(entries, filesystems, identities(facts))
    tree = _Tree(device, devices)
    failed = tuple(mount for mount in plan.mounts if not tree.mount(mount))
    tree.mount_by_type()
    taken = {m.device for m in tree.mounts}
    others = tuple(Mount(n, "/", t) for n, t in filesystems.items() if n not in taken and t != "swap")
    swaps = tuple(name for name, type_ in filesystems.items() if type_ == "swap")
    unseen = (*plan.unseen, *map(_without_folder, failed), *_unclaimed(others, failed, devices))
    return Layout(guest, tuple(tree.mounts), others, failed, swaps, plan.swap_files, unseen=unseen)


def _without_folder(mount: Mount) -> Unseen:
    """systemd makes the folder when it mounts, other programs don't."""
    why = f"the guest mounts {mount.device} there, and has no such folder: make it in a provisioner"
    return Unseen(mount.point, why)


def _unclaimed(others: Sequence[Mount], named: Sequence[Mount], devices: _Devices) -> list[Unseen]:
    told = {mount.device for mount in named}
    unknown = [m for m in others if m.device not in told and not is_of_a_loader(devices.facts[m.device])]
    found = (judge_unclaimed(m.device, m.type, devices.names_on(m.device)) for m in unknown)
    return [unseen for unseen in found if unseen is not None]


def _units(paths: LinkedPaths) -> list[FstabEntry]:
    found = []
    for folder in UNIT_FOLDERS:
        for name in paths.names(folder):
            within = paths.names(f"{folder}/{name}") if name.endswith(FOLDERS_OF_UNITS) else ()
            found += [f"{folder}/{name}", *(f"{folder}/{name}/{inner}" for inner in within)]
    texts = {unit: [_text(paths, path) for path in files] for unit, files in files_of_units(found).items()}
    return entries_of_units(texts, enabled_units(found))


def _text(paths: LinkedPaths, path: str) -> str:
    return paths.content(path).decode("utf-8", "replace")
