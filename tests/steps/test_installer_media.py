"""What is in the drive, and what boots first, while an installer resets its machine and when it has finished."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest

from factory.drivers.machine_spec import Bus, DiskSpec, Reboot
from factory.drivers.protocols import ShutdownReason
from factory.drivers.qemu.disk_image import QemuImg
from factory.events import ignore
from factory.quantity import Size
from factory.steps.machine_plan import installer_spec
from factory.template.model import Finished
from tests.drivers.qemu.conftest import Lab, lab, soon
from tests.drivers.qemu.guests import CLI, HANG, POWER_OFF, RESET, say, sector

__all__ = ["lab"]

WRITE_DISK = (
    b"\x31\xc0\x8e\xd8\x8e\xc0"  # xor ax, ax; mov ds, ax; mov es, ax
    b"\xb8\x01\x03"  # mov ax, 0x0301: write one sector
    b"\xb9\x01\x00\xba\x80\x00"  # mov cx, 1; mov dx, 0x80: the first of the first disk
    b"\xbb\x00\x7e"  # mov bx, 0x7e00: what follows this sector in memory
    b"\xcd\x13"  # int 0x13
)


def installer(path: Path) -> Path:
    """An ISO that boots a sector, which writes the next one to the disk ("installs") and resets the machine."""
    code = sector(say("installing\n"), WRITE_DISK, CLI, RESET, HANG)
    installed = sector(CLI, say("installed system\n"), POWER_OFF, HANG)
    image = (code + installed).ljust(2048, b"\0")
    iso = pycdlib.PyCdlib()
    iso.new()
    iso.add_fp(io.BytesIO(image), len(image), "/BOOT.;1")
    iso.add_eltorito("/BOOT.;1", bootcatfile="/BOOT.CAT;1", boot_load_size=4)
    iso.write(str(path))
    iso.close()
    return path


@pytest.mark.machine
@pytest.mark.parametrize("finished", Finished)
def test_an_installer_boots_once(lab: Lab, finished: Finished) -> None:
    """One that ends with a reset never sees its ISO again; one that resets in between goes on from its disk."""

    async def run() -> None:
        disk = lab.logs / "disk.qcow2"
        await QemuImg(ignore).create(disk, size=Size(2**20))
        plain = replace(lab.spec(), disks=(DiskSpec("main", disk, bus=Bus.IDE, boot_index=0),), reboot=Reboot.RESETS)
        spec = installer_spec(plain, finished)
        iso = installer(lab.logs / "installer.iso")
        spec = replace(spec, cdroms=tuple(replace(cd, path=iso) for cd in spec.cdroms))
        async with lab.start(spec, "install") as machine:
            await machine.resume()
            reason = await machine.wait_for_shutdown(soon("the installer to finish"))
            said = machine.serial_text()
        assert said.count("installing") == 1
        if finished is not Finished.RESET:  # it may reset as often as it likes
            assert reason is ShutdownReason.GUEST_SHUTDOWN
            assert said.endswith("installed system\n")
            return
        assert reason is ShutdownReason.GUEST_RESET
        assert "installed system" not in said
        async with lab.start(plain, "boot") as machine:  # the drive is gone, not only empty
            await machine.resume()
            assert await machine.wait_for_shutdown(soon("the system")) is ShutdownReason.GUEST_SHUTDOWN
            assert machine.serial_text() == "installed system\n"
            assert not any("cd" in str(b["device"]) for b in await machine.execute("query-block"))

    asyncio.run(run())
