"""Gives freed blocks back, so that no old contents stay in the image, and wipes swap.

fstrim is exact where the file system's blocks are no smaller than what the image can give back: 4 KiB for raw files and
for qcow2 with clusters of 4 KiB. The discard of a part of such a unit is dropped, and old contents stay (measured: an
ext4 with blocks of 1 KiB on a raw file leaks, so does one with blocks of 4 KiB on clusters of 64 KiB): there the free
space is overwritten with zeros, and what is whole then given back.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from factory.disk import fat, xfs
from factory.disk.reader import SMALLEST_DISCARD
from factory.drivers.protocols import Appliance, ApplianceCall, ApplianceCallFailed
from factory.events import Emit, Progress
from factory.seal.layout import Layout
from factory.seal.mounts import Mount

_EXT = frozenset({"ext2", "ext3", "ext4"})
_READ_ONLY = frozenset({"ufs", "squashfs", "iso9660"})
_FREE_VOLUME = "factory_free"


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How the free space of one device was wiped: "fstrim", "zerofree", "zero-fill", "discard" or "zero"."""

    device: str
    method: str
    problem: str = ""


async def renew_swap_files(appliance: Appliance, layout: Layout) -> list[Trimmed]:
    """Makes swap files anew; their old blocks are free then. For a mounted guest."""
    return [await _wipe_swap_file(appliance, layout, path) for path in layout.swap_files]


async def trim(appliance: Appliance, layout: Layout, granularity: int, emit: Emit) -> list[Trimmed]:
    """Wipes all free space and swap devices. Nothing is mounted on return.

    *granularity*: bytes of the smallest part that the image gives back (``disk.reader.granularity``).
    """
    results: list[Trimmed] = []
    # Each is mounted anew for its trim: ext4 keeps up to 2 MiB of free blocks aside for whoever wrote last, and a trim
    # passes them over (measured: 511 freed blocks kept their contents).
    await appliance.call("umount_all")
    file_systems = list({mount.device: mount for mount in (*layout.mounts, *layout.others)}.values())
    total = len(file_systems) + len(layout.swaps)
    for number, mount in enumerate(file_systems):
        emit(Progress("trim", number, total, "file systems"))
        results.append(await _trim_unmounted(appliance, mount, granularity))
    results += [await _wipe_swap(appliance, device, granularity) for device in layout.swaps]
    results += await _wipe_free_extents(appliance, layout.volume_groups, granularity)
    emit(Progress("trim", total, total, "file systems"))
    return results


async def _first(appliance: Appliance, *calls: ApplianceCall) -> str:
    """Makes the calls up to the first that fails; gives its message, or nothing."""
    for call in calls:
        outcome = (await appliance.attempt([call]))[0]
        if isinstance(outcome, ApplianceCallFailed):
            return outcome.message
    return ""


async def _needs_zeros(appliance: Appliance, mount: Mount, granularity: int) -> bool:
    return await _block_size(appliance, mount) < granularity or not await _is_aligned(appliance, mount.device)


async def _is_aligned(appliance: Appliance, device: str) -> bool:
    """False for a partition that begins in the middle of 4 KiB, as old partitioners made them (sector 63)."""
    match = re.fullmatch(r"(/dev/sd[a-z]+)([0-9]+)", device)
    partitions: Any = (await appliance.attempt([("part_list", match[1])]))[0] if match else None
    if match is None or not isinstance(partitions, list):
        return True
    return all(p["part_start"] % SMALLEST_DISCARD == 0 for p in partitions if p["part_num"] == int(match[2]))


async def _block_size(appliance: Appliance, mount: Mount) -> int:
    """The unit in which a file system frees space."""
    if mount.type in _EXT:
        facts: Any = (await appliance.attempt([("tune2fs_l", mount.device)]))[0]
        return int(facts.get("Block size", 1024)) if isinstance(facts, dict) else 1024
    head: Any = (await appliance.attempt([("pread_device", mount.device, 96, 0)]))[0]
    if isinstance(head, bytes) and mount.type in {"vfat", "msdos", "fat"}:
        with suppress(ValueError):
            return fat.unit_of(head)
        return 512
    if isinstance(head, bytes) and mount.type == "xfs":
        return int(struct.unpack_from(">I", head, 4)[0])
    return 4096


async def _trim_mounted(appliance: Appliance, mount: Mount) -> Trimmed:
    problem = await _first(appliance, *await _fstrims(appliance, mount))
    if not problem:
        return Trimmed(mount.device, "fstrim")
    problem = await _first(appliance, ("zero_free_space", "/"), ("sync",))
    return Trimmed(mount.device, "zero-fill", problem)


async def _fstrims(appliance: Appliance, mount: Mount) -> list[ApplianceCall]:
    """The calls that trim the file system at /."""
    head: Any = (await appliance.attempt([("pread_device", mount.device, 96, 0)]))[0]
    if mount.type != "xfs" or not isinstance(head, bytes) or head[:4] != b"XFSB":
        return [("fstrim", "/")]
    return [("fstrim", "/", {"offset": offset, "length": length}) for offset, length in xfs.trim_ranges(head)]


async def _zero(appliance: Appliance, mount: Mount) -> Trimmed:
    """For an unmounted file system on an image that can't give back single blocks."""
    if mount.type in _EXT and not await _first(appliance, ("zerofree", mount.device)):
        # The trim after it gives back whole clusters, now that what it leaves behind is zeros.
        await _first(appliance, *_mount(mount), ("fstrim", "/"), ("umount_all",))
        return Trimmed(mount.device, "zerofree")
    problem = await _first(appliance, *_mount(mount), ("zero_free_space", "/"), ("sync",), ("fstrim", "/"))
    await appliance.call("umount_all")
    return Trimmed(mount.device, "zero-fill", problem)


def _mount(mount: Mount) -> list[ApplianceCall]:
    return [("mount_options", ",".join(filter(None, ["noatime", mount.options])), mount.device, "/")]


async def _trim_unmounted(appliance: Appliance, mount: Mount, granularity: int) -> Trimmed:
    if mount.type in _READ_ONLY:
        return Trimmed(mount.device, "none", f"{mount.type} can't be written here: its free space was not wiped")
    if await _needs_zeros(appliance, mount, granularity):
        return await _zero(appliance, mount)
    problem = await _first(appliance, *_mount(mount))
    if problem:
        return Trimmed(mount.device, "none", problem)
    result = await _trim_mounted(appliance, mount)
    await appliance.call("umount_all")
    return result


async def _discard(appliance: Appliance, device: str, granularity: int) -> tuple[str, str]:
    """Makes a whole device read as zeros: ``(method, problem)``."""
    if granularity <= 4096 and not await _first(appliance, ("blkdiscard", device)):
        return "discard", ""
    return "zero", await _first(appliance, ("zero_device", device))


async def _wipe_swap(appliance: Appliance, device: str, granularity: int) -> Trimmed:
    """Empties a swap device and makes it swap again, under the name by which fstab knows it."""
    facts: Any = (await appliance.attempt([("blkid", device)]))[0]
    facts = facts if isinstance(facts, dict) else {}
    method, problem = await _discard(appliance, device, granularity)
    names = {key: facts[tag] for key, tag in (("label", "LABEL"), ("uuid", "UUID")) if facts.get(tag)}
    return Trimmed(device, method, problem or await _first(appliance, ("mkswap", device, names)))


async def _wipe_swap_file(appliance: Appliance, layout: Layout, path: str) -> Trimmed:
    """Makes a swap file anew: its old blocks are freed, and trimmed with the rest."""
    status: Any = (await appliance.attempt([("lstatns", path)]))[0]
    if not isinstance(status, dict):
        return Trimmed(path, "none", "" if "No such file" in str(status) else str(status))
    size = int(status["st_size"])
    root = next((m for m in reversed(layout.mounts) if path.startswith(m.point.rstrip("/") + "/")), None)
    make: ApplianceCall = ("fallocate64", path, size)
    if root is not None and root.type == "btrfs":  # swap there needs a file that is never copied on write
        make = ("fill", 0, size, path)
        return Trimmed(path, "zero", await _first(appliance, make, ("mkswap_file", path)))
    calls: Sequence[ApplianceCall] = (("rm", path), make, ("chmod", 0o600, path), ("mkswap_file", path))
    return Trimmed(path, "discard", await _first(appliance, *calls))


async def _wipe_free_extents(appliance: Appliance, groups: Sequence[str], granularity: int) -> list[Trimmed]:
    """Wipes what no logical volume uses, by a volume that takes all of it for a moment."""
    results = []
    for group in groups:
        device = f"/dev/{group}/{_FREE_VOLUME}"
        if await _first(appliance, ("lvcreate_free", _FREE_VOLUME, group, 100)):
            continue  # nothing is free
        method, problem = await _discard(appliance, device, granularity)
        results.append(Trimmed(f"{group} (free extents)", method, problem))
        await appliance.call("lvremove", device)
    return results
