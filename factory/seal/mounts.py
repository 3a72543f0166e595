"""Which file systems a guest mounts where: what its fstab and types of GPT partitions say.

systemd's mount units are lines of fstab here: ``mount_units`` reads them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from factory.seal.unseen import Unseen

BY_TYPE = {
    "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "/home",
    "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "/srv",
}
"""Types of GPT partitions that systemd mounts by themselves, where the folder is empty (Discoverable Partitions
Specification). Its /var is of one machine only, by its machine ID; its /tmp is nobody's."""
_NOT_MOUNTED = frozenset(
    {"swap", "proc", "sysfs", "tmpfs", "devpts", "devtmpfs", "none", "nfs", "nfs4", "cifs", "iso9660"}
    | {"udf", "udf,iso9660", "ramfs", "debugfs", "securityfs", "configfs", "efivarfs", "tracefs", "bpf", "mqueue"}
    | {"hugetlbfs", "binfmt_misc", "cgroup", "cgroup2", "overlay", "autofs", "9p", "virtiofs", "vboxsf", "smb3"}
    | {"glusterfs", "ceph", "sshfs", "davfs", "linprocfs", "fdescfs", "procfs"}
)
_FOR_GUESTS = ("/mnt", "/media", "/run/media")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system at its place. ``options`` are for mount(8): a btrfs subvolume, say."""

    device: str
    point: str
    type: str
    options: str = ""

    @property
    def below(self) -> str:
        """How paths on it begin."""
        return f"{self.point.rstrip('/')}/"


@dataclass(frozen=True, slots=True)
class FstabEntry:
    source: str
    point: str
    type: str
    options: tuple[str, ...]


def parse_fstab(text: str) -> list[FstabEntry]:
    entries = []
    for line in text.splitlines():
        fields = line.split("#", 1)[0].split()
        if len(fields) >= 3:
            source, point, type_ = (_unescape(f).strip('"') for f in fields[:3])
            options = tuple(fields[3].split(",")) if len(fields) > 3 else ()
            entries.append(FstabEntry(source, point, type_, options))
    return entries


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)


def by_type(mounts: Sequence[Mount], devices: Mapping[str, Mapping[str, str]]) -> list[Mount]:
    """What the types of *devices* (blkid's facts by device) mount beside *mounts*: the first of each type."""
    points, taken = {mount.point for mount in mounts}, {mount.device for mount in mounts}
    found: dict[str, Mount] = {}
    for device, facts in devices.items():
        point = BY_TYPE.get(facts.get("PART_ENTRY_TYPE", "").lower(), "")
        if point and point not in points and device not in taken and facts.get("TYPE"):
            found.setdefault(point, Mount(device, point, facts["TYPE"]))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class FstabPlan:
    """What an fstab wants besides the root."""

    mounts: tuple[Mount, ...]
    swap_files: tuple[str, ...]
    unseen: tuple[Unseen, ...]


def plan_mounts(entries: Sequence[FstabEntry], filesystems: Mapping[str, str], devices: Mapping[str, str]) -> FstabPlan:
    """Which of *filesystems* (device → type) go where, parents first; *devices*: every name → device."""
    mounts, unseen = [], []
    at_boot = {resolve(e.source, devices) for e in entries if "noauto" not in e.options}
    swap_files = tuple(e.source for e in entries if e.type == "swap" and e.source.startswith("/") and not _is_device(e))
    for entry in sorted(entries, key=lambda e: e.point.count("/")):
        if entry.point in {"/", "none", "swap"} or entry.type in _NOT_MOUNTED or "bind" in entry.options:
            continue
        device = resolve(entry.source, devices)
        if device is None:
            if not _is_elsewhere(entry):
                unseen.append(Unseen(entry.point, f"the guest has it on {entry.source}, which is on none of the disks"))
            continue
        subvolume = next((o for o in entry.options if o.startswith(("subvol=", "subvolid="))), "")
        if "noauto" in entry.options and device in at_boot and not subvolume:
            continue  # another place for what has its own
        if subvolume and device.startswith("btrfsvol:"):
            device = device.removeprefix("btrfsvol:").rsplit("/", 1)[0]
        mounts.append(Mount(device, posixpath.normpath(entry.point), filesystems.get(device, ""), subvolume))
    return FstabPlan(tuple(mounts), swap_files, tuple(unseen))


def _is_elsewhere(entry: FstabEntry) -> bool:
    """Whether what is not on the disks is no part of the machine: media, shares, disks that come and go."""
    comes_and_goes = "nofail" in entry.options and entry.point.startswith(_FOR_GUESTS)
    shared = ":" in entry.source or entry.source.startswith("//") or "_netdev" in entry.options
    return "noauto" in entry.options or shared or comes_and_goes or entry.type.startswith("fuse")


def _is_device(entry: FstabEntry) -> bool:
    return entry.source.startswith("/dev/")


def identities(devices: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Every name that fstab may use for one of *devices* (blkid's facts by device) → the appliance's name for it."""
    names: dict[str, str] = {}
    spellings = {"UUID": "UUID", "LABEL": "LABEL", "PART_ENTRY_UUID": "PARTUUID", "PART_ENTRY_NAME": "PARTLABEL"}
    for device, facts in devices.items():
        names[device] = device
        names |= {f"{spelling}={facts[key]}".lower(): device for key, spelling in spellings.items() if facts.get(key)}
        match = re.fullmatch(r"/dev/([^/]+)/([^/]+)", device)
        if match:
            names["/dev/mapper/" + "-".join(part.replace("-", "--") for part in match.groups())] = device
    return names


def resolve(source: str, devices: Mapping[str, str]) -> str | None:
    """The appliance's device for what fstab calls *source*, None when it is none of *devices*."""
    by_link = re.fullmatch(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)", source)
    if by_link:
        source = f"{by_link[1]}={by_link[2]}"
    if "=" in source and not source.startswith("/"):
        key, _, value = source.partition("=")
        return devices.get(f"{key}={value.strip(chr(34))}".lower())
    if source in devices and not source.startswith("/dev/sd"):
        return devices[source]
    # The guest's name of the n-th disk: sda, vda, xvda, hda, nvme0n1, mmcblk0; in the appliance all are sdX.
    letters = re.fullmatch(r"/dev/(?:s|v|xv|h)d([a-z])(\d*)", source)
    if letters:
        return devices.get(f"/dev/sd{letters[1]}{letters[2]}")
    numbers = re.fullmatch(r"/dev/(?:nvme(\d+)n1|mmcblk(\d+))(?:p(\d+))?", source)
    if numbers:
        letter = chr(ord("a") + int(numbers[1] or numbers[2]))
        return devices.get(f"/dev/sd{letter}{numbers[3] or ''}")
    return None
