"""Direct boots with the seed in the initrd, from real ISOs to a kernel that has read it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from factory.cli.adapters import DiscMaker
from factory.deadline import Deadline, poll
from factory.drivers.protocols import MediaMaker
from factory.engine.scope import StepScope
from factory.errors import StepError
from factory.events import ignore
from factory.plan.resources import BuildName, BuildSecrets, KernelFiles, Media, SeedPlace
from factory.quantity import Duration
from factory.steps.fetch_media import MediaLibrary
from factory.steps.installation import command_line
from factory.steps.late import late_values
from factory.steps.seed import ExtractKernel, InjectSeed
from factory.template.late import render_late
from factory.template.load import load
from factory.template.model import DirectBoot, Loaded
from tests.iso_layouts import ALPINE_VIRT, DEBIAN

pytestmark = pytest.mark.machine

SCRIPTS = Path(__file__).parents[2] / "scripts" / "iso"
NETBOOT = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAITestOfDirectBoot factory"
PATIENCE = Duration(420)


def scope_for(iso: Path, tmp_path: Path) -> StepScope:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    scope = StepScope(ignore, "install", tmp_path, runtime, tmp_path)
    scope.put(Media(iso, "0" * 64))
    scope.put(BuildName("direct"))
    scope.put(BuildSecrets(tmp_path / "key", KEY, {}))
    scope.put_as(MediaMaker, DiscMaker())
    scope.put_as(MediaLibrary, None)  # only asked for files that scripts make
    return scope


def template(tmp_path: Path, iso: Path, profile: str, more: str = "") -> Loaded:
    path = tmp_path / "direct.yml"
    path.write_text(
        f"format: 1\nname: direct\nsource: {{iso: {{path: {iso}, checksum: none}}}}\n"
        f"install:\n  profile: {profile}\n  boot: direct\n  seed: initrd\n{more}"
    )
    return load(path)


@asynccontextmanager
async def kernel_with_seed(loaded: Loaded, scope: StepScope) -> AsyncIterator[tuple[KernelFiles, Path, str]]:
    """The kernel, the initrd with the seed in it and the command line, by the steps of a build."""
    assert loaded.profile is not None
    assert loaded.profile.direct is not None
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ExtractKernel(loaded.profile.direct).enter(scope))
        await stack.enter_async_context(InjectSeed(loaded, loaded.seed_directory).enter(scope))
        initrd = scope.get(SeedPlace).initrd
        assert initrd is not None
        yield scope.get(KernelFiles), initrd, render_late(command_line(loaded), late_values(scope))


def start_qemu(memory: int, kernel: Path, initrd: Path, line: str, disk: Path, log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35,accel=tcg", "-cpu", "max",
            "-m", str(memory), "-display", "none", "-no-reboot", "-serial", f"file:{log}",
            "-drive", f"file={disk},format=raw,if=virtio", "-netdev", "user,id=n,restrict=on",
            "-device", "virtio-net-pci,netdev=n", "-kernel", kernel, "-initrd", initrd, "-append", line,
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def boot(loaded: Loaded, scope: StepScope, folder: Path, memory: int, *signs: str) -> str:
    """Boots until every sign has been seen on the serial line; returns what was."""
    log, disk = folder / "serial.log", folder / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(2**28)
    async with kernel_with_seed(loaded, scope) as (files, initrd, line):
        program = start_qemu(memory, files.kernel, initrd, line, disk, log)
        try:

            async def seen() -> str | None:
                text = log.read_text(errors="replace") if log.exists() else ""
                if all(sign in text for sign in signs):
                    return text
                assert program.poll() is None, f"QEMU ended: {program.communicate()[1]}\n{text[-2000:]}"
                return None

            return await poll(seen, Deadline.after(PATIENCE, f"{signs} on the serial line"), every=Duration(0.3))
        finally:
            program.kill()
            program.communicate()


def test_the_tiny_installer_reads_its_seed_from_the_initrd(tmp_path: Path) -> None:
    """Its initrd is a stored archive and a legacy lz4 stream, the one that needs zeros to find its end."""
    iso = tmp_path / "tiny.iso"
    subprocess.run([SCRIPTS / "tiny", iso], check=True, stdin=subprocess.DEVNULL)
    scope = scope_for(iso, tmp_path)
    loaded = template(tmp_path, iso, "tiny")
    text = asyncio.run(boot(loaded, scope, tmp_path, 512, "seed read from the initrd", "installing direct on /dev/vda"))
    assert "seed=" not in text.split("tiny-installer", 1)[0]
    assert scope.details[0].startswith("boot/vmlinuz, boot/initrd.img: Linux ")
    assert not (scope.runtime_dir / "direct").exists()


@pytest.mark.skipif(not NETBOOT.exists(), reason="debian-installer-12-netboot-amd64 is not installed")
def test_the_debian_installer_reads_its_seed_from_the_initrd(tmp_path: Path) -> None:
    """Its first act with a preseed that it has loaded is the early command."""
    iso = tmp_path / "debian.iso"
    subprocess.run([SCRIPTS / "debian-netboot", iso], check=True, stdin=subprocess.DEVNULL)
    more = (
        "  seed_files:\n"
        "    - {name: some/where/words.txt, content: words of a nested file}\n"
        "    - name: preseed.cfg\n"
        '      content: "d-i preseed/early_command string echo SEED: $(cat /some/where/words.txt) >/dev/ttyS0\\n"\n'
    )
    scope = scope_for(iso, tmp_path)
    loaded = template(tmp_path, iso, "debian-installer", more)
    asyncio.run(boot(loaded, scope, tmp_path, 768, "SEED: words of a nested file"))
    assert scope.details[0].startswith("debian-installer/amd64/linux, debian-installer/amd64/initrd.gz: Linux 6.1.")


def extracted(iso: Path, direct: DirectBoot, tmp_path: Path) -> StepScope:
    scope = scope_for(iso, tmp_path)

    async def run() -> None:
        async with ExtractKernel(direct).enter(scope):
            assert scope.get(KernelFiles).kernel.read_bytes()[0x202:0x206] == b"HdrS"

    asyncio.run(run())
    return scope


def test_a_kernel_is_told_with_its_version(tmp_path: Path) -> None:
    iso = ALPINE_VIRT.make(tmp_path / "x.iso")
    direct = DirectBoot(kernel=("boot/vmlinuz-*",), initrd=("boot/initramfs-*",))
    scope = extracted(iso, direct, tmp_path)
    assert scope.details == ["boot/vmlinuz-virt, boot/initramfs-virt: Linux 6.1.0-test, by a known place"]
    assert not (scope.runtime_dir / "direct").exists()


def test_what_is_no_kernel_is_refused_before_qemu_starts(tmp_path: Path) -> None:
    iso = DEBIAN.make(tmp_path / "x.iso")
    direct = DirectBoot(kernel=("pool/main/a/a.deb",), initrd=("install.amd/initrd.gz",))
    with pytest.raises(StepError, match=r"pool/main/a/a\.deb in the ISO is no Linux kernel") as caught:
        extracted(iso, direct, tmp_path)
    assert "`boot: typed`" in caught.value.hint
    assert not (tmp_path / "runtime" / "direct").exists()


def test_a_kernel_that_is_not_there_is_told(tmp_path: Path) -> None:
    iso = DEBIAN.make(tmp_path / "x.iso")
    with pytest.raises(StepError, match=r"none of casper/vmlinuz with casper/initrd; there are install\.amd/vmlinuz"):
        extracted(iso, DirectBoot(kernel=("casper/vmlinuz",), initrd=("casper/initrd",)), tmp_path)
