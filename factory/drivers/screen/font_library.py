"""Finds the fonts of this computer, in the order in which they are likely to be needed, each group when it is."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from factory.drivers.screen.font_files import (
    NotAFont,
    code_page_font,
    edk2_font,
    pf2_font,
    psf_font,
    vga_bios_fonts,
)
from factory.drivers.screen.fonts import Font
from factory.drivers.screen.kernel_font import kernel_font_table

SHARE = tuple(Path(prefix) / "share" for prefix in ("/usr", "/usr/local", "/opt/homebrew", "/run/current-system/sw"))
_VGA_BIOS = ("seabios/vgabios-stdvga.bin", "qemu/vgabios-stdvga.bin", "qemu-kvm/vgabios-stdvga.bin",
             "vgabios/vgabios.bin", "seavgabios/vgabios-stdvga.bin")  # fmt: skip
_UEFI = ("OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_CODE.fd", "edk2/x64/OVMF_CODE.4m.fd", "edk2/ovmf/OVMF_CODE.fd",
         "qemu/edk2-x86_64-code.fd", "edk2-ovmf/x64/OVMF_CODE.fd")  # fmt: skip
_GRUB = ("grub/unicode.pf2", "grub2/unicode.pf2", "grub/fonts/unicode.pf2")
_CONSOLE = ("consolefonts/Lat15-Fixed16.psf.gz", "consolefonts/Lat15-VGA16.psf.gz",
            "consolefonts/Lat15-Terminus16.psf.gz", "kbd/consolefonts/eurlatgr.psfu.gz",
            "kbd/consolefonts/default8x16.psfu.gz", "kbd/consolefonts/lat9w-16.psfu.gz")  # fmt: skip


class FontLibrary:
    """Groups of fonts, the cheap and likely ones first.

    Args:
        kernels: kernel images to take the console's font from, such as that of the ISO; this computer's own are tried
            after them.
        firmware: UEFI firmware that the machine runs.
        cache: a folder that keeps what took long to find.
        share: folders like /usr/share.
    """

    def __init__(
        self,
        *,
        kernels: Sequence[Path] = (),
        firmware: Sequence[Path] = (),
        cache: Path | None = None,
        share: Sequence[Path] = SHARE,
        boot: Path = Path("/boot"),
    ) -> None:
        self._kernels = tuple(kernels)
        self._firmware = tuple(firmware)
        self._cache = cache
        self._share = tuple(share)
        self._boot = boot

    def groups(self) -> Iterator[tuple[Font, ...]]:
        """Fonts by group; reading the files of a group takes milliseconds to seconds, so take it off the event loop."""
        yield tuple(self._first(_VGA_BIOS, lambda path: _vga_bios(path, _stamp(path))))
        yield tuple(self._first(_UEFI, lambda path: (_edk2(path, _stamp(path)),), self._firmware))
        yield tuple(self._first(_GRUB, lambda path: (_grub(path, _stamp(path)),)))
        yield tuple(self._kernel_fonts())
        yield tuple(self._console_fonts())

    def _first(
        self, names: Iterable[str], read: Callable[[Path], tuple[Font, ...]], extra: Iterable[Path] = ()
    ) -> tuple[Font, ...]:
        """The fonts of the first file that has any."""
        for path in (*extra, *(share / name for name in names for share in self._share)):
            with suppress(OSError, NotAFont):
                return read(path)
        return ()

    def _kernel_fonts(self) -> tuple[Font, ...]:
        # The font is the same in all of them; this computer's own newest kernel is as good as the guest's.
        own = sorted(self._boot.glob("vmlinuz*"), reverse=True) if self._boot.is_dir() else []
        for path in (*self._kernels, *own):
            with suppress(OSError, NotAFont):
                return (_kernel(path, _stamp(path), self._cache),)
        return ()

    def _console_fonts(self) -> Iterator[Font]:
        for name in _CONSOLE:
            for share in self._share:
                with suppress(OSError, NotAFont, EOFError):
                    yield _psf(share / name, _stamp(share / name))
                    break


def _stamp(path: Path) -> tuple[int, int]:
    """What tells whether a file is still the same. Raises: OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


# Read once per process: several machines are looked at by the same fonts.


@functools.lru_cache(maxsize=8)
def _vga_bios(path: Path, stamp: tuple[int, int]) -> tuple[Font, ...]:
    return vga_bios_fonts(path.read_bytes())


@functools.lru_cache(maxsize=8)
def _edk2(path: Path, stamp: tuple[int, int]) -> Font:
    return edk2_font(path.read_bytes())


@functools.lru_cache(maxsize=8)
def _grub(path: Path, stamp: tuple[int, int]) -> Font:
    return pf2_font(path.read_bytes())


@functools.lru_cache(maxsize=32)
def _psf(path: Path, stamp: tuple[int, int]) -> Font:
    return psf_font(path)


@functools.lru_cache(maxsize=8)
def _kernel(path: Path, stamp: tuple[int, int], cache: Path | None) -> Font:
    """The console's font of a kernel, out of the cache if it was found there before."""
    name = hashlib.sha256(f"{path.absolute()}\0{stamp}".encode()).hexdigest()[:32]
    kept = cache / f"kernel-8x16-{name}.bin" if cache else None
    table = b""
    if kept:
        with suppress(OSError):
            table = kept.read_bytes()
    if len(table) != 256 * 16:
        table = kernel_font_table(path.read_bytes())
        if kept:
            with suppress(OSError):  # a cache that can't be written is no reason to be blind
                kept.parent.mkdir(parents=True, exist_ok=True)
                part = kept.with_name(f".{kept.name}.{os.getpid()}")
                part.write_bytes(table)
                part.replace(kept)
    return code_page_font("Linux console 8x16", 16, table)
