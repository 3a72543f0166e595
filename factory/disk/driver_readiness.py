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
                f"kernel {self.kernel} has no {', '.join(sorted({n.modules[0] for n in self.absent}))}: install one"
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


def drivers(root: Ext, boot: Ext | None = None) -> Drivers:
    """Looks into the newest kernel's initramfs and modules. Blocking."""
    folder_system, prefix = (boot, "/") if boot is not None else (root, "/boot")
    folder = folder_system.folder(prefix)
    names_of_kernels = [m for m in map(_KERNEL.match, folder) if m and not m[0].endswith(".old")]
    if not names_of_kernels:
        return Drivers(unknown="no kernel was found in /boot")
    kernel = max((m[1] for m in names_of_kernels), key=_version)
    image = next((i for i in (p.format(kernel) for p in _INITRAMFS) if i in folder), "")
    release = kernel or _newest_modules(root)  # a plain "vmlinuz" does not say which it is
    early = _builtin(root, release)
    if image:
        number = folder_system.lookup(posixpath.join(prefix, image))
        try:
            early |= {_module(name) for name in names(folder_system.content(number or 0)) if ".ko" in name}
        except (UnreadableInitramfs, ValueError) as error:
            return Drivers(release, unknown=f"the initramfs of kernel {release} can't be read: {error}")
    every = _modules(root, release) | early
    # Without an initramfs whatever the kernel does not have built in comes too late for the root, but nobody can tell
    # from here how such a guest boots.
    return Drivers(release, frozenset(early if image else every), frozenset(every))


def _newest_modules(root: Ext) -> str:
    for folder in ("/usr/lib/modules", "/lib/modules"):
        if root.lookup(folder) is not None:
            found = [name for name in root.folder(folder) if name not in (".", "..")]
            if found:
                return max(found, key=_version)
    return ""


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
