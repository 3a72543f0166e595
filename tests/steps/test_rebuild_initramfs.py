"""The script that puts drivers into an initramfs, in a small chroot with each family's tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.steps.rebuild_initramfs import SCRIPT
from tests.content.chroot import System

pytestmark = pytest.mark.machine


@pytest.mark.parametrize(
    ("tool", "call", "file", "content"),
    [
        ("update-initramfs", "update-initramfs -u -k all", "etc/initramfs-tools/modules", "ahci\nmptspi\n"),
        ("dracut", "dracut --force --regenerate-all", "etc/dracut.conf.d/90-platform-drivers.conf", '" ahci mptspi "'),
        ("mkinitcpio", "mkinitcpio -P", "etc/mkinitcpio.conf.d/90-platform-drivers.conf", "(ahci mptspi)"),
        ("mkinitfs", "mkinitfs 6.10.0-2", "etc/mkinitfs/features.d/platform.modules", "kernel/drivers/ahci.ko.gz"),
    ],
)
def test_each_family_s_own_tool_gets_the_modules_that_the_kernel_has(
    tool: str, call: str, file: str, content: str, tmp_path: Path
) -> None:
    system = System(tmp_path, stand_ins={tool: ""})
    system.write("lib/modules/6.1.0-9/x", "")
    for module in ("ahci", "mptspi"):
        system.write(f"lib/modules/6.10.0-2/kernel/drivers/{module}.ko.gz", "")
    system.write("lib/modules/6.10.0-2/modules.builtin", "kernel/drivers/nvme/host/nvme.ko\n")
    system.write("etc/mkinitfs/mkinitfs.conf", 'features="base ext4"\n')
    for _ in range(2):  # a second run adds nothing
        done = system.run(str(SCRIPT), MODULES="ahci mptspi nvme vmw_pvscsi")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("kernel 6.10.0-2 has no vmw_pvscsi\n")
        assert call in system.calls()
        assert content in system.read(file)
    assert system.read(file).count("ahci") == 1
    assert system.read("etc/mkinitfs/mkinitfs.conf").count("platform") == (tool == "mkinitfs")


def test_a_guest_without_such_a_tool_is_an_error(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={})
    system.write("lib/modules/6.1.0-9/kernel/ahci.ko", "")
    done = system.run(str(SCRIPT), MODULES="ahci")
    assert done.returncode == 3
    assert "none of update-initramfs, dracut" in done.stderr


def test_a_kernel_that_has_none_of_them_is_left_alone(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={"dracut": ""})
    system.write("lib/modules/6.1.0-9/x", "")
    done = system.run(str(SCRIPT), MODULES="ahci nvme")
    assert done.returncode == 0
    assert not any(call.startswith("dracut") for call in system.calls())
    assert "nothing to add of: ahci nvme" in done.stdout
