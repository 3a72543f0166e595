"""What an ISO holds, as plain data: read by ``drivers.iso``, judged by ``template.recognise`` and by steps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

TREEINFO = ".treeinfo"
DISK_INFO = ".disk/info"
WIM = "sources/install.wim"

MARKS = (
    TREEINFO, DISK_INFO, ".discinfo", ".alpine-release", "media.1/products", "media.1/media", "content",
    WIM, "sources/install.swm", "sources/install.esd",
)  # fmt: skip
"""Files that say what an ISO is. Of a Windows image (``.wim``, ``.swm``, ``.esd``) only the XML is read."""

BOOT_MENUS = (
    "isolinux/*.cfg", "boot/isolinux/*.cfg", "syslinux/*.cfg", "boot/syslinux/*.cfg", "boot/x86_64/loader/isolinux.cfg",
    "boot/grub/*.cfg", "boot/grub2/*.cfg", "efi/boot/grub.cfg", "efi/*/grub.cfg", "grub/*.cfg", "loader/entries/*.conf",
    "*/boot/syslinux/*.cfg", "debian-installer/*/boot-screens/*.cfg",
)  # fmt: skip
"""Where boot loaders have their menus: they name kernels, initrds and command lines."""


@dataclass(frozen=True, slots=True)
class IsoView:
    """An ISO's table of contents.

    Args:
        volume_id: the label.
        names: every file, relative to the root, as the ISO spells it.
        texts: content of the files of ``MARKS`` and ``BOOT_MENUS`` that it has, by name in lower case.
        boots: what the boot catalogue is for: ``bios``, ``uefi``.
        names_by: which tree of names was read: ``Rock Ridge``, ``UDF``, ``Joliet`` or ``ISO 9660``.
    """

    volume_id: str = ""
    names: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    boots: tuple[str, ...] = ()
    names_by: str = "Rock Ridge"
    _lower: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lower", {name.lower(): name for name in self.names})

    @property
    def treeinfo(self) -> str:
        """What Red Hat's kin and SUSE say of their media; empty where there is none."""
        return self.texts.get(TREEINFO, "")

    @property
    def disk_info(self) -> str:
        """One line in which Debian's kin say what a CD is; empty where there is none."""
        return self.texts.get(DISK_INFO, "").strip()

    def find(self, name: str) -> str | None:
        """The file called *name*, whatever its case; as the ISO spells it."""
        return self._lower.get(name.strip("/").lower())

    def matching(self, pattern: str) -> Iterator[tuple[str, str]]:
        """Files that fit *pattern*, sorted, each with what the first ``*`` stood for.

        ``*`` stands for anything within a folder's or file's name; case does not count.
        """
        if "*" not in pattern:
            found = self.find(pattern)
            if found is not None:
                yield found, ""
            return
        expression = re.compile(re.escape(pattern.strip("/").lower()).replace(r"\*", "([^/]*)") + r"\Z")
        for lower in sorted(self._lower):
            match = expression.match(lower)
            if match:
                yield self._lower[lower], match[1]
