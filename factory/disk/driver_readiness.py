"""Whether a Linux guest will find its disk and its network on the platforms that it is exported to.

A guest that was installed on virtio has an initramfs for virtio. On VMware or Hyper-V it then waits for a root device
that never comes; nothing but the console there says so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.disk.ext import Ext
from factory.disk.initramfs import UnreadableInitramfs, names

_OF_INTEREST = frozenset(
    {
        "ahci", "ata_generic", "ata_piix", "e1000", "e1000e", "ena", "gve", "hv_netvsc", "hv_storvsc", "hv_vmbus",
        "mptsas", "mptspi", "nvme", "sd_mod", "uas", "usb_storage", "virtio_blk", "virtio_net", "virtio_pci",
        "virtio_scsi", "vmw_pvscsi", "vmxnet3",
    }
)  # fmt: skip
"""Drivers of the platforms' disks and network cards."""
_KERNEL = re.compile(r"(?:vmlinu[xz]|kernel|bzImage)-?(.*)\Z")
_INITRAMFS = (
    "initrd.img-{}",
    "initramfs-{}.img",
    "initrd-{}",
    "initramfs-{}",
    "initramfs-linux.img",
    "initrd",
    "initrd.img",
)


@dataclass(frozen=True, slots=True)
class Need:
    """One of ``modules`` must be there: in the initramfs for a disk, in the module tree for a network card."""

    platform: str
    what: str
    modules: tuple[str, ...]
    early: bool = True

    def __str__(self) -> str:
        place = "in the initramfs" if self.early else "among the kernel's modules"
        return f"{self.platform}: no {self.what} driver {place} (one of {', '.join(self.modules)})"


@dataclass(frozen=True, slots=True)
class Drivers:
    """Modules of a guest's newest kernel: ``early`` is there before the root is mounted, ``all`` when the guest runs.

    ``unknown`` says why nothing could be told; then both are empty.
    """

    kernel: str = ""
    early: frozenset[str] = frozenset()
    all: frozenset[str] = frozenset()
    unknown: str = ""

    def meets(self, need: Need) -> bool:
        return bool(set(need.modules) & (self.early if need.early else self.all))

    def to_json(self) -> dict[str, Any]:
        """What decides on which platforms it boots; hundreds of other modules are left out."""
        return {
            "kernel": self.kernel,
            "early": sorted(self.early & _OF_INTEREST),
            "all": sorted(self.all & _OF_INTEREST),
            "unknown": self.unknown,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Drivers:
        return cls(data["kernel"], frozenset(data["early"]), frozenset(data["all"]), data["unknown"])


@dataclass(frozen=True, slots=True)
class Readiness:
    """``missing``: what is not met, with ``mend`` as the way out; ``unknown`` says why nothing could be told."""

    kernel: str = ""
    missing: tuple[Need, ...] = ()
    unknown: str = ""
    absent: tuple[Need, ...] = ()
    """Of ``missing``, what the kernel's package has no module for: no initramfs can mend that."""

    @property
    def mend(self) -> str:
        """What to do about ``missing``; empty when nothing is."""
        hints = []
        if any(need.early and need not in self.absent for need in self.missing):
            hints.append("`initramfs: rebuild` in the template puts what the kernel has into the initramfs")
        if self.absent:
            hints.append(
                f"the {named(self.kernel)} has no {', '.join(sorted({n.modules[0] for n in self.absent}))}: install one"
                " that has (Debian: linux-image-amd64), or choose hardware that it knows (VMware:"
                " `controller: pvscsi`, `network: vmxnet3`)"
            )
        return "; ".join(hints)


def readiness(root: Ext, needs: Sequence[Need], boot: Ext | None = None) -> Readiness:
    """Which of *needs* the guest does not meet. Blocking. *boot*: the file system of a separate /boot."""
    return judge(drivers(root, boot), needs)


def judge(found: Drivers, needs: Sequence[Need]) -> Readiness:
    """Which of *needs* a guest with these drivers does not meet."""
    if found.unknown:
        return Readiness(found.kernel, unknown=found.unknown)
    lacking = tuple(n for n in needs if not found.meets(n))
    return Readiness(found.kernel, lacking, absent=tuple(n for n in lacking if not set(n.modules) & found.all))


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel in /boot and its initramfs. A plain "vmlinuz" does not say its ``release``; ``image`` may be missing."""

    release: str
    image: str


def newest_kernel(boot: Collection[str]) -> Kernel | None:
    """The newest of the kernels among the names in /boot."""
    kernels = [m for m in map(_KERNEL.match, boot) if m and not m[0].endswith(".old")]
    if not kernels:
        return None
    release = max((m[1] for m in kernels), key=_version)
    return Kernel(release, next((i for i in (p.format(release) for p in _INITRAMFS) if i in boot), ""))


def newest_release(module_trees: Collection[str]) -> str:
    """The newest of the folders that hold a kernel's modules; empty when there is none."""
    return max((name for name in module_trees if name not in (".", "..")), key=_version, default="")


def named(release: str) -> str:
    """A kernel in words, also one that does not say its release."""
    return f"kernel {release}" if release else "kernel"


def drivers_of(
    release: str, initramfs: Collection[str] | None, builtin: Sequence[str], every: Sequence[str]
) -> Drivers:
    """What a kernel has.

    Args:
        initramfs: the paths in it; None when there is none.
        builtin: the lines of ``modules.builtin``.
        every: the lines of ``modules.dep``.
    """
    if not builtin and not every:
        return Drivers(
            release, unknown=f"the {named(release)} has no lists of its modules, and may have them all built in"
        )
    inside = {_module(line) for line in builtin}
    early = inside | {_module(name) for name in initramfs or () if ".ko" in name}
    whole = early | {_module(line.split(":")[0]) for line in every}
    # Without an initramfs whatever the kernel does not have built in comes too late for the root, but nobody can tell
    # from here how such a guest boots.
    return Drivers(release, frozenset(whole if initramfs is None else early), frozenset(whole))


def drivers(root: Ext, boot: Ext | None = None) -> Drivers:
    """Looks into the newest kernel's initramfs and modules. Blocking."""
    folder_system, prefix = (boot, "/") if boot is not None else (root, "/boot")
    kernel = newest_kernel(folder_system.folder(prefix))
    if kernel is None:
        return Drivers(unknown="no kernel was found in /boot")
    release = kernel.release or newest_release(
        next((t for t in map(root.folder, ("/usr/lib/modules", "/lib/modules")) if t), {})
    )
    early: set[str] | None = None
    if kernel.image:
        number = folder_system.lookup(posixpath.join(prefix, kernel.image))
        try:
            early = set(names(folder_system.content(number or 0)))
        except (UnreadableInitramfs, ValueError) as error:
            return Drivers(release, unknown=f"the initramfs of the {named(release)} can't be read: {error}")
    return drivers_of(release, early, *(_lines(root, release, f"modules.{kind}") for kind in ("builtin", "dep")))


def _version(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", text)]


def _module(path: str) -> str:
    return posixpath.basename(path).split(".ko")[0].replace("-", "_")


def _lines(root: Ext, kernel: str, name: str) -> list[str]:
    for folder in ("/usr/lib/modules", "/lib/modules"):
        number = root.lookup(f"{folder}/{kernel}/{name}")
        if number is not None:
            return root.content(number).decode("utf-8", "replace").splitlines()
    return []
