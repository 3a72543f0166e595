"""Machines for the tests of hands and senses: a boot sector, an ISO, a kernel or nothing at all."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factory.deadline import Deadline, poll
from factory.drivers.machine_spec import (
    Bus,
    CdromSpec,
    CpuSpec,
    DiskSpec,
    KernelSpec,
    MachineSpec,
    UefiSpec,
)
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.qemu.machine import QemuMachine
from factory.events import ignore
from factory.quantity import Duration, Size

BUDGET = Duration(120)
OVMF = Path("/usr/share/OVMF")


class Guest:
    """A running machine (a ``ScreenMachine``), and what it sends to QEMU's debug console (port 0xE9)."""

    def __init__(self, machine: QemuMachine, debug: Path) -> None:
        self.machine = machine
        self.debug = debug

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        return await self.machine.execute(command, arguments)

    def serial_text(self, limit: Size = Size(64 * 1024)) -> str:
        return self.machine.serial_text(limit)

    async def sent(self, count: int) -> bytes:
        """Waits until the guest has sent so many bytes to the debug console; returns all of them."""

        async def enough() -> bytes | None:
            data = self.debug.read_bytes() if self.debug.exists() else b""
            return data if len(data) >= count else None

        return await poll(enough, Deadline.after(BUDGET, f"{count} bytes from the guest"), every=Duration(0.05))


@asynccontextmanager
async def guest(
    *extra: str,
    boot_sector: bytes | None = None,
    iso: Path | None = None,
    kernel: KernelSpec | None = None,
    uefi: bool = False,
    memory: Size = Size(256 * 2**20),
    display: str = "std",
) -> AsyncIterator[Guest]:
    with tempfile.TemporaryDirectory(prefix="hs") as name:
        folder = Path(name)
        disks: tuple[DiskSpec, ...] = ()
        cdroms: tuple[CdromSpec, ...] = ()
        if boot_sector is not None:
            (folder / "disk").write_bytes(boot_sector)
            disks = (DiskSpec("main", folder / "disk", "raw", Bus.IDE, 0),)
        if iso is not None:
            cdroms = (CdromSpec("cd", iso, boot_index=1),)
        firmware = None
        if uefi:
            shutil.copy(OVMF / "OVMF_VARS_4M.fd", folder / "vars")
            firmware = UefiSpec(OVMF / "OVMF_CODE_4M.fd", folder / "vars")
        spec = MachineSpec(
            name="hands-and-senses",
            binary="qemu-system-x86_64",
            machine_type="q35" if uefi else "pc",
            accelerator="tcg",
            memory=memory,
            cpu=CpuSpec(),
            disks=disks,
            cdroms=cdroms,
            uefi=firmware,
            kernel=kernel,
            display=display,
            extra_args=("-debugcon", f"file:{folder}/debug", *extra),
        )
        driver = QemuDriver()
        async with driver.start(spec, runtime_dir=folder / "r", log_dir=folder / "l", emit=ignore) as machine:
            await machine.resume()
            yield Guest(machine, folder / "debug")


GRUB_MENU = """
set timeout=-1
menuentry "Install (text)" { true; }
menuentry "Advanced options ..." { true; }
menuentry "~ 100% <of> {this} [that] 'quoted' |" { true; }
"""
GRAPHICAL = """
set gfxmode=1024x768
insmod all_video
insmod gfxterm
loadfont unicode
terminal_output gfxterm
"""


def grub_iso(folder: Path, *, graphical: bool, menu: str = GRUB_MENU) -> Path:
    """An ISO that boots GRUB with a menu, on BIOS and UEFI."""
    return make_grub_iso(folder, (GRAPHICAL if graphical else "terminal_output console\n") + menu)


def make_grub_iso(folder: Path, configuration: str) -> Path:
    """The same, with the whole of GRUB's *configuration* given."""
    tree = folder / "tree"
    (tree / "boot/grub").mkdir(parents=True)
    (tree / "boot/grub/grub.cfg").write_text(configuration)
    iso = folder / "grub.iso"
    subprocess.run(
        ["grub-mkrescue", "--fonts=unicode", "--locales=", "--themes=", "-o", str(iso), str(tree)],
        check=True,
        capture_output=True,
    )
    return iso
