"""Operations on file systems and volume groups themselves. They prove their work at once, by asking again."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from factory.drivers.protocols import Appliance, ApplianceCallFailed
from factory.errors import StepError
from factory.seal.files import GuestFiles
from factory.seal.layout import Layout

_REFERENCES = (
    "/etc/{fstab,crypttab,mdadm/mdadm.conf}",
    "/etc/default/grub",
    "/etc/kernel/cmdline",
    "/etc/initramfs-tools/conf.d/*",
    "/boot/{grub,grub2}/{grub.cfg,grubenv,menu.lst,device.map}",
    "/boot/efi/EFI/*/grub.cfg",
    "/boot/loader/entries/*.conf",
    "/boot/{extlinux/extlinux.conf,syslinux/syslinux.cfg,cmdline.txt}",
)
_WITH_UUID = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "swap"})


@dataclass(frozen=True, slots=True)
class DeviceOperation:
    """``run`` gives how many devices it changed, and raises StepError when one stays as it was.

    The guest is mounted before and after it.
    """

    name: str
    what: str
    why: str
    run: Callable[[Appliance, Layout, GuestFiles], Awaitable[int]]
    targets: Callable[[Layout], list[str]]
    """The devices (or volume groups) that it changes."""
    default: bool = False


def _with_uuid(layout: Layout) -> list[str]:
    devices = [m.device for m in (*layout.mounts, *layout.others) if m.type in _WITH_UUID]
    return [d for d in dict.fromkeys([*devices, *layout.swaps]) if not d.startswith("btrfsvol:")]


async def _new_uuids(appliance: Appliance, layout: Layout, files: GuestFiles) -> int:
    types = {m.device: m.type for m in (*layout.mounts, *layout.others)}
    devices = _with_uuid(layout)
    before = await _uuids(appliance, devices)
    await appliance.call("umount_all")
    for device in devices:
        if types.get(device, "").startswith("ext"):  # tune2fs asks for a file system that was just checked
            await appliance.call("e2fsck", device, correct=True)
        if device in layout.swaps:
            label = await appliance.call("vfs_label", device)
            names = {"uuid": str(uuid.uuid4()), **({"label": label} if label else {})}
            await appliance.call("mkswap", device, **names)
        else:
            await appliance.call("set_uuid_random", device)
    after = await _uuids(appliance, devices)
    await appliance.batch(layout.mount_calls(read_only=False))
    kept = [device for device in devices if before[device] == after[device]]
    if kept:
        raise StepError(f"{kept[0]} kept its UUID", hint="leave the operation fs-uuids out")
    await _replace(files, {before[d]: after[d] for d in devices})
    return len(devices)


async def _uuids(appliance: Appliance, devices: list[str]) -> dict[str, str]:
    return dict(zip(devices, await appliance.batch([("vfs_uuid", device) for device in devices]), strict=True))


async def _replace(files: GuestFiles, uuids: Mapping[str, str]) -> None:
    """Puts new UUIDs in the place of old ones wherever a boot loader or an fstab names them."""
    paths = await files.find(_REFERENCES)
    for path, status in (await files.status(paths)).items():
        if status.mode & 0o170000 != 0o100000:
            continue
        content = rest = await files.read(path)
        for old, new in uuids.items():
            rest = rest.replace(old.encode(), new.encode())
        if rest != content:
            await files.write(path, rest)


async def _new_lvm_uuids(appliance: Appliance, layout: Layout, files: GuestFiles) -> int:
    if not layout.volume_groups:
        return 0
    before = await _lvm_uuids(appliance, layout)
    await appliance.batch(
        [
            ("umount_all",),
            ("vg_activate_all", False),
            ("pvchange_uuid_all",),
            ("vgchange_uuid_all",),
            ("vg_activate_all", True),
            *layout.mount_calls(read_only=False),
        ]
    )
    kept = before & await _lvm_uuids(appliance, layout)
    if kept:
        raise StepError(f"LVM kept the id {min(kept)}", hint="leave the operation lvm-uuids out")
    return len(before)


async def _lvm_uuids(appliance: Appliance, layout: Layout) -> set[str]:
    volumes = (await appliance.attempt([("pvs_full",)]))[0]
    if isinstance(volumes, ApplianceCallFailed):
        raise volumes
    groups = await appliance.batch([("vgs_full",)])
    return {v["pv_uuid"] for v in volumes} | {g["vg_uuid"] for g in groups[0]}


OPERATIONS = (
    DeviceOperation(
        "fs-uuids",
        "gives every file system and swap a new UUID, also where fstab and boot loaders name it",
        "off: an initramfs may hold the old one too; only needed where two clones' disks meet in one machine",
        _new_uuids,
        _with_uuid,
    ),
    DeviceOperation(
        "lvm-uuids",
        "gives LVM's physical volumes and groups new ids",
        "off: only needed where two clones' disks meet in one machine",
        _new_lvm_uuids,
        lambda layout: list(layout.volume_groups),
    ),
)
