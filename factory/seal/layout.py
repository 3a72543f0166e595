"""What is on the disks: file systems, where they are mounted, swap, and which system it is.

Reads ``os-release``, ``fstab`` and systemd's mount units itself, which takes a fraction of libguestfs's own inspection;
that is the fallback.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from factory.drivers.protocols import Appliance, ApplianceCall, ApplianceCallFailed
from factory.seal.model import Family, GuestInfo, Init
from factory.seal.mount_units import UNIT_GLOBS, enabled_units, entries_of_units, files_of_units, with_units
from factory.seal.mounts import FstabEntry, Mount, by_type, identities, parse_fstab, plan_mounts
from factory.seal.unclaimed import is_of_a_loader, look_for_unclaimed
from factory.seal.unseen import Unseen

UNKNOWN_GUEST = GuestInfo()
ROOTS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "ufs", "zfs_member", "ntfs"})
_FAMILIES = (
    (Family.DEBIAN, {"debian", "ubuntu", "devuan", "raspbian", "kali", "linuxmint"}),
    (Family.REDHAT, {"rhel", "fedora", "centos", "almalinux", "rocky", "ol", "amzn"}),
    (Family.SUSE, {"suse", "opensuse", "sles", "opensuse-leap", "opensuse-tumbleweed"}),
    (Family.ALPINE, {"alpine"}),
    (Family.ARCH, {"arch", "archlinux", "manjaro"}),
    (Family.BSD, {"freebsd", "openbsd", "netbsd"}),
)
_SIGNS = ("/etc/passwd", "/etc/fstab", "/sbin/init", "/bin/busybox", "/etc/inittab")
_INITS = {
    "/lib/systemd/systemd": Init.SYSTEMD,
    "/usr/lib/systemd/systemd": Init.SYSTEMD,
    "/sbin/openrc": Init.OPENRC,
    "/usr/sbin/openrc": Init.OPENRC,
    "/etc/rcS.d": Init.SYSV,
    "/etc/rc.d/rc.sysinit": Init.SYSV,
    "/bin/busybox": Init.BUSYBOX,
}
TELLING = tuple(dict.fromkeys((*_SIGNS, *_INITS)))
"""Paths whose presence tells what system it is, and what starts its services."""


@dataclass(frozen=True, slots=True)
class Layout:
    """``mounts`` in the order in which they are mounted; ``others`` hold the file systems that are not among them."""

    guest: GuestInfo = UNKNOWN_GUEST
    mounts: tuple[Mount, ...] = ()
    others: tuple[Mount, ...] = ()
    failed: tuple[Mount, ...] = ()
    """Of these, what the guest mounts and could not be mounted here."""
    swaps: tuple[str, ...] = ()
    swap_files: tuple[str, ...] = ()
    volume_groups: tuple[str, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    notes: tuple[str, ...] = ()

    def mount_calls(self, *, read_only: bool) -> list[ApplianceCall]:
        """The calls that mount it all."""
        calls: list[ApplianceCall] = []
        for mount in self.mounts:
            options = ["ro" if read_only else "noatime", *filter(None, [mount.options])]
            # "norecovery" is no option here: a journal was replayed by the mount before, which was for writing.
            calls.append(("mount_options", ",".join(options), mount.device, mount.point))
        return calls


async def inspect(appliance: Appliance) -> Layout:
    """Finds the system on the appliance's disks and mounts it for writing.

    Raises: StepError when the appliance dies. A disk with no system that we know gives a layout without mounts.
    """
    devices, groups = await _devices(appliance)
    filesystems = {name: facts["TYPE"] for name, facts in devices.items() if facts.get("TYPE")}
    filesystems |= await _subvolumes(appliance, filesystems)
    swaps = tuple(device for device, type_ in filesystems.items() if type_ == "swap")
    unseen = tuple(
        Unseen(device, "it is encrypted")
        for device, type_ in filesystems.items()
        if type_ in {"crypto_LUKS", "BitLocker"}
    )
    for device, type_ in sorted(filesystems.items(), key=lambda item: _likelihood(*item)):
        if type_ not in ROOTS:
            continue
        guest = await _try_root(appliance, device)
        if guest is not None:
            layout = Layout(guest, (Mount(device, "/", type_),), swaps=swaps, volume_groups=groups, unseen=unseen)
            layout = await _read_fstab(appliance, layout, filesystems, identities(devices))
            layout = await _mount_by_type(appliance, layout, devices)
            return await _with_others(appliance, layout, filesystems, devices)
    layout = Layout(swaps=swaps, volume_groups=groups, unseen=unseen)
    layout = await _ask_libguestfs(appliance, layout, filesystems)
    return await _with_others(appliance, layout, filesystems, devices)


async def _devices(appliance: Appliance) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """Everything that may hold a file system → what blkid says of it; and the volume groups.

    libguestfs's own ``list_filesystems`` gives less and takes six times as long.
    """
    disks, partitions, arrays, volumes, groups = await appliance.attempt(
        [("list_devices",), ("list_partitions",), ("list_md_devices",), ("lvs",), ("vgs",)]
    )
    divided = tuple(re.sub(r"p?[0-9]+$", "", p) for p in partitions)
    names = [d for d in disks if d not in divided] + list(partitions)
    for more in (arrays, volumes):
        names += more if isinstance(more, list) else []
    facts = await appliance.attempt([("blkid", name) for name in names])
    devices = {name: fact for name, fact in zip(names, facts, strict=True) if isinstance(fact, dict)}
    return devices, tuple(groups) if isinstance(groups, list) else ()


async def _subvolumes(appliance: Appliance, filesystems: Mapping[str, str]) -> dict[str, str]:
    """The subvolumes of every btrfs, as libguestfs names them."""
    found = {}
    for device in [d for d, type_ in filesystems.items() if type_ == "btrfs"]:
        volumes = (await appliance.attempt([("btrfs_subvolume_list", device)]))[0]
        for volume in volumes if isinstance(volumes, list) else ():
            found[f"btrfsvol:{device}/{volume['btrfssubvolume_path']}"] = "btrfs"
    return found


def _likelihood(device: str, type_: str) -> tuple[int, str]:
    """Big Linux file systems are looked at before NTFS, and btrfs's top level after its subvolumes."""
    rank = {"btrfs": 1 if device.startswith("btrfsvol:") else 2, "ntfs": 3}.get(type_, 0)
    return rank, device


async def _try_root(appliance: Appliance, device: str) -> GuestInfo | None:
    """Mounts *device* at / for writing and tells what system it is; unmounts it again when it is none."""
    mounted = (await appliance.attempt([("mount_options", "noatime", device, "/")]))[0]
    if isinstance(mounted, ApplianceCallFailed):
        return None
    guest = await read_guest(appliance)
    if guest is None:
        await appliance.call("umount_all")
    return guest


async def read_guest(appliance: Appliance) -> GuestInfo | None:
    """What system is mounted at /, None when it looks like none."""
    has_etc, has_windows, release, usr_release = await appliance.attempt(
        [
            ("is_dir", "/etc"),
            ("case_sensitive_path", "/Windows/System32/config"),
            ("read_file", "/etc/os-release"),
            ("read_file", "/usr/lib/os-release"),
        ]
    )
    if isinstance(has_windows, str):
        return GuestInfo(Family.WINDOWS, "windows", name="Windows")
    text = next((r for r in (release, usr_release) if isinstance(r, bytes)), b"")
    there = await appliance.batch([("exists", path) for path in TELLING])
    present = {path for path, answer in zip(TELLING, there, strict=True) if answer}
    return linux_guest(text, present) if has_etc else None


def linux_guest(os_release: bytes, present: Collection[str]) -> GuestInfo | None:
    """The guest, from its os-release and those of ``TELLING`` that are there; None when it looks like no system."""
    if not os_release and sum(path in present for path in _SIGNS) < 2:
        return None
    init = next((init for path, init in _INITS.items() if path in present), Init.OTHER)
    return replace(guest_of(os_release.decode("utf-8", "replace")), init=init)


def guest_of(os_release: str) -> GuestInfo:
    """Reads os-release(5). An unknown ID counts by its ID_LIKE."""
    values = {
        key: value.strip().strip("\"'")
        for key, _, value in (line.partition("=") for line in os_release.splitlines())
        if value
    }
    ids = [values.get("ID", ""), *values.get("ID_LIKE", "").split()]
    family = next((f for i in ids for f, known in _FAMILIES if i.lower() in known), Family.LINUX)
    return GuestInfo(family, ids[0], values.get("VERSION_ID", ""), values.get("PRETTY_NAME", values.get("NAME", "")))


async def _read_fstab(
    appliance: Appliance, layout: Layout, filesystems: Mapping[str, str], devices: Mapping[str, str]
) -> Layout:
    """Mounts what the guest's fstab and mount units name, besides the root."""
    fstab = (await appliance.attempt([("read_file", "/etc/fstab")]))[0]
    entries = with_units(parse_fstab(_text(fstab)), await _units(appliance))
    plan = plan_mounts(entries, filesystems, devices)
    mounts, failed, unseen = list(layout.mounts), [], [*layout.unseen, *plan.unseen]
    for mount in plan.mounts:
        calls = replace(layout, mounts=(mount,)).mount_calls(read_only=False)
        outcome = (await appliance.attempt(calls))[0]
        if isinstance(outcome, ApplianceCallFailed):
            failed.append(mount)
            why = f"the guest mounts {mount.device} there, which can't be done here: {outcome.message}"
            unseen.append(Unseen(mount.point, why))
        else:
            mounts.append(mount)
    return replace(layout, mounts=tuple(mounts), failed=tuple(failed), unseen=tuple(unseen), swap_files=plan.swap_files)


async def _units(appliance: Appliance) -> list[FstabEntry]:
    listed = await appliance.attempt([("glob_expand", glob) for glob in UNIT_GLOBS])
    paths = [path for found in listed if isinstance(found, list) for path in found]
    files = files_of_units(paths)
    texts = iter(await appliance.attempt([("read_file", path) for unit in files.values() for path in unit]))
    return entries_of_units({n: [_text(next(texts)) for _ in unit] for n, unit in files.items()}, enabled_units(paths))


def _text(answer: object) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else ""


async def _mount_by_type(appliance: Appliance, layout: Layout, devices: Mapping[str, Mapping[str, str]]) -> Layout:
    """Mounts partitions whose type says where, as systemd does: on an empty folder."""
    for mount in by_type(layout.mounts, devices):
        names = (await appliance.attempt([("ls", mount.point)]))[0]
        if isinstance(names, list) and not names:
            calls = replace(layout, mounts=(mount,)).mount_calls(read_only=False)
            if not isinstance((await appliance.attempt(calls))[0], ApplianceCallFailed):
                layout = replace(layout, mounts=(*layout.mounts, mount))
    return layout


async def _ask_libguestfs(appliance: Appliance, layout: Layout, filesystems: Mapping[str, str]) -> Layout:
    roots = (await appliance.attempt([("inspect_os",)]))[0]
    if isinstance(roots, ApplianceCallFailed) or not roots:
        note = "no system was found on the disks: nothing to clean, only free space is wiped"
        return replace(layout, notes=(*layout.notes, note))
    root = roots[0]
    points, kind, distro, major, name = await appliance.batch(
        [(f"inspect_get_{what}", root) for what in ("mountpoints", "type", "distro", "major_version", "product_name")]
    )
    family = {"windows": Family.WINDOWS, "freebsd": Family.BSD, "openbsd": Family.BSD, "netbsd": Family.BSD}.get(kind)
    guest = guest_of(f"ID={distro}") if family is None else GuestInfo(family, distro)
    mounts = tuple(
        Mount(device, point, filesystems.get(device, ""))
        for point, device in sorted(dict(points).items(), key=lambda item: len(item[0]))
    )
    layout = replace(layout, guest=replace(guest, version=str(major), name=name), mounts=mounts)
    await appliance.attempt(layout.mount_calls(read_only=False))
    return layout


async def _with_others(
    appliance: Appliance, layout: Layout, filesystems: Mapping[str, str], devices: Mapping[str, Mapping[str, str]]
) -> Layout:
    taken = {m.device for m in layout.mounts}
    others = tuple(
        Mount(device, "/", type_)
        for device, type_ in filesystems.items()
        if device not in taken
        and type_ not in {"swap", "unknown", "crypto_LUKS", "BitLocker", "LVM2_member", "linux_raid_member", "iso9660"}
        and not device.startswith("btrfsvol:")
        and not any(m.device.startswith(f"btrfsvol:{device}/") for m in layout.mounts)
    )
    layout = replace(layout, others=others)
    told = {mount.device for mount in layout.failed}
    unknown = [m for m in others if m.device not in told and not is_of_a_loader(devices[m.device])]
    if not layout.mounts or not unknown:
        return layout
    unclaimed = await look_for_unclaimed(appliance, unknown)
    await appliance.attempt(layout.mount_calls(read_only=False))
    return replace(layout, unseen=(*layout.unseen, *unclaimed))
