"""What ends a wait and what prolongs it, with guests that really hang, spin, chatter and work."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from factory.cli.adapters import MachineProbes, MachineScreens
from factory.deadline import Deadline, Shift, pause, poll
from factory.drivers.machine_spec import Forward, NicSpec, Reboot
from factory.drivers.protocols import (
    ActivityProbe,
    Communicator,
    GuestAddress,
    Machine,
    ScreenReader,
    ShutdownReason,
    TypingReport,
    Typist,
)
from factory.drivers.qemu.activity import differs
from factory.drivers.qemu.machine import QemuMachine
from factory.drivers.qemu.silence import is_stopped
from factory.drivers.qemu.sockets import TcpTraffic
from factory.drivers.screen.frame import Frame
from factory.drivers.ssh import SshCommunicator
from factory.drivers.ssh_keys import generate_build_key
from factory.engine.scope import StepScope
from factory.errors import DeadlineExpired, GuestUnreachable, MachineDied, MachineSilent, MachineStalled
from factory.events import MachineActivity, Note
from factory.plan.resources import BuildSecrets, GuestAt, MachineState
from factory.quantity import Duration
from factory.secret import Redactor
from factory.steps.await_installer import AwaitPowerOff
from factory.steps.connect_guest import ConnectGuest
from factory.steps.expectation import Hands
from factory.steps.start_machine import collect
from factory.steps.watch import watching
from factory.template.model import Finished
from tests.drivers.qemu.conftest import Lab, lab, soon, until_serial
from tests.drivers.qemu.guests import CLI, ECHO, HANG, POWER_OFF, RESET, disk, say

__all__ = ["lab"]
FOREVER = Duration(300)


def run(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes a test of a coroutine."""

    @functools.wraps(test)
    def called(*arguments: Any, **options: Any) -> None:
        asyncio.run(test(*arguments, **options))

    return called


SPIN = b"\xeb\xfe"  # 1: jmp 1b


def shows(text: str) -> bytes:
    """Writes a short text to the screen, through the BIOS; not to the serial line."""
    said = text.encode()
    return (
        b"\xeb" + bytes([len(said)]) + said +  # jmp over the text
        b"\x31\xc0\x8e\xd8\xbe\x02\x7c" +  # xor ax, ax; mov ds, ax; mov si, the text
        b"\xb9" + len(said).to_bytes(2, "little") +  # mov cx, its length
        b"\xac\xb4\x0e\x31\xdb\x56\x51\xcd\x10\x59\x5e\xe2\xf3"  # 1: lodsb; mov ah, 0x0e; …; int 0x10; loop 1b
    )  # fmt: skip


def reads_disk(seconds: float) -> bytes:
    """Reads its disk's first 64 sectors over and over, for so long by the BIOS's clock (18.2 ticks a second)."""
    ticks = int(seconds * 18.2).to_bytes(2, "little")
    return (
        b"\xb8\x40\x00\x8e\xe0"  # mov ax, 0x40; mov fs, ax: the BIOS's data
        b"\xb8\x00\x10\x8e\xc0"  # mov ax, 0x1000; mov es, ax
        b"\xfb"  # sti: the clock must tick
        b"\x64\x8b\x36\x6c\x00"  # mov si, fs:[0x6c]
        b"\xb8\x40\x02"  # 1: mov ax, 0x0240: read 64 sectors
        b"\xb9\x01\x00\xba\x80\x00\x31\xdb"  # mov cx, 1; mov dx, 0x80; xor bx, bx
        b"\xcd\x13"  # int 0x13
        b"\x64\xa1\x6c\x00"  # mov ax, fs:[0x6c]
        b"\x29\xf0\x3d" + ticks +  # sub ax, si; cmp ax, ticks
        b"\x72\xe8"  # jb 1b
    )  # fmt: skip


@asynccontextmanager
async def awaited(lab: Lab, *code: bytes) -> AsyncIterator[tuple[StepScope, QemuMachine]]:
    """A running guest, in the scope that steps get."""
    spec = lab.spec(disk(lab.logs / "disk.raw", *code))
    async with lab.start(spec) as machine:
        scope = StepScope(lab.events.append, "install", lab.logs, lab.root, lab.logs)
        scope.put_as(Machine, machine)
        scope.put_as(ActivityProbe, MachineProbes(MachineScreens(lab.logs)))
        await machine.resume()
        yield scope, machine


def told(lab: Lab) -> MachineActivity:
    return [e for e in lab.events if isinstance(e, MachineActivity)][-1]


@pytest.mark.machine
@run
async def test_a_guest_that_hangs_is_told_long_before_its_deadline(lab: Lab) -> None:
    async with awaited(lab, CLI, say("last words"), HANG) as (scope, _):
        with pytest.raises(MachineStalled, match="no disk, network, serial line or screen has moved") as caught:
            async with AwaitPowerOff(Finished.POWER_OFF, FOREVER, Duration(1)).enter(scope):
                pass
    assert "its CPUs sleep" in caught.value.message
    assert "the installer to finish" in caught.value.message
    assert "last words" in caught.value.evidence.serial
    assert told(lab).quiet >= 1


@pytest.mark.machine
@run
async def test_a_guest_that_spins_hangs_too_but_is_given_longer(lab: Lab) -> None:
    async with awaited(lab, CLI, SPIN) as (scope, _):
        with pytest.raises(MachineStalled, match="its CPUs spin"):
            async with AwaitPowerOff(Finished.POWER_OFF, FOREVER, Duration(0.5)).enter(scope):
                pass
    assert told(lab).quiet >= 2


@pytest.mark.machine
@run
async def test_a_panic_that_only_the_screen_shows_ends_the_wait(lab: Lab) -> None:
    panic = "\r\n[    1.234567] Kernel panic - not syncing: VFS: no root\r\n"
    async with awaited(lab, shows(panic), CLI, SPIN) as (scope, _):
        with pytest.raises(MachineStalled, match="the guest's kernel panicked: VFS: no root"):
            async with AwaitPowerOff(Finished.POWER_OFF, FOREVER, Duration(60)).enter(scope):
                pass


@pytest.mark.machine
@run
async def test_a_guest_that_has_read_its_disk_and_waits_for_a_key_may_not(lab: Lab) -> None:
    async with awaited(lab, reads_disk(1), CLI, SPIN) as (scope, _):
        with pytest.raises(DeadlineExpired, match="waited 12s"):
            async with AwaitPowerOff(Finished.POWER_OFF, Duration(12), Duration(60)).enter(scope):
                pass
    assert not [e for e in lab.events if isinstance(e, Note)]


@pytest.mark.machine
@run
async def test_a_guest_at_work_may_pass_its_deadline(lab: Lab) -> None:
    step = AwaitPowerOff(Finished.POWER_OFF, Duration(2), Duration(3))
    async with awaited(lab, reads_disk(3), POWER_OFF, HANG) as (scope, machine), step.enter(scope):
        assert machine.shutdown_reason is ShutdownReason.GUEST_SHUTDOWN
    notes = [e.message for e in lab.events if isinstance(e, Note)]
    assert notes == [
        "2s for the installer to finish have passed, but the guest is still at work: it may go on, for 6s in all"
    ]


@pytest.mark.machine
@run
async def test_work_without_end_ends_as_well(lab: Lab) -> None:
    async with awaited(lab, reads_disk(3000)) as (scope, _):
        with pytest.raises(DeadlineExpired, match=r"waited [4-9]") as caught:
            async with AwaitPowerOff(Finished.POWER_OFF, Duration(1.5), Duration(3)).enter(scope):
                pass
    assert not isinstance(caught.value, MachineStalled)
    assert told(lab).disk > 2**20


@pytest.mark.machine
@run
async def test_a_guest_that_resets_without_end_loops(lab: Lab) -> None:

    spec = lab.spec(disk(lab.logs / "disk.raw", CLI, say("again\n"), RESET, HANG), reboot=Reboot.RESETS)
    async with lab.start(spec) as machine:
        scope = StepScope(lab.events.append, "boot", lab.logs, lab.root, lab.logs)
        scope.put_as(Machine, machine)
        scope.put_as(ActivityProbe, MachineProbes(MachineScreens(lab.logs)))
        await machine.resume()
        with pytest.raises(MachineStalled, match=r"the guest rebooted \d+ times"):
            async with watching(scope, Deadline.after(Duration(30), "the guest to answer"), Duration(0)) as deadline:
                await machine.wait_for_shutdown(deadline)


@pytest.mark.machine
@run
async def test_a_status_line_that_is_drawn_again_is_no_news(lab: Lab) -> None:
    """As the Debian installer's, once a minute, also while it waits for an answer."""
    async with awaited(lab, CLI, say("up\n"), ECHO) as (scope, machine):
        probe = scope.find(ActivityProbe)  # type: ignore[type-abstract]
        assert probe is not None
        await until_serial(machine, "up")
        counts = []
        for text in ("[ installer ][ 4:51 ]", "[ installer ][ 4:52 ]", "Select a language"):
            await machine.write_serial(f"\x1b[7m{text}\x1b[0m\n")
            await until_serial(machine, f"{text}\x1b[0m\n")
            counts.append((await probe.sample(machine)).serial)
        first, second, third = counts
    assert first == second < third


REPORT = "INFO: task udevd:1 blocked for more than 120 seconds; it does not get on and says so again and again.\r\n"
UNPACKED = " is unpacked, and another will be soon, and so on and so forth\r\n"


def repeats(text: str, first: str, last: str) -> bytes:
    """Writes lines to serial line and screen for ever, *text* behind two characters that are others each time.

    The characters count from *first* to *last*. There is a pause after each ten (digits) or twenty (letters) lines.
    """
    said = first.encode() * 2 + text.encode()
    begin = 0x7C02
    end = begin + len(said)
    return (
        b"\xeb" + bytes([len(said)]) + said +  # jmp over the text
        b"\x31\xc0\x8e\xd8"  # xor ax, ax; mov ds, ax
        b"\xbe" + begin.to_bytes(2, "little") +  # 1: mov si, begin
        b"\xba\xfd\x03\xec\xa8\x20\x74\xf8"  # 2: mov dx, 0x3fd; 3: in al, dx; test al, 0x20; jz 2b: until it is free
        b"\xac\xba\xf8\x03\xee"  # lodsb; mov dx, 0x3f8; out dx, al
        b"\xb4\x0e\x31\xdb\x56\xcd\x10\x5e"  # mov ah, 0x0e; xor bx, bx; push si; int 0x10: the screen; pop si
        b"\x81\xfe" + end.to_bytes(2, "little") +  # cmp si, end
        b"\x75\xe5"  # jne 2b
        b"\xbe" + (begin + 1).to_bytes(2, "little") +  # mov si, the second character
        b"\xfe\x04\x80\x3c" + bytes([ord(last) + 1]) +  # 4: inc byte [si]; cmp byte [si], last + 1
        b"\x75\xd8"  # jne 1b
        b"\xc6\x04" + first.encode() +  # mov byte [si], first
        b"\xfb\xb1\x06\xf4\xfe\xc9\x75\xfb"  # sti; mov cl, 6; 5: hlt; dec cl; jnz 5b: a third of a second
        b"\x4e\xeb\xeb"  # dec si; jmp 4b: carry
    )  # fmt: skip


@pytest.mark.machine
@run
async def test_a_guest_that_repeats_its_report_for_ever_hangs(lab: Lab) -> None:
    """On both its serial line and its screen, with another number each time: more than 1 KiB in every look."""
    async with awaited(lab, repeats(REPORT, "0", "9")) as (scope, machine):
        with pytest.raises(MachineStalled, match="no disk, network, serial line or screen has moved"):
            async with AwaitPowerOff(Finished.POWER_OFF, Duration(60), Duration(1)).enter(scope):
                pass
    assert len(machine.serial_text()) > 4096


@pytest.mark.machine
@run
async def test_a_guest_that_unpacks_one_thing_after_the_other_is_alive(lab: Lab) -> None:
    async with awaited(lab, repeats(UNPACKED, "g", "z")) as (scope, machine):
        probe = scope.find(ActivityProbe)  # type: ignore[type-abstract]
        assert probe is not None
        await until_serial(machine, "is unpacked")
        before = await probe.sample(machine)
        await until_serial(machine, "hz is unpacked")
        after = await probe.sample(machine)
    assert after.serial > before.serial
    assert after.screen > before.screen


@pytest.mark.machine
@run
async def test_a_guest_that_goes_on_saying_new_things_may_pass_its_deadline(lab: Lab) -> None:
    async with awaited(lab, repeats(UNPACKED, "g", "z")) as (scope, _):
        with pytest.raises(DeadlineExpired, match=r"waited (9|1\d)[\d.]*s for the installer to finish") as caught:
            async with AwaitPowerOff(Finished.POWER_OFF, Duration(3), Duration(20)).enter(scope):
                pass
    assert not isinstance(caught.value, MachineStalled)
    assert told(lab).serial > 0
    assert "but the guest is still at work" in next(e.message for e in lab.events if isinstance(e, Note))


@pytest.mark.machine
@run
async def test_one_that_repeats_itself_may_not(lab: Lab) -> None:
    async with awaited(lab, repeats(REPORT, "0", "9")) as (scope, machine):
        await until_serial(machine, "99INFO")
        with pytest.raises(DeadlineExpired, match="waited 2s for the installer to finish"):
            async with AwaitPowerOff(Finished.POWER_OFF, Duration(2), Duration(20)).enter(scope):
                pass
    assert not [e for e in lab.events if isinstance(e, Note)]


@pytest.mark.machine
@run
async def test_no_stall_means_for_ever(lab: Lab) -> None:
    async with awaited(lab, CLI, HANG) as (scope, _):
        with pytest.raises(DeadlineExpired, match=r"waited 1\.5s") as caught:
            async with AwaitPowerOff(Finished.POWER_OFF, Duration(1.5), Duration(0)).enter(scope):
                pass
    assert not isinstance(caught.value, MachineStalled)


@pytest.mark.machine
@run
async def test_the_death_of_the_machine_is_not_taken_for_a_stall(lab: Lab) -> None:

    async def killed() -> None:
        async with awaited(lab, CLI, HANG) as (scope, machine), watching(scope, soon(), Duration(60)) as deadline:
            os.kill(machine.pid, signal.SIGKILL)
            await machine.wait_for_shutdown(deadline)

    with pytest.raises(MachineDied):
        await killed()


@pytest.mark.machine
@run
async def test_a_qemu_that_is_stopped_for_a_while_may_go_on(lab: Lab) -> None:
    """How long it stood still is not counted as its guest's."""
    async with awaited(lab, reads_disk(3), POWER_OFF, HANG) as (scope, machine):

        async def stopped() -> bool | None:
            return True if is_stopped(machine.pid) else None

        async def wake() -> None:
            await pause(Duration(1.5))
            os.kill(machine.pid, signal.SIGCONT)

        os.kill(machine.pid, signal.SIGSTOP)
        await poll(stopped, soon())
        async with asyncio.TaskGroup() as group, watching(scope, soon(), Duration(2)) as deadline:
            group.create_task(wake())
            await machine.wait_for_shutdown(deadline)
    (note,) = [e.message for e in lab.events if isinstance(e, Note)]
    assert f"QEMU does not answer: its process {machine.pid} is stopped (state T): `kill -CONT {machine.pid}`" in note


class Types:
    """``protocols.Typist`` with QEMU's own command and nothing else."""

    async def type(self, machine: Machine, command: str, **options: object) -> TypingReport:
        for _ in command:
            await machine.execute("input-send-event", {"events": []})
        return TypingReport(len(command), 0, 0, Duration(0), ())


@pytest.mark.machine
@run
async def test_a_qemu_that_takes_no_keys_is_told_and_ends_the_typing(lab: Lab, tmp_path: Path) -> None:
    async with awaited(lab, CLI, say("boot: "), HANG) as (scope, machine):
        scope.put_as(ScreenReader, MachineScreens(lab.logs))
        scope.put_as(Typist, Types())
        await until_serial(machine, "boot: ")
        os.kill(machine.pid, signal.SIGSTOP)
        with pytest.raises(MachineSilent, match="while waiting for the boot command to be typed, QEMU does not answer"):
            await Hands(scope, "us", Duration(1)).type("linux\n")
        evidence = await collect(scope, machine, tmp_path)
    (note,) = [e.message for e in lab.events if isinstance(e, Note)]
    assert "is stopped (state T)" in note
    assert evidence.notes == (f"no screenshot: QEMU does not answer: its process {machine.pid} is stopped (state T)",)


@pytest.mark.machine
@run
async def test_bytes_that_a_machine_carries_over_tcp_are_counted() -> None:
    """The process is this one: it opens a connection and accepts one; only the first is its guest's."""

    traffic = TcpTraffic(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            before = traffic.bytes()
            theirs.sendall(b"x" * 100_000)
            left = 100_000
            while left:
                left -= len(ours.recv(65536))
            assert 100_000 <= traffic.bytes() - before < 110_000
    after = traffic.bytes()
    assert after >= before + 100_000  # what was carried stays carried


@pytest.fixture
def screens() -> tuple[Frame, Frame, Frame]:
    """A black screen of 720x400, the same with a clock's five cells changed, and with two lines of text."""
    black = bytearray(720 * 400 * 3)

    def painted(cells: int) -> Frame:
        pixels = bytearray(black)
        for cell in range(cells):
            for row in range(16):
                start = (row * 720 + cell % 80 * 9 + cell // 80 * 16 * 720) * 3
                pixels[start : start + 27] = b"\xff" * 27
        return Frame(720, 400, bytes(pixels))

    return painted(0), painted(5), painted(160)


@pytest.mark.unit
def test_a_clock_is_no_change_of_the_screen(screens: tuple[Frame, Frame, Frame]) -> None:
    blank, clock, text = screens
    assert not differs(blank, blank)
    assert not differs(blank, clock)
    assert differs(blank, text)
    assert differs(blank, Frame(640, 480, bytes(640 * 480 * 3)))


@pytest.mark.unit
@run
async def test_a_deadline_that_is_moved_ends_who_waits_within_it() -> None:
    shift = Shift()
    deadline = Deadline.after(Duration(1000), "what never comes").movable(shift)
    assert deadline.left > 900

    async def wait() -> None:
        async with deadline.limit():
            shift.move(-2000)
            while True:
                await pause(Duration(0))

    with pytest.raises(DeadlineExpired, match="for what never comes"):
        await wait()
    assert deadline.expired
    shift.move(5000)
    assert not deadline.expired
    assert deadline.error().message == "waited 1h6m40s for what never comes", "so long it was in the end"


@pytest.mark.machine
@run
async def test_a_guest_that_does_not_answer_and_sleeps_is_named_with_both(lab: Lab, tmp_path: Path) -> None:
    """The step that connects: no server speaks, and the machine sleeps."""

    spec = lab.spec(disk(lab.logs / "disk.raw", CLI, HANG), nics=(NicSpec("net0", forwards=(Forward(22),)),))
    async with lab.start(spec) as machine:
        scope = StepScope(lab.events.append, "boot", lab.logs, lab.root, lab.logs)
        scope.put_as(Machine, machine)
        scope.put_as(ActivityProbe, MachineProbes(MachineScreens(lab.logs)))
        scope.put_as(Communicator, SshCommunicator())
        scope.put(Redactor())
        key = tmp_path / "key"
        key.write_bytes(generate_build_key().private_pem.reveal())
        scope.put(BuildSecrets(key, "", {}))
        scope.put(MachineState(tmp_path))
        await machine.resume()
        scope.put(GuestAt(GuestAddress("127.0.0.1", await machine.forwarded_port(22))))
        with pytest.raises((MachineStalled, GuestUnreachable)) as caught:
            async with ConnectGuest("root", None, None, FOREVER, Duration(2)).enter(scope):
                pass
    assert isinstance(caught.value, MachineStalled)
    assert "the guest to answer by SSH, the guest hung" in caught.value.message
    assert "no SSH server spoke" in caught.value.message
