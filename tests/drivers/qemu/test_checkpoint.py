"""A running guest is kept with its memory and goes on in a new QEMU, where it left off."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from factory.deadline import poll
from factory.drivers.machine_spec import Bus, CpuSpec, DiskSpec, Forward, MachineSpec, NicSpec, UefiSpec
from factory.drivers.protocols import Machine
from factory.drivers.qemu.checkpoint import QemuCheckpoints
from factory.drivers.qemu.disk_image import QemuImg
from factory.errors import MachineDied, MemoryRefused, StepError
from factory.quantity import Duration, Size
from tests.drivers.qemu import guests
from tests.drivers.qemu.conftest import Lab, soon, until_serial

pytestmark = pytest.mark.machine

OVMF = Path("/usr/share/OVMF")
ALPHABET = "abcdefghijklmnopqrstuvwxyz" * 100


async def longer(machine: Machine, than: int) -> str:
    async def probe() -> str | None:
        seen = machine.serial_text()
        return seen if len(seen) > than else None

    return await poll(probe, soon("the guest to say more"), every=Duration(0.05))


async def layer(lab: Lab) -> DiskSpec:
    """A qcow2 that boots the alphabet."""
    images = QemuImg()
    raw = guests.disk(lab.logs / "d.raw", guests.ALPHABET)
    image = lab.logs / "d.qcow2"
    await images.convert(raw, image, source_format="raw", format="qcow2")
    return DiskSpec("main", image, bus=Bus.IDE, boot_index=0)


async def overlay(on: Path, path: Path) -> Path:
    await QemuImg().create(path, size=None, backing=str(on))
    return path


async def write(machine: Machine, pattern: int, offset: str) -> None:
    command = f'qemu-io -d main "write -P {pattern} {offset} 64k"'
    await machine.execute("human-monitor-command", {"command-line": command})


def test_memory_and_disk_are_of_the_same_instant(lab: Lab) -> None:
    memory = lab.logs / "memory"
    copied: list[str] = []

    async def test() -> None:
        disk = await layer(lab)
        spec = lab.spec(disks=(disk,))
        first = QemuCheckpoints("7.2.0")
        async with lab.start(spec, "first") as machine:
            await machine.resume()
            await until_serial(machine, "abc")
            await write(machine, 1, "64k")
            top = await overlay(disk.path, lab.logs / "top.qcow2")
            paused = await first.save(
                machine, memory=memory, overlays={"main": top}, while_paused=lambda: copied.append("copied")
            )
            assert paused > 0
            at_checkpoint = machine.serial_text()
            # The guest goes on, on its overlay; what the layer holds does not change any more.
            await longer(machine, len(at_checkpoint))
            before = disk.path.read_bytes()
            await write(machine, 2, "128k")
            again = await overlay(top, lab.logs / "again.qcow2")
            await first.save(machine, memory=lab.logs / "memory2", overlays={"main": again}, while_paused=lambda: None)
            assert disk.path.read_bytes() == before
        assert copied == ["copied"]
        assert ALPHABET.startswith(at_checkpoint)

        resumed = await overlay(disk.path, lab.logs / "resumed.qcow2")
        later = replace(spec, disks=(replace(disk, path=resumed),), incoming=memory)
        async with lab.start(later, "second") as machine:
            await machine.resume()
            text = await longer(machine, 3)
        # It went on where it was (a letter may have been on its way), and did not boot again.
        places = [n for n in range(len(at_checkpoint) - 1, len(at_checkpoint) + 1) if ALPHABET[n:].startswith(text)]
        assert places, (at_checkpoint, text)

        images = QemuImg()
        for image, offset, there in (
            (disk.path, 64 * 1024, True),
            (disk.path, 128 * 1024, False),
            (top, 128 * 1024, True),
        ):
            flat = lab.logs / "flat.raw"
            await images.convert(image, flat, source_format="qcow2", format="raw")
            assert (flat.read_bytes()[offset] != 0) is there
            await images.check(image, format="qcow2")

    asyncio.run(test())


def test_the_firmware_goes_on_in_a_copy_of_its_variables(lab: Lab) -> None:
    """What the guest writes after the checkpoint must not change the layer, and must not be lost."""
    kept = lab.logs / "vars.fd"
    kept.write_bytes((OVMF / "OVMF_VARS_4M.fd").read_bytes())

    async def test() -> None:
        disk = await layer(lab)
        uefi = UefiSpec(OVMF / "OVMF_CODE_4M.fd", kept)
        async with lab.start(lab.spec(machine_type="q35", uefi=uefi, disks=(replace(disk, bus=Bus.SATA),))) as machine:
            await machine.resume()
            before, below = kept, disk.path
            for number in (1, 2):
                top = await overlay(below, lab.logs / f"top{number}.qcow2")
                copy = lab.logs / f"copy{number}.fd"
                await keep(machine, number, top, before, copy)
                seen = before.read_bytes()
                command = f'qemu-io firmware-variables "write -P {number} 500k 4k"'
                await machine.execute("human-monitor-command", {"command-line": command})
                assert before.read_bytes() == seen
                assert copy.read_bytes()[500 * 1024 : 504 * 1024] == bytes([number]) * 4096
                before, below = copy, top

    async def keep(machine: Machine, number: int, top: Path, before: Path, copy: Path) -> None:
        def while_paused() -> None:
            copy.write_bytes(before.read_bytes())

        await QemuCheckpoints("7.2.0").save(
            machine, memory=lab.logs / f"memory{number}", overlays={"main": top}, while_paused=while_paused,
            variables=copy,
        )  # fmt: skip

    asyncio.run(test())


def test_no_write_of_a_busy_guest_is_lost(lab: Lab) -> None:
    """128 pages are written to all the time: in the file they must be as they were when the guest stood still."""
    seen, resumed = lab.logs / "seen", lab.logs / "resumed"
    pages = {"val": 0x10000, "size": 0x80000}

    async def test() -> None:
        raw = guests.disk(lab.logs / "d.raw", guests.say("b"), guests.BUSY)
        await QemuImg().convert(raw, lab.logs / "d.qcow2", source_format="raw", format="qcow2")
        disk = DiskSpec("main", lab.logs / "d.qcow2", bus=Bus.IDE)
        loop, memory = asyncio.get_running_loop(), lab.logs / "memory"
        async with lab.start(lab.spec(disks=(disk,)), "first") as machine:

            def look() -> None:
                saved = machine.execute("pmemsave", {**pages, "filename": str(seen)})
                asyncio.run_coroutine_threadsafe(saved, loop).result(60)

            await machine.resume()
            await until_serial(machine, "b")
            top = await overlay(disk.path, lab.logs / "top.qcow2")
            await QemuCheckpoints("7.2.0").save(machine, memory=memory, overlays={"main": top}, while_paused=look)
            assert (await machine.execute("query-status"))["running"]
        again = await overlay(disk.path, lab.logs / "again.qcow2")
        later = lab.spec(disks=(replace(disk, path=again),), incoming=memory)
        async with lab.start(later, "second") as machine:

            async def read() -> bool | None:
                return (await machine.execute("query-status"))["status"] != "inmigrate" or None

            await poll(read, soon("the memory to be read"))
            await machine.execute("pmemsave", {**pages, "filename": str(resumed)})

    asyncio.run(test())
    assert any(seen.read_bytes())
    assert resumed.read_bytes() == seen.read_bytes()


def test_what_cannot_be_kept_is_found_out_before_it_is_stopped(lab: Lab) -> None:
    async def test() -> None:
        nvme = DiskSpec("main", guests.disk(lab.logs / "d.raw", guests.ALPHABET), "raw", Bus.NVME)
        async with lab.start(lab.spec(disks=(nvme,))) as machine:
            await machine.resume()
            with pytest.raises(StepError, match="nvme"):
                await QemuCheckpoints("7.2.0").save(
                    machine, memory=lab.logs / "m", overlays={"main": lab.logs / "o"}, while_paused=lambda: None
                )
            assert (await machine.execute("query-status"))["running"]

    asyncio.run(test())


def test_a_disk_without_an_overlay_is_refused(lab: Lab) -> None:
    async def test() -> None:
        async with lab.start(lab.spec(disks=(await layer(lab),))) as machine:
            await QemuCheckpoints("7.2.0").save(machine, memory=lab.logs / "m", overlays={}, while_paused=lambda: None)

    with pytest.raises(ValueError, match="no overlay for main"):
        asyncio.run(test())


def test_memory_that_cannot_be_written_lets_the_guest_go_on(lab: Lab) -> None:
    async def test() -> None:
        disk = await layer(lab)
        async with lab.start(lab.spec(disks=(disk,))) as machine:
            await machine.resume()
            await until_serial(machine, "a")
            top = await overlay(disk.path, lab.logs / "top.qcow2")
            with pytest.raises(StepError, match="could not be written"):
                await QemuCheckpoints("7.2.0").save(
                    machine, memory=lab.logs / "no" / "m", overlays={"main": top}, while_paused=lambda: None
                )
            await longer(machine, len(machine.serial_text()))

    asyncio.run(test())


def test_memory_of_another_machine_is_refused(lab: Lab) -> None:
    async def test() -> None:
        disk = await layer(lab)
        memory = lab.logs / "memory"
        async with lab.start(lab.spec(disks=(disk,)), "first") as machine:
            await machine.resume()
            top = await overlay(disk.path, lab.logs / "top.qcow2")
            await QemuCheckpoints("7.2.0").save(
                machine, memory=memory, overlays={"main": top}, while_paused=lambda: None
            )
        other = lab.spec(disks=(disk,), memory=Size.parse("96 MiB"), incoming=memory)
        async with lab.start(other, "second") as machine:
            await machine.resume()

    with pytest.raises(MemoryRefused, match=r"memory|migration|ram|Size mismatch"):
        asyncio.run(test())


def test_a_file_that_is_no_memory_is_refused_and_a_taken_port_is_something_else(lab: Lab) -> None:
    memory = lab.logs / "memory"
    memory.write_bytes(b"no memory" * 100)

    async def start(spec: MachineSpec, name: str) -> None:
        async with lab.start(spec, name) as machine:
            await machine.resume()

    with pytest.raises(MemoryRefused):
        asyncio.run(start(lab.spec(incoming=memory), "first"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nics = (NicSpec("net0", forwards=(Forward(22, taken.getsockname()[1]),)),)
        with pytest.raises(MachineDied, match="host forwarding") as caught:
            asyncio.run(start(lab.spec(incoming=memory, nics=nics), "second"))
    assert not isinstance(caught.value, MemoryRefused)


def test_fingerprint_names_what_memory_is_bound_to(lab: Lab) -> None:
    found = QemuCheckpoints("7.2.0 (x)", host_cpu="A CPU")

    def fingerprint(accelerator: str, model: str) -> Mapping[str, str]:
        return found.fingerprint(lab.spec(accelerator=accelerator, cpu=CpuSpec(model)))

    assert fingerprint("tcg", "max") == {
        "qemu": "7.2.0 (x)",
        "accelerator": "tcg",
        "machine_type": "pc",
        "cpu": "max",
        "cpus": "1",
        "memory": str(64 * 2**20),
        "display": "std",
        "devices": "2",
    }
    assert "host_cpu" not in fingerprint("kvm", "Nehalem")
    for model in ("max", "host"):
        assert fingerprint("kvm", model)["host_cpu"] == "A CPU"


@pytest.mark.parametrize(
    ("version", "by_name"), [("7.2.22 (Debian)", False), ("8.2.0", True), ("10.0.2", True), ("", False)]
)
def test_memory_goes_through_the_best_door_of_this_qemu(tmp_path: Path, version: str, by_name: bool) -> None:
    handed_over = []

    class Recorder:
        async def send_file(self, name: str, descriptor: int) -> None:
            handed_over.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    memory = tmp_path / "a b"
    uri = asyncio.run(QemuCheckpoints(version)._open(cast("Machine", Recorder()), memory))
    assert uri == (f"file:{memory}" if by_name else "fd:factory-memory")
    assert handed_over == ([] if by_name else [str(memory)])
