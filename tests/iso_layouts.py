"""What installer ISOs hold, as far as it matters: labels, marks and names as their makers give them, kernels of a few
bytes. The tests make real ISOs of them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pycdlib

from factory.drivers.iso_view import IsoView

_ROOT = PurePosixPath()


def kernel(version: str = "6.1.0-test") -> bytes:
    """The head of a Linux kernel for PCs: magic number and version where the boot protocol has them."""
    head = bytearray(0x600)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x300).to_bytes(2, "little")
    text = f"{version} (builder@example) #1 SMP".encode() + b"\0"
    head[0x500 : 0x500 + len(text)] = text
    return bytes(head)


def wim(*images: tuple[str, str, str], build: int = 20348, language: str = "en-US") -> bytes:
    """A Windows image file without images: header and XML. *images*: name, edition, installation type."""
    parts = "".join(
        f'<IMAGE INDEX="{i}"><NAME>{name}</NAME><WINDOWS><ARCH>9</ARCH><EDITIONID>{edition}</EDITIONID>'
        f"<INSTALLATIONTYPE>{kind}</INSTALLATIONTYPE><LANGUAGES><LANGUAGE>{language}</LANGUAGE>"
        f"<DEFAULT>{language}</DEFAULT></LANGUAGES><VERSION><MAJOR>10</MAJOR><BUILD>{build}</BUILD></VERSION>"
        "</WINDOWS></IMAGE>"
        for i, (name, edition, kind) in enumerate(images, 1)
    )
    xml = f"\ufeff<WIM><TOTALBYTES>1</TOTALBYTES>{parts}</WIM>".encode("utf-16-le")
    offset = 4096
    header = bytearray(208)
    header[:8] = b"MSWIM\0\0\0"
    struct.pack_into("<QQQ", header, 72, len(xml), offset, len(xml))
    return bytes(header).ljust(offset, b"\0") + xml


@dataclass(frozen=True)
class Layout:
    """One vendor's ISO, and what must be found in it."""

    profile: str
    volume_id: str
    files: dict[str, bytes] = field(hash=False)
    words: str
    name: str
    kernel: str = ""
    initrd: str = ""

    def view(self) -> IsoView:
        texts = {n.lower(): c.decode() for n, c in self.files.items() if n in (".treeinfo", ".disk/info")}
        return IsoView(self.volume_id, tuple(sorted(self.files)), texts)

    def make(self, path: Path) -> Path:
        """With Rock Ridge names only: Joliet's labels are too short for what vendors write."""
        image = pycdlib.PyCdlib()
        image.new(interchange_level=3, rock_ridge="1.09", vol_ident=self.volume_id)
        places = {".": ""}
        for number, folder in enumerate(sorted({p for n in self.files for p in PurePosixPath(n).parents} - {_ROOT})):
            places[str(folder)] = f"{places[str(folder.parent)]}/D{number:07}"
            image.add_directory(places[str(folder)], rr_name=folder.name)
        for number, (name, content) in enumerate(sorted(self.files.items())):
            place = f"{places[str(PurePosixPath(name).parent)]}/F{number:07}.;1"
            image.add_fp(io.BytesIO(content), len(content), place, rr_name=PurePosixPath(name).name)
        image.write(str(path))
        image.close()
        return path


def _linux(kernel_name: str, initrd_name: str, **more: bytes) -> dict[str, bytes]:
    return {kernel_name: kernel(), initrd_name: b"\x1f\x8b initrd"} | more


PXEBOOT = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")
LOADER = ("boot/x86_64/loader/linux", "boot/x86_64/loader/initrd")


def treeinfo(family: str, version: str, pair: tuple[str, str] = PXEBOOT, arch: str = "x86_64") -> bytes:
    return (
        "[header]\ntype = productmd.treeinfo\nversion = 1.2\n\n"
        f"[general]\nfamily = {family}\nname = {family} {version}\narch = {arch}\nversion = {version}\n\n"
        f"[images-{arch}]\nkernel = {pair[0]}\ninitrd = {pair[1]}\nboot.iso = images/boot.iso\n\n"
        "[stage2]\nmainimage = images/install.img\n"
    ).encode()


DEBIAN = Layout(
    "debian-installer", "Debian 12.14.0 amd64 n",
    _linux("install.amd/vmlinuz", "install.amd/initrd.gz") | {
        "install.amd/gtk/vmlinuz": kernel(), "install.amd/gtk/initrd.gz": b"g",
        ".disk/info": b'Debian GNU/Linux 12.14.0 "Bookworm" - Official amd64 NETINST with firmware 20260516-10:11',
        "isolinux/isolinux.cfg": b"default vesamenu.c32\n", "pool/main/a/a.deb": b"deb",
    },
    'Debian GNU/Linux 12.14.0 "Bookworm", x86_64, NETINST', "debian-12",
    "install.amd/vmlinuz", "install.amd/initrd.gz",
)  # fmt: skip
UBUNTU = Layout(
    "ubuntu-autoinstall", "Ubuntu-Server 24.04.4 LTS amd64",
    _linux("casper/vmlinuz", "casper/initrd") | {
        "casper/hwe-vmlinuz": kernel("6.11"), "casper/hwe-initrd": b"h",
        ".disk/info": b'Ubuntu-Server 24.04.4 LTS "Noble Numbat" - Release amd64 (20260210)',
        "boot/grub/grub.cfg": b"menuentry 'Try or Install Ubuntu Server' {\n linux /casper/vmlinuz ---\n}\n",
    },
    'Ubuntu Server 24.04.4 "Noble Numbat", x86_64', "ubuntu-24.04", "casper/vmlinuz", "casper/initrd",
)  # fmt: skip
ALMA = Layout(
    "anaconda-el9", "AlmaLinux-9-8-x86_64-dvd",
    _linux(*PXEBOOT) | {
        ".treeinfo": treeinfo("AlmaLinux", "9.8"), ".discinfo": b"1.0\n9.8\nx86_64\n", "isolinux/isolinux.cfg": b"",
        "BaseOS/repodata/repomd.xml": b"", "AppStream/repodata/repomd.xml": b"",
    },
    "AlmaLinux 9.8, x86_64, dvd", "almalinux-9", *PXEBOOT,
)  # fmt: skip
ROCKY = Layout(
    "anaconda-el9", "Rocky-9-8-x86_64-boot", _linux(*PXEBOOT) | {"isolinux/isolinux.cfg": b""},
    "Rocky Linux 9.8, x86_64, boot", "rocky-9", *PXEBOOT,
)  # fmt: skip
ALMA_10 = Layout(
    "anaconda-fedora", "AlmaLinux-10-2-x86_64-dvd",
    _linux(*PXEBOOT) | {".treeinfo": treeinfo("AlmaLinux", "10.2"), "BaseOS/repodata/repomd.xml": b""},
    "AlmaLinux 10.2, x86_64, dvd", "almalinux-10", *PXEBOOT,
)  # fmt: skip
FEDORA = Layout(
    "anaconda-fedora", "Fedora-S-dvd-x86_64-44",
    _linux(*PXEBOOT) | {".treeinfo": treeinfo("Fedora", "44"), "repodata/repomd.xml": b""},
    "Fedora 44, x86_64, S", "fedora-44", *PXEBOOT,
)  # fmt: skip
LEAP_15 = Layout(
    "autoyast", "openSUSE-Leap-15.6-NET-x86_64710",
    _linux(*LOADER) | {"boot/x86_64/loader/isolinux.cfg": b"label linux\n kernel linux\n append initrd=initrd x\n"},
    "openSUSE Leap 15.6, x86_64, NET", "opensuse-leap-15", *LOADER,
)  # fmt: skip
LEAP_16 = Layout(
    "agama", "Install-Leap_16.0-x86_64", _linux(*LOADER) | {"LiveOS/squashfs.img": b"s"},
    "openSUSE Leap 16.0, x86_64", "opensuse-leap-16", *LOADER,
)  # fmt: skip
ALPINE_VIRT = Layout(
    "alpine", "alpine-virt 3.24.1 x86_64",
    _linux("boot/vmlinuz-virt", "boot/initramfs-virt") | {".alpine-release": b"alpine-virt 3.24.1 260101\n"},
    "Alpine Linux 3.24.1, x86_64, virt", "alpine-3.24", "boot/vmlinuz-virt", "boot/initramfs-virt",
)  # fmt: skip
ALPINE_STD = Layout(
    "alpine", "alpine-std 3.24.1 x86_64", _linux("boot/vmlinuz-lts", "boot/initramfs-lts"),
    "Alpine Linux 3.24.1, x86_64, std", "alpine-3.24", "boot/vmlinuz-lts", "boot/initramfs-lts",
)  # fmt: skip
FREEBSD = Layout(
    "freebsd-bsdinstall", "14_4_RELEASE_AMD64_CD", {"boot/kernel/kernel": b"\x7fELF", "etc/rc.local": b"#!/bin/sh\n"},
    "FreeBSD 14.4, x86_64, CD", "freebsd-14",
)  # fmt: skip
SERVER_2022 = wim(
    ("Windows Server 2022 SERVERSTANDARDCORE", "ServerStandard", "Server Core"),
    ("Windows Server 2022 SERVERSTANDARD", "ServerStandard", "Server"),
)
WINDOWS = Layout(
    "windows-server", "SSS_X64FREE_EN-US_DV9",
    {"sources/install.wim": SERVER_2022, "sources/boot.wim": b"boot", "bootmgr.efi": b"MZ", "setup.exe": b"MZ"},
    "Windows Server 2022, x86_64", "windows-server-2022",
)  # fmt: skip
LAYOUTS = (
    DEBIAN, UBUNTU, ALMA, ROCKY, ALMA_10, FEDORA, LEAP_15, LEAP_16, ALPINE_VIRT, ALPINE_STD, FREEBSD, WINDOWS,
)  # fmt: skip
LINUX = tuple(layout for layout in LAYOUTS if layout.kernel)
ARCH = Layout(
    "", "ARCH_202611",
    {
        "arch/boot/x86_64/vmlinuz-linux": kernel("6.17"), "arch/boot/x86_64/initramfs-linux.img": b"i",
        "boot/syslinux/archiso_sys.cfg": b"INCLUDE boot/syslinux/head.cfg\n",
        "boot/syslinux/linux.cfg": b"LABEL arch64\nMENU LABEL Arch Linux ^install medium\n"
        b"LINUX /arch/boot/x86_64/vmlinuz-linux\nINITRD /arch/boot/x86_64/initramfs-linux.img\n"
        b"APPEND archisobasedir=arch archisolabel=ARCH_202611\n",
    },
    "", "arch", "arch/boot/x86_64/vmlinuz-linux", "arch/boot/x86_64/initramfs-linux.img",
)  # fmt: skip
"""One that no profile is made for."""
