"""Whether a Linux guest will find its disk and its network on the platforms that it is exported to.

A guest that was installed on virtio has an initramfs for virtio. On VMware or Hyper-V it then waits for a root device
that never comes; nothing but the console there says so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from factory.disk.ext import Ext
from factory.disk.initramfs import UnreadableInitramfs, names

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
class Readiness:
    """``missing``: what is not met, with ``mend`` as the way out; ``unknown`` says why nothing could be told."""

    kernel: str = ""
    missing: tuple[Need, ...] = ()
    unknown: str = ""

    @property
    def mend(self) -> str:
        modules = " ".join(sorted({n.modules[0] for n in self.missing if n.early}))
        return (
            f"add {modules} to /etc/initramfs-tools/modules and run update-initramfs -u, or to dracut's add_drivers and"
            " run dracut -f, in the last provisioner"
            if modules
            else "install the kernel's package of extra modules"
        )


def readiness(root: Ext, needs: Sequence[Need], boot: Ext | None = None) -> Readiness:
    """Looks into the newest kernel's initramfs and modules. Blocking. *boot*: the file system of a separate /boot."""
    folder_system, prefix = (boot, "/") if boot is not None else (root, "/boot")
    folder = folder_system.folder(prefix)
    versions = [m[1] for m in map(_KERNEL.match, folder) if m and not m[0].endswith(".old")]
    if not versions:
        return Readiness(unknown="no kernel was found in /boot")
    kernel = max(versions, key=_version)
    image = next((i for i in (p.format(kernel) for p in _INITRAMFS) if i in folder), "")
    early = _builtin(root, kernel)
    if image:
        number = folder_system.lookup(posixpath.join(prefix, image))
        try:
            early |= {_module(name) for name in names(folder_system.content(number or 0)) if ".ko" in name}
        except (UnreadableInitramfs, ValueError) as error:
            return Readiness(kernel, unknown=f"the initramfs of kernel {kernel} can't be read: {error}")
    modules = _modules(root, kernel) | early
    missing = tuple(n for n in needs if not set(n.modules) & (early if n.early and image else modules))
    return Readiness(kernel, missing)


def _version(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", text)]


def _module(path: str) -> str:
    return posixpath.basename(path).split(".ko")[0].replace("-", "_")


def _builtin(root: Ext, kernel: str) -> set[str]:
    return {_module(line) for line in _lines(root, kernel, "modules.builtin")}


def _modules(root: Ext, kernel: str) -> set[str]:
    return {_module(line.split(":")[0]) for line in _lines(root, kernel, "modules.dep")}


def _lines(root: Ext, kernel: str, name: str) -> list[str]:
    for folder in ("/usr/lib/modules", "/lib/modules"):
        number = root.lookup(f"{folder}/{kernel}/{name}")
        if number is not None:
            return root.content(number).decode("utf-8", "replace").splitlines()
    return []
