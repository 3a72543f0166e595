"""How machines end: by themselves, with the build, and with the program."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from factory.deadline import pause
from factory.drivers.qemu.qmp import QmpConnection
from factory.errors import MachineDied, MachineSilent, StoreError
from factory.events import CommandStarted, QmpEvent
from factory.quantity import Duration, Size
from tests.drivers.qemu import guests
from tests.drivers.qemu.conftest import Lab, soon
from tests.drivers.qemu.running import go
from tests.drivers.test_process import gone

pytestmark = pytest.mark.machine


def test_qemu_that_does_not_come_up_says_why(lab: Lab) -> None:
    async def test() -> None:
        async with lab.start(lab.spec(lab.logs / "missing.raw")):
            pytest.fail("there is nothing to start")

    with pytest.raises(MachineDied, match=r"did not come up \(status 1\).*missing\.raw") as caught:
        go(test())
    assert "No such file" in caught.value.evidence.stderr
    assert caught.value.evidence.argv[0] == "qemu-system-x86_64"


def test_a_known_death_has_a_way_out(lab: Lab) -> None:
    image = guests.disk(lab.logs / "d.raw", guests.HANG)

    async def test() -> None:
        async with lab.start(lab.spec(image), "first"), lab.start(lab.spec(image), "second"):
            pytest.fail("both opened the same disk for writing")

    with pytest.raises(MachineDied, match="lock") as caught:
        go(test())
    assert "another QEMU" in caught.value.hint


def test_a_full_disk_ends_the_wait_instead_of_the_guest_standing_still_for_ever(lab: Lab) -> None:
    """QEMU stops a guest whose disk can't grow; `blkdebug` says ENOSPC to every write, with no disk to fill."""
    image = guests.disk(lab.logs / "full.raw", guests.FILL_DISK)
    os.truncate(image, Size.parse("64 MiB"))
    debug = (
        "driver=blkdebug,node-name=full,image.driver=file,image.filename=" + str(image) + ","
        f"inject-error.0.event=none,inject-error.0.iotype=write,inject-error.0.errno={errno.ENOSPC}"
    )
    spec = lab.spec(extra_args=("-blockdev", debug, "-device", "ide-hd,drive=full,bootindex=0"))

    async def test() -> None:
        async with lab.start(spec) as machine:
            await machine.resume()
            await machine.wait_for_shutdown(soon())

    with pytest.raises(StoreError, match=r"no space left in .*: the guest's disk can't grow") as caught:
        go(test())
    assert caught.value.exit_code == 6
    assert "FACTORY_CACHE" in caught.value.hint
    errors = [event for event in lab.events if isinstance(event, QmpEvent) and event.name == "BLOCK_IO_ERROR"]
    assert len(errors) == 1


def test_death_interrupts_whatever_waits_within_a_second(lab: Lab) -> None:
    after: list[float] = []

    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            await machine.resume()
            os.kill(machine.pid, signal.SIGKILL)
            killed = time.monotonic()
            try:
                await pause(Duration(600))
            finally:
                after.append(time.monotonic() - killed)

    with pytest.raises(MachineDied, match=r"ended by itself \(status -9\)"):
        go(test())
    assert after[0] < 1


def test_death_ends_a_wait_for_shutdown_and_a_command(lab: Lab) -> None:
    async def waiting() -> None:
        async with lab.start(lab.spec()) as machine:
            os.kill(machine.pid, signal.SIGTERM)  # QEMU says SHUTDOWN/host-signal and ends with status 0
            await machine.wait_for_shutdown(soon())
            await pause(Duration(600))

    async def commanding() -> None:
        async with lab.start(lab.spec()) as machine:
            os.kill(machine.pid, signal.SIGKILL)
            while True:
                await machine.execute("query-status")

    with pytest.raises(MachineDied, match="terminating on signal 15"):
        go(waiting())
    with pytest.raises(MachineDied, match="status -9"):
        go(commanding())


def test_the_users_own_error_comes_out_unwrapped(lab: Lab) -> None:
    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            lab.events.clear()
            raise KeyError(machine.pid)

    with pytest.raises(KeyError) as caught:
        go(test())
    assert gone(int(caught.value.args[0]))


def test_cancelling_ends_qemu(lab: Lab) -> None:
    async def test() -> int:
        up = asyncio.Event()

        async def build() -> None:
            async with lab.start(lab.spec()):
                up.set()
                await pause(Duration(600))

        task = asyncio.ensure_future(build())
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return next(event.pid for event in lab.events if isinstance(event, CommandStarted))

    assert gone(go(test()))


def test_a_stopped_qemu_is_told_as_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QmpConnection.execute, "__kwdefaults__", {"patience": Duration(0.5)})

    async def test() -> None:
        async with lab.start(lab.spec()) as machine:
            os.kill(machine.pid, signal.SIGSTOP)
            await machine.execute("query-status")

    with pytest.raises(MachineSilent, match=r"its process \d+ is stopped \(state T\); waited 500ms for QEMU") as caught:
        go(test())
    assert "kill -CONT" in caught.value.hint


def test_a_stopped_qemu_ends_too(lab: Lab) -> None:
    async def test() -> int:
        async with lab.start(lab.spec()) as machine:
            os.kill(machine.pid, signal.SIGSTOP)
            pid: int = machine.pid
        return pid

    assert gone(go(test()))


_FACTORY = """
import asyncio, signal, sys
from pathlib import Path
from factory.deadline import pause
from factory.drivers.machine_spec import MachineSpec
from factory.drivers.qemu.driver import QemuDriver
from factory.events import ignore
from factory.quantity import Duration, Size

# A shell that starts this in the background has SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


async def main(root):
    spec = MachineSpec("killed", "qemu-system-x86_64", "pc", "tcg", Size(64 * 2**20))
    driver = QemuDriver()
    async with driver.start_tpm(root / "tpm", runtime_dir=root, version="2.0", emit=ignore):
        async with driver.start(spec, runtime_dir=root, log_dir=root, emit=ignore) as machine:
            await machine.resume()
            print(machine.pid, flush=True)
            await pause(Duration(600))

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_factory_leaves_no_qemu(lab: Lab, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _FACTORY, str(lab.root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        qemu = int(parent.stdout.readline())
        children = subprocess.run(["pgrep", "-P", str(parent.pid)], capture_output=True, text=True, check=True)
        pids = [int(pid) for pid in children.stdout.split()]
        assert qemu in pids
        assert len(pids) == 3  # with swtpm and the watchdog
        parent.send_signal(number)
        parent.wait()
    assert gone(*pids)
