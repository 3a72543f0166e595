"""Every long wait is watched: blind ones, those of verification, of provisioners and of the power-off too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from factory.cli.adapters import MachineProbes, MachineScreens, make_build_key
from factory.deadline import Deadline
from factory.drivers.guestfs.appliance import GuestfsDriver
from factory.drivers.guestfs.environment import ApplianceSettings
from factory.drivers.protocols import Communicator, GuestAddress, Machine, ScreenReader
from factory.drivers.qemu.disk_image import QemuImg
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.ssh import SshCommunicator
from factory.drivers.ssh_banner import wait_for_banner
from factory.errors import MachineStalled, StepError
from factory.events import Note
from factory.plan.resources import BuildName
from factory.provision.context import Policy, run_provisioner
from factory.provision.shell import Script, ShellProvisioner
from factory.quantity import Duration
from factory.steps import machine_waits, watch
from factory.steps.connect_guest import GuestLink
from factory.steps.machine_waits import MachineWaits
from factory.steps.run_provisioner import Surroundings
from factory.steps.shut_down import ShutDown
from factory.verify.machine import look
from factory.verify.model import NO_LOGIN, Bench, Boot, Request, Seen
from tests.drivers.qemu.conftest import Lab, lab
from tests.drivers.qemu.guests import CLI, HANG, say
from tests.drivers.ssh_server import guest
from tests.steps.test_watch import FOREVER, SPIN, awaited, reads_disk, run

__all__ = ["lab"]
pytestmark = pytest.mark.machine


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LEAVE", Duration(3))
    monkeypatch.setattr(watch, "_ANSWER", Duration(2))
    monkeypatch.setattr(machine_waits, "_WORTH_A_LOOK", Duration(0))


@run
async def test_a_blind_wait_ends_when_the_guest_hangs(lab: Lab) -> None:
    async with awaited(lab, CLI, say("last words"), HANG) as (scope, _):
        scope.put_as(ScreenReader, MachineScreens(lab.logs))
        with pytest.raises(MachineStalled, match="for 5m to pass, as the boot command says, the guest hung") as caught:
            await MachineWaits(scope, Duration(1)).wait(FOREVER)
    assert "last words" in caught.value.evidence.serial


@run
async def test_a_blind_wait_ends_when_the_kernel_panics(lab: Lab) -> None:
    async with awaited(lab, CLI, say("Kernel panic - not syncing: no root\r\n"), SPIN) as (scope, _):
        scope.put_as(ScreenReader, MachineScreens(lab.logs))
        with pytest.raises(MachineStalled, match="the guest's kernel panicked: no root"):
            await MachineWaits(scope, Duration(60)).wait(FOREVER)


@run
async def test_a_blind_wait_is_as_long_as_it_says_whatever_the_guest_does(lab: Lab) -> None:
    async with awaited(lab, reads_disk(3000)) as (scope, _):
        scope.put_as(ScreenReader, MachineScreens(lab.logs))
        started = time.monotonic()
        await MachineWaits(scope, Duration(30)).wait(Duration(2))
        assert 2 <= time.monotonic() - started < 4
    assert not [e for e in lab.events if isinstance(e, Note)]


@run
async def test_a_guest_that_hangs_while_it_powers_off_is_told_as_such(lab: Lab) -> None:
    async with awaited(lab, CLI, HANG) as (scope, _):
        with pytest.raises(MachineStalled, match="while waiting for the guest to power off, the guest hung"):
            async with ShutDown(None, FOREVER, Duration(3)).enter(scope):
                pass


@run
async def test_a_guest_that_works_and_does_not_power_off_is_no_hung_one(lab: Lab) -> None:
    async with awaited(lab, reads_disk(3000)) as (scope, _):
        with pytest.raises(StepError, match="did not power off within 2s") as caught:
            async with ShutDown(None, Duration(2), Duration(30)).enter(scope):
                pass
    assert not isinstance(caught.value, MachineStalled)


@run
async def test_verification_does_not_wait_out_its_deadline_for_an_image_that_hangs(lab: Lab) -> None:
    async with awaited(lab, CLI, HANG) as (_, machine):
        screens = MachineScreens(lab.logs)
        watched = watch.watcher(MachineProbes(screens), lab.events.append, Duration(1))
        appliance = GuestfsDriver(ApplianceSettings(Path("python3"), lab.logs))
        bench = Bench(
            QemuDriver(), QemuImg(), appliance, wait_for_banner, SshCommunicator(), make_build_key, screens,
            machine.spec, {}, watch=watched,
        )  # fmt: skip
        request = Request(login=NO_LOGIN, deadline=FOREVER)
        with pytest.raises(MachineStalled, match="for the exported image to come up, the guest hung") as caught:
            await look(
                bench, machine, request, Seen(Boot(None, 1, ())), None,  # type: ignore[arg-type]
                network=True, folder=lab.logs, emit=lab.events.append,
            )  # fmt: skip
    assert "neither the serial line nor the screen shows a login prompt" in caught.value.message


class Line:
    """Carries bytes to a server until it is cut: then it stays open, and nothing passes any more."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    @asynccontextmanager
    async def to(self, address: GuestAddress) -> AsyncIterator[GuestAddress]:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(address.host, address.port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, back))
                    group.create_task(self._pass(there, writer))
            finally:
                back.close()
                writer.close()

        server = await asyncio.start_server(carry, "127.0.0.1", 0)
        async with server:
            yield GuestAddress("127.0.0.1", server.sockets[0].getsockname()[1])

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.open.wait()
            writer.write(data)


def shell(line: str) -> ShellProvisioner:
    return ShellProvisioner((Script.inline((line,)),))


@pytest.mark.parametrize("cut", [False, True], ids=["answers", "does not answer"])
def test_a_silent_provisioner_hangs_only_if_its_guest_does_not_answer(lab: Lab, tmp_path: Path, cut: bool) -> None:
    """The machine's processors sleep in both cases; what its guest's server says makes the difference."""

    async def go() -> None:
        line = Line()
        async with (
            awaited(lab, CLI, HANG) as (scope, machine),
            guest(tmp_path / "home") as host,
            line.to(host.address) as address,
        ):
            scope.put(BuildName("t"))
            scope.put_as(Communicator, SshCommunicator())
            link = GuestLink(scope.get(Communicator), address, host.credentials(), lab.events.append)  # type: ignore[type-abstract]
            await link.connect(Deadline.after(Duration(60), "the server"))
            scope.put(link)
            assert scope.find(Machine) is machine  # type: ignore[type-abstract]
            surroundings = Surroundings("quiet", scope, Duration(1))
            try:
                async with surroundings.at_work():
                    if cut:
                        line.open.clear()
                    await run_provisioner(shell("sleep 4"), surroundings, Policy())
            finally:
                line.open.set()
                await link.close()
                await host.stop()

    if not cut:
        asyncio.run(go())
        return
    with pytest.raises(MachineStalled, match="while waiting for provisioner 'quiet', the guest hung"):
        asyncio.run(go())
