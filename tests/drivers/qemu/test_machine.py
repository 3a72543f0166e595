"""Machines as real QEMU runs them."""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from factory.deadline import Deadline
from factory.drivers.machine_spec import (
    Bus,
    CdromSpec,
    CpuSpec,
    DiskSpec,
    FloppySpec,
    Forward,
    NicSpec,
    Reboot,
    TpmSpec,
    UefiSpec,
)
from factory.drivers.process import run
from factory.drivers.protocols import MachineDriver, ShutdownReason
from factory.drivers.qemu.driver import QemuDriver
from factory.errors import DeadlineExpired, HostError, StepError
from factory.events import QmpEvent
from factory.quantity import Duration, Size
from factory.secret import MASK, Redactor
from tests.drivers.qemu import guests
from tests.drivers.qemu.conftest import Lab, soon, until_serial
from tests.drivers.qemu.running import go
from tests.drivers.test_process import alive, gone

pytestmark = pytest.mark.machine


OVMF = Path("/usr/share/OVMF")


def test_reset_and_power_off_are_told_apart(lab: Lab) -> None:
    async def ends(code: bytes, name: str) -> ShutdownReason:
        image = guests.disk(lab.logs / f"{name}.raw", guests.CLI, code, guests.HANG)
        async with lab.start(lab.spec(image), name) as machine:
            await machine.resume()
            reason = await machine.wait_for_shutdown(soon())
            # The process waits for us: what was on the screen can still be looked at.
            assert alive(machine.pid)
            assert machine.shutdown_reason is reason
        assert gone(machine.pid)
        return reason

    assert go(ends(guests.RESET, "reset")) is ShutdownReason.GUEST_RESET
    assert go(ends(guests.POWER_OFF, "off")) is ShutdownReason.GUEST_SHUTDOWN
    names = [event.name for event in lab.events if isinstance(event, QmpEvent)]
    assert names.count("SHUTDOWN") >= 2


def test_nothing_runs_before_resume(lab: Lab) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.say("up"), guests.HANG)

    async def test() -> None:
        async with lab.start(lab.spec(image)) as machine:
            assert (await machine.execute("query-status"))["status"] == "prelaunch"
            assert machine.serial_text() == ""
            await machine.resume()
            await until_serial(machine, "up")

    go(test())


def test_reset_can_be_left_to_the_guest(lab: Lab) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.say("boot\r\n"), guests.RESET, guests.HANG)

    async def test() -> None:
        async with lab.start(lab.spec(image, reboot=Reboot.RESETS)) as machine:
            await machine.resume()
            await until_serial(machine, "boot\nboot\n")

    go(test())


def test_waiting_too_long_is_named_and_explained(lab: Lab) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.say("stuck here"), guests.HANG)

    async def test() -> None:
        async with lab.start(lab.spec(image)) as machine:
            await machine.resume()
            await until_serial(machine, "stuck here")
            await machine.wait_for_shutdown(Deadline.after(Duration(0.2), "the installer to finish"))

    with pytest.raises(DeadlineExpired, match="the installer to finish") as caught:
        go(test())
    assert "stuck here" in caught.value.evidence.serial


def test_serial_line_is_logged_typed_on_and_shared(lab: Lab) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.say("ready\r\n"), guests.ECHO)

    async def test() -> None:
        async with lab.start(lab.spec(image)) as machine:
            await machine.resume()
            await until_serial(machine, "ready\n")
            await machine.write_serial("ours ")
            await until_serial(machine, "ours")
            path = (await machine.attachments())["serial"]
            reader, writer = await asyncio.open_unix_connection(path)
            assert b"ready" in await reader.readuntil(b"ours ")  # who comes late sees what was said
            writer.write(b"theirs")
            assert await reader.readuntil(b"theirs") == b"theirs"
            await until_serial(machine, "ours theirs")
            writer.close()

    go(test())
    log = lab.logs / "m" / "serial.log"
    assert b"ready\r\nours theirs" in log.read_bytes()


def test_secrets_in_a_machines_logs_are_masked_when_it_has_ended(lab: Lab) -> None:
    secret = "it's, sesame"
    image = guests.disk(lab.logs / "d.raw", guests.say(f"pw {secret}\r\n"), guests.HANG)
    spec = lab.spec(image, extra_args=("-smbios", f"type=11,value=pw={secret.replace(',', ',,')}"))
    logs, redactor = lab.logs / "m", Redactor([secret])

    async def test() -> None:
        driver = QemuDriver(redactor)
        async with driver.start(spec, runtime_dir=lab.root / "m", log_dir=logs, emit=lab.events.append) as machine:
            await machine.resume()
            await until_serial(machine, secret)
            await machine.screenshot(logs / "screen.png")
            raise StepError("the build fails")

    with pytest.raises(StepError, match="the build fails"):
        go(test())
    assert (logs / "serial.log").read_text() == f"pw {MASK}\n"
    said = (logs / "qemu.argv").read_text()
    assert MASK in said
    assert "sesame" not in said
    assert {path.name: path.stat().st_mode & 0o777 for path in logs.iterdir()} == dict.fromkeys(
        ("qemu.argv", "qemu.log", "serial.log", "screen.png"), 0o600
    )


def test_screenshot_shows_the_screen(lab: Lab) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.BLUE_SCREEN, guests.say("drawn"), guests.HANG)
    picture = lab.logs / "screen.png"

    async def test() -> None:
        async with lab.start(lab.spec(image)) as machine:
            await machine.resume()
            await until_serial(machine, "drawn")
            await machine.screenshot(picture)

    go(test())
    with Image.open(picture) as shown:
        assert shown.format == "PNG"
        assert shown.convert("RGB").getpixel((600, 300)) == (0, 0, 168)
    assert [path.name for path in picture.parent.glob("*.png*")] == ["screen.png"]


def test_screenshot_without_a_display_is_refused(lab: Lab) -> None:
    async def test() -> None:
        async with lab.start(lab.spec(display="none")) as machine:
            await machine.screenshot(lab.logs / "screen.png")

    with pytest.raises(StepError, match="QEMU refuses 'screendump'"):
        go(test())


def test_screenshot_by_a_qemu_that_writes_no_png(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = lab.logs / "screen.png"

    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            real = machine._qmp.execute

            async def old(command: str, arguments: Mapping[str, Any] | None = None) -> Any:
                if arguments and arguments.get("format"):
                    raise StepError("QEMU refuses 'screendump': Enable PNG support with libpng for screendump")
                return await real(command, arguments)

            monkeypatch.setattr(machine._qmp, "execute", old)
            await machine.screenshot(picture)
            monkeypatch.undo()

    go(test())
    with Image.open(picture) as shown:
        assert shown.format == "PNG"


def test_people_can_look(lab: Lab) -> None:
    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            places = await machine.attachments()
            assert places.keys() == {"vnc", "serial", "observer"}
            assert {name: Path(place).stat().st_mode & 0o777 for name, place in places.items()} == dict.fromkeys(
                places, 0o600
            )
            reader, writer = await asyncio.open_unix_connection(places["vnc"])
            assert (await reader.readexactly(4)) == b"RFB "
            writer.close()
        async with lab.start(lab.spec(display="none"), "blind") as machine:
            assert (await machine.attachments()).keys() == {"serial", "observer"}

    go(test())


def test_a_visitor_asks_qemu_while_the_build_does(lab: Lab) -> None:
    async def visit(place: str) -> str:
        reader, writer = await asyncio.open_unix_connection(place)
        assert b'"QMP"' in await reader.readline()
        answers = []
        for command in ("qmp_capabilities", "query-status"):
            writer.write(f'{{"execute": "{command}"}}\n'.encode())
            answers.append(await reader.readline())
        writer.close()
        return answers[-1].decode()

    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            place = (await machine.attachments())["observer"]
            for _ in range(2):  # QEMU waits for the next visitor when one has left
                assert "prelaunch" in await visit(place)
                assert (await machine.execute("query-status"))["status"] == "prelaunch"

    go(test())


def test_driver_keeps_the_protocol() -> None:
    driver: MachineDriver = QemuDriver()  # mypy holds every signature
    assert driver


def test_forwards_listen_on_loopback_alone(lab: Lab) -> None:
    spec = lab.spec(nics=(NicSpec("nic0", forwards=(Forward(22), Forward(5986))),))

    async def test() -> None:
        async with lab.start(spec) as machine:
            ports = [await machine.forwarded_port(22), await machine.forwarded_port(5986)]
            assert len(set(ports)) == 2
            listening = await run(["ss", "-Hltnp"], deadline=soon("ss"))
            ours = [line.split()[3] for line in listening.stdout.splitlines() if f"pid={machine.pid}," in line]
            assert sorted(ours) == sorted(f"127.0.0.1:{port}" for port in ports)
            with pytest.raises(StepError, match="port 23"):
                await machine.forwarded_port(23)

    go(test())


def test_qmp_errors_are_qemus_own_words(lab: Lab) -> None:
    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            with pytest.raises(StepError, match="The command no-such-command has not been found"):
                await machine.execute("no-such-command")
            assert (await machine.execute("query-status"))["running"] is False

    go(test())


def test_subscribers_hear_events_and_a_broken_one_harms_nobody(lab: Lab) -> None:
    heard: list[str] = []

    def broken(name: str, data: Mapping[str, Any]) -> None:
        raise ValueError("no")

    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            machine.subscribe(broken)
            stop = machine.subscribe(lambda name, data: heard.append(name))
            await machine.resume()
            await machine.execute("stop")
            stop()
            await machine.resume()

    go(test())
    assert heard == ["RESUME", "STOP"]


def test_command_line_can_be_pasted(lab: Lab) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.HANG)

    async def test() -> None:
        async with lab.start(lab.spec(image)):
            pass

    go(test())
    argv = shlex.split((lab.logs / "m" / "qemu.argv").read_text())
    with subprocess.Popen(argv) as qemu:
        try:
            control = lab.root / "m" / "qmp.sock"
            with socket.socket(socket.AF_UNIX) as client:
                while not control.exists() or client.connect_ex(str(control)):
                    assert qemu.poll() is None
                assert client.makefile().readline().startswith('{"QMP"')
        finally:
            qemu.kill()


@pytest.mark.parametrize("machine_type", ["pc", "q35"])
def test_every_bus_is_accepted(lab: Lab, machine_type: str) -> None:
    disks = []
    for index, bus in enumerate(Bus):
        image = guests.disk(lab.logs / f"{bus}.raw", guests.HANG)
        disks.append(DiskSpec(f"disk-{bus}", image, "raw", bus, index, serial=f"serial{index}"))
    # A comma in a file's name must not end the option.
    iso = guests.disk(lab.logs / "a,b.iso", guests.HANG)
    cdroms = [CdromSpec(f"cd-{bus}", iso, bus) for bus in Bus if bus is not Bus.NVME]
    spec = lab.spec(
        machine_type=machine_type,
        disks=tuple(disks),
        cdroms=(*cdroms, CdromSpec("cd-empty", None, Bus.SCSI)),
        floppies=(FloppySpec("fd0", guests.disk(lab.logs / "fd", guests.HANG, size=1440 * 1024)),),
        nics=(NicSpec("nic0"), NicSpec("nic1", "e1000", restricted=True)),
        usb_tablet=True,
        cpu=CpuSpec(count=2, sockets=1, cores=2),
    )

    async def test() -> set[str]:
        async with lab.start(spec) as machine:
            blocks = await machine.execute("query-block")
            return {block["qdev"].removeprefix("/machine/peripheral/").split("/")[0] for block in blocks}

    seen = go(test())
    assert {disk.id for disk in disks} | {cdrom.id for cdrom in cdroms} | {"cd-empty", "fd0"} <= seen


def test_discarded_and_zeroed_blocks_leave_the_image(lab: Lab) -> None:
    image = lab.logs / "d.raw"
    image.write_bytes(b"x" * 2**20)
    full = image.stat().st_blocks

    async def test(*lines: str) -> int:
        async with lab.start(lab.spec(image)) as machine:
            for line in lines:
                await machine.execute("human-monitor-command", {"command-line": f'qemu-io -d main "{line}"'})
        return image.stat().st_blocks

    assert go(test("discard 0 512k")) <= full // 2 + 8
    assert go(test("write -P 0 512k 256k")) <= full // 4 + 8


def test_a_window_of_a_file_is_a_disk(lab: Lab) -> None:
    outer = lab.logs / "outer"
    outer.write_bytes(b"\0" * 4096 + guests.sector(guests.say("inside"), guests.HANG) + b"\0" * 65536)
    window = DiskSpec("main", outer, "raw", Bus.IDE, 0, read_only=False, offset=4096, length=32768)

    async def test() -> None:
        async with lab.start(lab.spec(disks=(window,))) as machine:
            block = (await machine.execute("query-block"))[0]
            assert block["inserted"]["image"]["virtual-size"] == 32768
            await machine.resume()
            await until_serial(machine, "inside")

    go(test())


@pytest.mark.parametrize("bus", list(Bus))
def test_every_bus_boots(lab: Lab, bus: Bus) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.say(f"from {bus}"), guests.HANG)
    spec = lab.spec(disks=(DiskSpec("main", image, "raw", bus, 0),), machine_type="q35")

    async def test() -> None:
        async with lab.start(spec) as machine:
            await machine.resume()
            await until_serial(machine, f"from {bus}")

    go(test())


@pytest.mark.parametrize("code", ["OVMF_CODE_4M.fd", "OVMF_CODE_4M.ms.fd"], ids=["plain", "secure-boot"])
def test_uefi_starts_to_its_shell_with_a_tpm_and_keeps_its_variables(lab: Lab, code: str) -> None:
    template = OVMF / code.replace("CODE", "VARS")
    variables = lab.logs / "vars.fd"
    variables.write_bytes(template.read_bytes())
    secure = ".ms." in code

    async def test() -> None:
        driver = QemuDriver()
        state = lab.logs / "tpm"
        async with driver.start_tpm(state, runtime_dir=lab.root, version="2.0", emit=lab.events.append) as tpm:
            spec = lab.spec(
                machine_type="q35",
                uefi=UefiSpec(OVMF / code, variables, secure_boot=secure),
                tpm=TpmSpec(tpm),
                memory=Size.parse("256 MiB"),
            )
            async with lab.start(spec) as machine:
                assert [chip["model"] for chip in await machine.execute("query-tpm")] == ["tpm-crb"]
                await machine.resume()
                # With keys enrolled even the shell is refused, for nobody signed it.
                await until_serial(machine, "Security Violation" if secure else "Interactive Shell")
            assert any(state.iterdir())

    go(test())
    assert variables.read_bytes() != template.read_bytes()


def test_a_tpm_that_does_not_exist_is_refused(lab: Lab) -> None:
    async def start(version: str, runtime_dir: Path) -> None:
        async with QemuDriver().start_tpm(
            lab.logs / "tpm", runtime_dir=runtime_dir, version=version, emit=lab.events.append
        ):
            pytest.fail("there is no such TPM")

    with pytest.raises(ValueError, match=r"no TPM '3\.0'"):
        go(start("3.0", lab.root))
    with pytest.raises(HostError, match="no socket can be made"):
        go(start("2.0", lab.root / ("x" * 100)))


def test_a_folder_too_long_for_sockets_is_refused(lab: Lab) -> None:
    async def test() -> None:
        async with lab.start(lab.spec(), "x" * 100):
            pytest.fail("no socket fits there")

    with pytest.raises(HostError, match="too long"):
        go(test())


def test_a_machine_that_cant_be_is_refused(lab: Lab) -> None:
    cdroms = tuple(CdromSpec(f"cd{n}", None) for n in range(5))

    async def test() -> None:
        async with lab.start(lab.spec(cdroms=cdroms)):
            pytest.fail("a PC has room for four")

    with pytest.raises(StepError, match="4 disks and CDs"):
        go(test())
