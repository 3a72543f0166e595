"""Kernel and initrd of a direct boot, found by what an ISO holds, not by what its file is called."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass

from factory.drivers.iso_view import IsoView
from factory.errors import StepError
from factory.template.model import DirectBoot

ARCHITECTURE = "x86_64"
_IMAGES = f"images-{ARCHITECTURE}"
"""The section of `.treeinfo` that names them."""
_KERNELS = ("vmlinuz*", "vmlinux*", "linux", "linux26", "bzimage*", "kernel*")
_INITRDS = ("initrd*", "initramfs*", "initrfs*", "core.gz", "minirt*")
_BZIMAGE = 0x202
"""Linux' x86 boot protocol: ``HdrS`` lies here, and the offset of the version's text in the two bytes at 0x20E."""


@dataclass(frozen=True, slots=True)
class BootFiles:
    """Names in the ISO, and in words where they were found."""

    kernel: str
    initrd: str | None
    sign: str


def find_boot_files(direct: DirectBoot, view: IsoView) -> BootFiles:
    """The pair that *direct* asks for.

    What `.treeinfo` names comes first, if it is there. Then the first of ``direct.kernel`` that the ISO holds together
    with the initrd at the same place of ``direct.initrd``; the ``*`` of an initrd's name stands for what that of the
    kernel's name stood for, and for anything where there is no such file.

    Raises: StepError that says what is there instead.
    """
    for files in (*_by_treeinfo(direct, view), *_by_candidates(direct, view)):
        return files
    raise StepError(
        f"the ISO has none of {', '.join(_pairs_in_words(direct))}; {_in_words(view)}",
        hint="name the right files under `direct:` in the boot profile, or write `boot: typed`",
    )


def treeinfo(view: IsoView) -> configparser.ConfigParser:
    """`.treeinfo` as sections; empty where there is none, or nothing that can be read."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        parser.read_string(view.treeinfo)
    except configparser.Error:
        return configparser.ConfigParser(interpolation=None)
    return parser


def kernels(view: IsoView) -> tuple[str, ...]:
    """Files that are called like kernels, those nearest the root first."""
    return _called(view, _KERNELS)


def initrds(view: IsoView) -> tuple[str, ...]:
    """Files that are called like initrds, those nearest the root first."""
    return _called(view, _INITRDS)


def kernel_version(head: bytes) -> str | None:
    """The version in the first 16 KiB of a PC's Linux kernel; None when *head* is no such kernel.

    Source: Linux, Documentation/arch/x86/boot.rst.
    """
    if head[_BZIMAGE : _BZIMAGE + 4] != b"HdrS":
        return None
    start = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[start : start + 256].split(b"\0")[0].decode("ascii", "replace").split(" ")[0]


def named_in_treeinfo(view: IsoView) -> tuple[str, str] | None:
    """Kernel and initrd that `.treeinfo` names, if the ISO has both."""
    info = treeinfo(view)
    kernel, initrd = (view.find(info.get(_IMAGES, key, fallback="") or "") for key in ("kernel", "initrd"))
    return (kernel, initrd) if kernel and initrd else None


def _by_treeinfo(direct: DirectBoot, view: IsoView) -> Iterator[BootFiles]:
    kernel = view.find(treeinfo(view).get(_IMAGES, "kernel", fallback="") or "")
    named = named_in_treeinfo(view)
    if named and direct.initrd:
        yield BootFiles(*named, f".treeinfo, [{_IMAGES}]")
    elif kernel and not direct.initrd:
        yield BootFiles(kernel, None, f".treeinfo, [{_IMAGES}]")


def _by_candidates(direct: DirectBoot, view: IsoView) -> Iterator[BootFiles]:
    for place, pattern in enumerate(direct.kernel):
        for kernel, star in view.matching(pattern):
            if not direct.initrd:
                yield BootFiles(kernel, None, "a known place")
                continue
            wanted = direct.initrd[min(place, len(direct.initrd) - 1)]
            names = [wanted.replace("*", star), wanted] if star else [wanted]
            for initrd in dict.fromkeys(found for name in names for found, _ in view.matching(name)):
                yield BootFiles(kernel, initrd, "a known place")


def _pairs_in_words(direct: DirectBoot) -> Iterator[str]:
    for place, kernel in enumerate(direct.kernel):
        initrd = direct.initrd[min(place, len(direct.initrd) - 1)] if direct.initrd else ""
        yield f"{kernel} with {initrd}" if initrd else kernel


def _in_words(view: IsoView) -> str:
    near = (*kernels(view)[:4], *initrds(view)[:4])
    if near:
        return f"there are {', '.join(near)}"
    return f"it has {len(view.names)} files, none that is called like a kernel"


def _called(view: IsoView, patterns: tuple[str, ...]) -> tuple[str, ...]:
    found = [n for n in view.names if _fits(n.rpartition("/")[2].lower(), patterns)]
    return tuple(sorted(found, key=lambda n: (n.count("/"), n)))


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    """A kernel or initrd, not what belongs to one: a signature, a configuration, a module."""
    if name.endswith(
        (".cfg", ".sig", ".sha256", ".asc", ".txt", ".c32", ".deb", ".rpm", ".apk", ".udeb", ".txz", ".hmac")
    ):
        return False
    return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)
