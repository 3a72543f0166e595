"""File systems that lie on a guest's disks and that nothing in the guest names: are there files in them to be cleaned?

Ordinary disks have some that hold none: the loader's, a kernel's, Windows' recovery, an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from factory.drivers.protocols import Appliance, ApplianceCallFailed
from factory.seal.mounts import Mount
from factory.seal.unseen import Unseen

_OF_LOADERS = frozenset(
    {
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",  # EFI system partition
        "bc13c2ff-59e6-4262-a352-b275fd6f7172",  # XBOOTLDR
        "21686148-6449-6e6f-744e-656564454649",  # BIOS boot
        "9e1a2d38-c612-4316-aa26-8b49521e5a8b",  # PowerPC PReP boot
        "de94bba4-06d1-4d40-a16a-bfd50179d6ac",  # Windows' recovery
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",  # Microsoft's reserved one
        *("0xef", "0x27", "0x41"),  # the same of an MBR: EFI, recovery, PReP
    }
)
"""Types of partitions, as blkid writes them."""
_EMPTY = frozenset({"lost+found", "system volume information", "$recycle.bin", "aquota.user", "aquota.group"})
_BOOTING = re.compile(
    r"vmlinu[xz].*|[uz]?image(?:-\d.*|\.gz)?|kernel\w*\.img|u?initr(?:d|amfs).*|bootmgr|bootcode\.bin|start\w*\.elf"
    r"|ldlinux\.\w+|grub2?|loader|(?:ext|iso|sys)linux"
)
"""Kernels and loaders: beside one of these the names of ``_BESIDE_ONE`` are a boot partition's too."""
_OF_LOADERS_ALONE = re.compile(
    r"efi|boot|recovery|nvvars|startup\.nsh|uboot\.env|u-boot.*|mlo|spl|.*\.dtbo?|dtbs?-?.*|system\.map.*|symvers.*"
    r"|boot(?:nxt|sect\.bak|\.scr(?:\.uimg)?|\.cmd|\.ini)|\.vmlinu[xz].*"
)
_BESIDE_ONE = re.compile(
    r"config-.*|sysctl\.conf-.*|(?:vmcoreinfo|abi|retpoline|modloop)-.*|(?:xen|tboot)(?:-.*)?(?:\.gz)?|memtest.*|machine-id"
    r"|[0-9a-f]{32}|(?:amd|intel)-ucode\.img|.*\.c32|(?:ext|sys)linux\.(?:conf|cfg)|boot\.readme|do_purge_kernels|rescue"
    r"|uenv\.txt|overlays|(?:cmdline|config|usercfg|syscfg|issue)\.txt|fixup\w*\.dat|armstub\w*\.bin|licen[cs]e\.\w+"
    r"|copying\.linux|\.alpine-release|\.next"
)


def is_of_a_loader(facts: Mapping[str, str]) -> bool:
    """Whether the type of a partition (``PART_ENTRY_TYPE`` in blkid's *facts*) says so."""
    return facts.get("PART_ENTRY_TYPE", "").lower() in _OF_LOADERS


def judge_unclaimed(device: str, type_: str, names: Collection[str]) -> Unseen | None:
    """What is to be said of a file system, by the *names* in its topmost folder; None where nothing is to clean."""
    there = [name for name in sorted(names) if name.lower() not in _EMPTY]
    lower = {name.lower() for name in there}
    boots = {name for name in lower if _BOOTING.fullmatch(name)}
    known = (_OF_LOADERS_ALONE, _BESIDE_ONE) if boots else (_OF_LOADERS_ALONE,)
    strange = {name for name in lower - boots if not any(pattern.fullmatch(name) for pattern in known)}
    if not strange:
        return None
    there.sort(key=lambda name: name.lower() not in strange)  # what is worth a look is told first
    held = ", ".join(there[:2]) + (f" and {len(there) - 2} more" if len(there) > 2 else "")
    return Unseen(device, f"nothing in the guest says where this {type_} is mounted, and it holds {held}")


async def look_for_unclaimed(appliance: Appliance, mounts: Sequence[Mount]) -> list[Unseen]:
    """Looks into *mounts* one by one. Nothing is mounted on return."""
    found: list[Unseen | None] = []
    for mount in mounts:
        await appliance.call("umount_all")
        mounted, names = await appliance.attempt([("mount_ro", mount.device, "/"), ("ls", "/")])
        if isinstance(mounted, ApplianceCallFailed):
            why = f"nothing in the guest says where it is mounted, and it can't be looked into: {mounted.message}"
            found.append(Unseen(mount.device, why))
        elif isinstance(names, list):
            found.append(judge_unclaimed(mount.device, mount.type, names))
    await appliance.call("umount_all")
    return [unseen for unseen in found if unseen is not None]
