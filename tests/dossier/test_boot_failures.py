"""Rules for guests that do not start, each on a machine that really fails that way, and the sentence that it gives."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from factory.deadline import Deadline, poll
from factory.drivers.machine_spec import Forward, KernelSpec, NicSpec, Reboot
from factory.drivers.protocols import GuestAddress, Machine
from factory.drivers.qemu.silence import is_stopped
from factory.plan.resources import GuestAt, KernelFiles
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.await_installer import AwaitPowerOff
from factory.steps.connect_guest import ConnectGuest
from factory.steps.start_machine import Role, StartMachine
from factory.template.model import Finished
from tests.dossier.broken_build import Bench, Given, Heard
from tests.drivers.qemu.guests import CLI, HANG, RESET, disk, say
from tests.steps.test_watch import SPIN, reads_disk

pytestmark = pytest.mark.machine

PATIENCE = Duration(120)


def installer_ends(budget: float = float(PATIENCE), stall: float = 2) -> AwaitPowerOff:
    return AwaitPowerOff(Finished.RESET, Duration(budget), Duration(stall))


def connect(budget: float = float(PATIENCE), stall: float = 0) -> ConnectGuest:
    return ConnectGuest("root", None, None, Duration(budget), Duration(stall))


def test_a_kernel_that_panics(bench: Bench, tiny_kernel: KernelFiles) -> None:
    """And resets the machine then, which is how an installation that went well ends too."""
    kernel = KernelSpec(
        tiny_kernel.kernel, None, "console=ttyS0,115200 no_timer_check quiet root=/dev/nowhere panic=-1"
    )
    spec = bench.spec(memory="256 MiB", kernel=kernel)
    found = bench.fails(StartMachine(spec, Role.INSTALL), installer_ends(stall=0))
    assert found.verdict.rule == "kernel-panic"
    assert found.verdict.sentence == (
        "The installer's kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)."
    )
    assert "root=" in found.verdict.advice[0]
    assert "Kernel panic - not syncing" in found.quoted


def test_nothing_to_boot(bench: Bench) -> None:
    found = bench.fails(StartMachine(bench.spec(), Role.BOOT), connect_nowhere(), phase="boot")
    assert found.verdict.rule == "no-bootable-device"
    assert found.verdict.sentence == (
        "The machine found nothing to boot on its disks: the installation left no boot loader there."
    )
    assert found.quoted == "No bootable device."


def connect_nowhere() -> AwaitPowerOff:
    """Waits for a machine that has no port: what it does is on its screen."""
    return installer_ends()


def test_a_windows_that_stops_itself(bench: Bench) -> None:
    words = "Your PC ran into a problem and needs to restart.\nStop code: INACCESSIBLE_BOOT_DEVICE\n"
    found = bench.fails(StartMachine(bench.spec(CLI, say(words), HANG), Role.BOOT), installer_ends(), phase="boot")
    assert found.verdict.rule == "windows-stop"
    assert found.verdict.sentence == (
        "The guest's Windows stopped itself, with the stop code INACCESSIBLE_BOOT_DEVICE."
    )
    assert "machine.disks[].bus" in found.verdict.advice[0]


def test_a_guest_that_reboots_in_a_loop(bench: Bench) -> None:
    spec = bench.spec(CLI, say("starting\n"), RESET, HANG, reboot=Reboot.RESETS)
    found = bench.fails(StartMachine(spec, Role.BOOT), installer_ends(budget=20, stall=0), phase="boot")
    assert found.verdict.rule == "reboot-loop"
    assert found.verdict.sentence.startswith("The guest rebooted ")
    assert found.verdict.sentence.endswith(" instead of starting up.")
    assert "starting" in found.quoted


def test_a_guest_that_is_too_slow(bench: Bench) -> None:
    """It reads and reads: nothing is wrong but that its time is up."""
    image = disk(bench.root / "main.raw", reads_disk(3000))
    spec = bench.spec(extra_args=("-drive", f"file={image},format=raw,if=ide"))  # no disk that is a layer
    found = bench.fails(StartMachine(spec, Role.INSTALL), installer_ends(budget=5, stall=60))
    assert found.verdict.rule == "too-slow"
    assert found.verdict.sentence == (
        "The guest was still working when its time was up: it is emulated (tcg), without help of the CPU, and needed "
        "longer than the deadline."
    )
    assert "factory doctor" in found.verdict.advice[0]
    assert found.verdict.advice[1] == "give it more time: raise `install.deadline`"
    assert "CPU" in found.quoted


def test_a_guest_that_only_computes_is_not_slow(bench: Bench) -> None:
    """A boot menu spins, too, while it waits for a key."""
    found = bench.fails(StartMachine(bench.spec(CLI, SPIN), Role.INSTALL), installer_ends(budget=5, stall=60))
    assert (found.verdict.rule, found.verdict.sentence) == ("other", "waited 5s for the installer to finish.")


def test_a_guest_that_hangs(bench: Bench) -> None:
    spec = bench.spec(CLI, say("unpacking, step 3 of 7\n"), HANG)
    found = bench.fails(StartMachine(spec, Role.INSTALL), installer_ends(stall=1))
    assert found.verdict.rule == "stalled"
    assert found.verdict.sentence.startswith(
        "The installer hung: no disk, network, serial line or screen has moved for "
    )
    assert "nothing has moved for" in found.quoted
    assert "unpacking, step 3 of 7" in found.html


@dataclass(frozen=True)
class KillQemu(Step):
    """Ends QEMU as the kernel does when memory is short, or as a fault of its own does."""

    number: int = signal.SIGKILL

    @property
    def title(self) -> str:
        return "kill QEMU"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        os.kill(scope.get(Machine).pid, self.number)  # type: ignore[type-abstract]
        yield


@dataclass(frozen=True)
class StopQemu(Step):
    """Stops QEMU's process, as `kill -STOP` does."""

    @property
    def title(self) -> str:
        return "stop QEMU"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        pid = scope.get(Machine).pid  # type: ignore[type-abstract]
        os.kill(pid, signal.SIGSTOP)

        async def stopped() -> bool | None:
            return True if is_stopped(pid) else None

        await poll(stopped, Deadline.after(Duration(60), "QEMU to stop"))
        yield


@pytest.mark.parametrize("stall", [1, 0], ids=["found by the watch", "at the deadline"])
def test_a_machine_that_is_stopped(bench: Bench, stall: float) -> None:
    spec = bench.spec(CLI, say("at work\n"), HANG)
    budget = float(PATIENCE) if stall else 2
    found = bench.fails(
        StartMachine(spec, Role.INSTALL), Heard("at work"), StopQemu(), installer_ends(budget=budget, stall=stall)
    )
    assert found.verdict.rule == "machine-silent"
    pid = found.record.machine.data["pid"] if found.record.machine else 0
    assert found.verdict.sentence == f"QEMU does not answer: its process {pid} is stopped (state T)."
    assert f"kill -CONT {pid}" in found.verdict.advice[0]
    assert "while waiting for the installer to finish" in str(found.error)


def test_a_machine_that_is_killed(bench: Bench) -> None:
    spec = bench.spec(CLI, HANG)
    found = bench.fails(StartMachine(spec, Role.INSTALL), KillQemu(), installer_ends())
    assert found.verdict.rule == "machine-died"
    assert found.verdict.sentence == ("QEMU was killed (signal 9): by the kernel for want of memory, or by somebody.")


def test_a_machine_that_crashes(bench: Bench) -> None:
    found = bench.fails(StartMachine(bench.spec(CLI, HANG), Role.INSTALL), KillQemu(signal.SIGSEGV), installer_ends())
    assert found.verdict.rule == "machine-died"
    assert found.verdict.sentence == "QEMU itself crashed (signal 11, SIGSEGV) and said nothing."
    assert "coredumpctl" in found.verdict.advice[0]
    assert "machine.type" in found.verdict.advice[1]


def test_a_machine_that_qemu_refuses(bench: Bench) -> None:
    spec = replace(bench.spec(CLI, HANG), extra_args=("-device", "no-such-device"))
    found = bench.fails(StartMachine(spec, Role.INSTALL), installer_ends())
    assert found.verdict.rule == "machine-died"
    assert found.verdict.sentence.startswith("QEMU itself ended: ")
    assert "'no-such-device' is not a valid device model name" in found.verdict.sentence
    assert "no-such-device" in found.html.partition("Its command line")[2]


# --- SSH ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ForwardedPort(Step):
    """Looks up where the guest's port 22 is."""

    @property
    def title(self) -> str:
        return "find the guest's port"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        port = await scope.get(Machine).forwarded_port(22)  # type: ignore[type-abstract]
        scope.put(GuestAt(GuestAddress("127.0.0.1", port)))
        yield


def test_ssh_without_a_banner(bench: Bench) -> None:
    """QEMU accepts in the place of a guest that has no server."""
    spec = bench.spec(CLI, HANG, nics=(NicSpec("net0", forwards=(Forward(22),)),))
    found = bench.fails(StartMachine(spec, Role.BOOT), ForwardedPort(), connect(budget=3), phase="boot")
    assert found.verdict.rule == "ssh-no-banner"
    assert found.verdict.sentence.startswith("The guest did not answer by SSH: 127.0.0.1:")
    assert " accepted connections, but no server spoke, in " in found.verdict.sentence


def test_ssh_refused(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nobody = GuestAt(GuestAddress("127.0.0.1", port))
    spec = bench.spec(CLI, HANG)
    found = bench.fails(StartMachine(spec, Role.BOOT), Given((nobody,)), connect(budget=2), phase="boot")
    assert found.verdict.rule == "ssh-refused"
    assert found.verdict.sentence.startswith(
        f"The guest did not answer by SSH: connections to 127.0.0.1:{port} were refused, in "
    )


def test_the_report_is_the_same_for_programs_and_needs_nothing(bench: Bench) -> None:
    found = bench.fails(StartMachine(bench.spec(CLI, say("<b>&amp;\n"), HANG), Role.INSTALL), installer_ends(stall=1))
    report = json.loads((found.folder / "report.json").read_text("utf-8"))
    assert report["cause"]["sentence"] == found.verdict.sentence
    assert report["error"]["kind"] == "MachineStalled"
    assert report["machine"]["accelerator"] == "tcg"
    assert "<b>&amp;" in report["serial"]
    page = found.html
    assert "&lt;b&gt;&amp;amp;" in page  # what a guest writes is text, never markup
    assert "<b>&amp;" not in page
    for outside in ("http://", "https://", 'src="/', "@import", "url("):
        assert outside not in page.replace("http-equiv", "")
    assert 'src="data:image/png;base64,' in page
    assert Path(found.folder / "report.html").stat().st_size < 2**20
