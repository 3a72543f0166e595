"""People beside a running machine: they read its screen and type on its serial line, and disturb nobody."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from factory.cli.live_runs import find_run, living_machine
from factory.cli.looking import look, save_picture, watch
from factory.deadline import Deadline, poll
from factory.drivers.machine_spec import Bus, DiskSpec, MachineSpec
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.qemu.observer import MachineGone
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.engine.run_control import MachineControl, RunControl
from factory.engine.run_directory import open_run
from factory.errors import StepError
from factory.events import ignore
from factory.quantity import Duration, Size
from tests.drivers.qemu import guests

pytestmark = pytest.mark.machine

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="look") as name:
        monkeypatch.setenv("FACTORY_RUNS", str(Path(name) / "runs"))
        yield Path(name) / "runs"


def beside(runs: Path, visit: Callable[[MachineControl], None], *, display: str = "std") -> None:
    """Runs an echoing guest that says hello on its serial line, and *visit* in a thread, as another process would."""

    async def build() -> None:
        with ExitStack() as stack:
            run = stack.enter_context(open_run(runs, "lab"))
            control = RunControl(run.path)
            image = guests.disk(run.path / "disk.raw", guests.CLI, guests.say("hello\r\n"), guests.ECHO)
            spec = MachineSpec(
                "lab", "qemu-system-x86_64", "pc", "tcg", Size(64 * 2**20), display=display,
                disks=(DiskSpec("main", image, "raw", Bus.IDE, 0),),
            )  # fmt: skip
            log_dir = run.path / "boot"
            async with QemuDriver().start(spec, runtime_dir=run.runtime, log_dir=log_dir, emit=ignore) as machine:
                control.machine_started(log_dir, machine.pid, await machine.attachments())
                await machine.resume()
                waits = ScreenWaits(Senses(machine), machine)
                await waits.for_serial(re.compile("hello"), Deadline.after(Duration(120), "the guest"))
                await asyncio.to_thread(visit, living_machine(find_run(runs, "")))
                assert (await machine.execute("query-status"))["status"] == "running"
                control.machine_ended(machine.pid)

    asyncio.run(build())


def test_the_screen_is_read_while_the_build_goes_on(runs: Path, tmp_path: Path) -> None:
    def visit(machine: MachineControl) -> None:
        seen = next(look(machine, fonts=tmp_path / "fonts", again=False))
        assert seen.read.sense == "vga-memory"
        title, *lines = seen.text_lines()
        assert title.startswith("boot, ")
        assert title.endswith("read by vga-memory, 100% sure")
        assert any("Booting from Hard Disk" in line for line in lines)
        assert seen.to_json()["confidence"] == 1.0
        asyncio.run(save_picture(machine, tmp_path / "now.png"))
        with Image.open(tmp_path / "now.png") as picture:
            assert (picture.format, picture.size) == ("PNG", (720, 400))
        with pytest.raises(StepError, match="there is no folder"):
            asyncio.run(save_picture(machine, tmp_path / "nowhere" / "now.png"))

    beside(runs, visit)


def test_who_watches_sees_each_machine_of_a_run_by_its_name(runs: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def visit() -> None:
        for one in watch(find_run(runs, ""), fonts=tmp_path / "fonts"):
            seen.append(one.machine)  # noqa: PERF401  (at once, for whoever looks meanwhile)

    async def noticed(name: str) -> bool | None:
        return name in seen or None

    async def build() -> None:
        with ExitStack() as stack:
            run = stack.enter_context(open_run(runs, "lab"))
            control = RunControl(run.path)
            image = guests.disk(run.path / "disk.raw", guests.CLI, guests.say("hello\r\n"), guests.HANG)
            visitor = None
            for name in ("install", "boot"):
                spec = MachineSpec(
                    "lab", "qemu-system-x86_64", "pc", "tcg", Size(64 * 2**20),
                    disks=(DiskSpec("main", image, "raw", Bus.IDE, 0),),
                )  # fmt: skip
                folder = run.path / name
                async with QemuDriver().start(spec, runtime_dir=run.runtime, log_dir=folder, emit=ignore) as machine:
                    control.machine_started(folder, machine.pid, await machine.attachments())
                    await machine.resume()
                    visitor = visitor or asyncio.create_task(asyncio.to_thread(visit))
                    await poll(partial(noticed, name), Deadline.after(Duration(120), f"{name} to be seen"))
                    control.machine_ended(machine.pid)
            control.ended()
            assert visitor is not None
        await visitor

    asyncio.run(build())
    assert set(seen) == {"install", "boot"}
    assert seen == sorted(seen, key=["install", "boot"].index)


def test_without_a_display_the_serial_line_is_read(runs: Path, tmp_path: Path) -> None:
    def visit(machine: MachineControl) -> None:
        seen = next(look(machine, fonts=tmp_path, again=False))
        assert (seen.read.sense, seen.read.lines[-1]) == ("serial", "hello")
        with pytest.raises(StepError, match="screendump"):
            asyncio.run(save_picture(machine, tmp_path / "now.png"))
        assert list(tmp_path.glob("*.png*")) == []

    beside(runs, visit, display="none")


def test_the_serial_line_is_shared(runs: Path) -> None:
    def visit(machine: MachineControl) -> None:
        command = [sys.executable, "-m", "factory", "attach"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, input=b"typed\n", env=environment, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert b"hello" in done.stdout  # what was there before
        assert b"typed" in done.stdout  # the guest's echo
        assert b"typed" in (Path(machine.logs) / "serial.log").read_bytes()
        assert at_a_terminal(command, environment) == 0
        assert b"by hand\x03" in (Path(machine.logs) / "serial.log").read_bytes()

    beside(runs, visit)


def at_a_terminal(command: list[str], environment: dict[str, str]) -> int:
    """Types some words and Ctrl-C, which the guest gets, and Ctrl-], which leaves. Returns the exit status."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as person:
        try:
            child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        finally:
            os.close(theirs)
        shown = b""
        while b"Ctrl-] leaves" not in shown or b"hello" not in shown:
            shown += person.read(4096)
        person.write(b"by hand\x03")
        while b"by hand" not in shown:  # the guest's echo: a raw terminal has none of its own
            shown += person.read(4096)
        person.write(b"\x1d")
        return child.wait(60)


def test_a_machine_that_ends_is_named(runs: Path, tmp_path: Path) -> None:
    found: list[MachineControl] = []
    beside(runs, found.append)
    with pytest.raises(MachineGone, match="does not answer"):
        next(look(found[0], fonts=tmp_path, again=False))
