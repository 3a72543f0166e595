"""Looks at the screen of somebody else's build, through its machine's second monitor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.cli.live_runs import KnownRun, known_run, living_machine
from factory.deadline import pause
from factory.drivers.qemu.observer import MachineGone, Observer
from factory.drivers.screen import ocr
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.engine.run_control import MachineControl, RunState
from factory.errors import StepError
from factory.quantity import Duration

EVERY = Duration(0.5)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at one machine."""

    machine: str
    at: float
    read: ScreenText

    def text_lines(self) -> list[str]:
        """For people: which sense has read it, and the screen with a bar at its left."""
        moment = time.strftime("%H:%M:%S", time.localtime(self.at))
        if self.read.sense is Sense.NONE:
            width, height = self.read.picture
            return [f"{self.machine}, {moment}: a picture of {width}x{height} that no sense can read (try --png FILE)"]
        lines = list(self.read.lines)
        while lines and not lines[-1].strip():
            lines.pop()
        sure = f"{self.read.confidence:.0%} sure" + (f", {self.read.font}" if self.read.font else "")
        title = f"{self.machine}, {moment}: read by {self.read.sense.value}, {sure}"
        return [title, *(f"│ {line}".rstrip() for line in lines)] if lines else [f"{title}: blank"]

    def to_json(self) -> dict[str, Any]:
        read = self.read
        return {
            "machine": self.machine, "time": round(self.at, 3), "sense": read.sense.value,
            "confidence": round(read.confidence, 3), "font": read.font, "lines": list(read.lines),
        }  # fmt: skip


def observer(machine: MachineControl) -> Observer:
    return Observer(Path(machine.observer), Path(machine.logs) / "serial.log")


def look(machine: MachineControl, *, fonts: Path, again: bool) -> Iterator[Seen]:
    """One look; with *again* another one after each change, until the machine has ended. Raises: StepError."""
    with asyncio.Runner() as runner:
        visitor = observer(machine)
        senses = Senses(visitor, FontLibrary(cache=fonts), recogniser=ocr.recogniser())
        read = runner.run(_read(visitor, senses))
        yield Seen(machine.name, time.time(), read)
        while again:
            try:
                newer = runner.run(_next(machine, visitor, senses, read))
            except MachineGone:
                return
            read = newer
            yield Seen(machine.name, time.time(), read)


def watch(run: KnownRun, *, fonts: Path) -> Iterator[Seen]:
    """``look`` again and again, at each machine of *run* in turn, until the run has ended. Raises: StepError."""
    machine: MachineControl | None = living_machine(run)
    while machine is not None:
        yield from look(machine, fonts=fonts, again=True)
        machine = asyncio.run(_following(run.path, machine))


async def _following(path: Path, before: MachineControl) -> MachineControl | None:
    """The machine that comes after *before* in the run at *path*; None when the run ends without another."""
    while (run := known_run(path)).alive and run.state != RunState.ENDED.value:
        machine = run.control.machine
        if machine is not None and machine.alive and (machine.pid, machine.started) != (before.pid, before.started):
            return machine
        await pause(EVERY)
    return None


async def save_picture(machine: MachineControl, path: Path) -> None:
    """Raises: StepError when there is no display, or no such folder."""
    visitor = observer(machine)
    if not path.absolute().parent.is_dir():
        raise StepError(f"there is no folder {path.absolute().parent} to save a picture in")
    try:
        async with visitor.visit():
            await visitor.screenshot(path)
    except OSError as error:
        raise StepError(f"no picture can be written as {path}: {error.strerror}") from error


async def _read(visitor: Observer, senses: Senses) -> ScreenText:
    async with visitor.visit():
        return await senses.read_screen()


async def _next(machine: MachineControl, visitor: Observer, senses: Senses, before: ScreenText) -> ScreenText:
    while True:
        await pause(EVERY)
        if not machine.alive:  # the next one listens in the same place
            raise MachineGone(f"the machine {machine.name} has ended")
        read = await _read(visitor, senses)
        if read.lines != before.lines or read.sense is not before.sense:
            return read
