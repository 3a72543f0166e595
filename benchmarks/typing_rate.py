"""Types all printable ASCII into a boot sector, GRUB and isolinux under load; counts what came out wrong.

What arrived is compared with what was typed by other means than typing's own check: the boot sector sends it back
byte by byte, and GRUB's and isolinux' lines are read off the screen when they stand there.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import re
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.quantity import Duration
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.boot_sectors import echo
from tests.drivers.screen.machine import grub_iso, guest

ROOT = Path(__file__).parent.parent
LINE = 180
PACKER_EVENT = 0.1
"""Seconds that Packer sleeps after each key event by default (packer-plugin-sdk, ``bootcommand/config.go``)."""
SHIFTED = '~!@#$%^&*()_+{}|:"<>?' + string.ascii_uppercase


@dataclass(frozen=True, slots=True)
class Result:
    target: str
    characters: int
    wrong: int
    retyped: int
    seconds: float

    def row(self, packer_seconds: float) -> str:
        rate, theirs = self.characters / self.seconds, self.characters / packer_seconds
        return (
            f"{self.target:34} {self.characters:6} {self.wrong:6} {self.retyped:8} {self.seconds:8.1f} s {rate:8.1f}/s"
            f" {theirs:7.1f}/s {rate / theirs:7.1f}x"
        )


def text_of(count: int) -> str:
    """Every printable character, in an order that nobody can guess; no blanks at the rim of a line."""
    chance = random.Random(1)
    characters = "".join(chr(code) for code in range(0x21, 0x7F))
    words = ("".join(chance.choices(characters, k=7)) for _ in range(count // 8 + 1))
    return " ".join(words)[:count]


def packer_seconds(text: str) -> float:
    """What Packer takes for *text*: two events a character, four with shift."""
    return sum(4 if c in SHIFTED else 2 for c in text) * PACKER_EVENT


@contextmanager
def load(wanted: bool) -> Iterator[None]:
    """Keeps one core busy."""
    process = multiprocessing.Process(target=_spin, daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.kill()
            process.join()


def _spin() -> None:
    while True:
        pass


async def into_boot_sector(text: str) -> Result:
    async with guest(boot_sector=echo()) as machine:
        await machine.sent(1)
        started = time.monotonic()
        report = await Keyboard(machine, layout("us")).type(parse(text.replace("<", "<lt>")).actions, waits=Waits())
        arrived = (await machine.sent(1 + len(text)))[1:].decode()
        seconds = time.monotonic() - started
        wrong = sum(a != b for a, b in zip(arrived, text, strict=False)) + abs(len(arrived) - len(text))
        return Result("boot sector (BIOS)", len(text), wrong, report.retyped, seconds)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A program that lets a line be edited: expressions for its first screen and its prompt, and keys."""

    name: str
    iso: Path
    ready: str
    prompt: str
    open: str
    clear: str


async def into_prompt(target: Prompt, text: str, *, check: bool) -> Result:
    """Types line after line at a prompt, reads each as it stands there, and clears it."""
    prompt = target.prompt
    async with guest(iso=target.iso) as machine:
        senses = Senses(machine)
        waits = ScreenWaits(senses, machine)
        await waits.for_text(re.compile(target.ready, re.M), Deadline.after(Duration(120), target.name))
        keyboard = Keyboard(machine, layout("us"), screen=senses if check else None)
        if target.open:
            await keyboard.type(parse(target.open).actions, waits=Waits())
            await waits.for_text(re.compile(prompt, re.M), Deadline.after(Duration(30), prompt))
        clear = parse(target.clear).actions
        wrong = retyped = 0
        seconds = 0.0
        # Without blanks: where a line wraps they can't be seen. The boot sector has them.
        text = text.replace(" ", "~")
        for start in range(0, len(text), LINE):
            line = text[start : start + LINE]
            started = time.monotonic()
            report = await keyboard.type(parse(line.replace("<", "<lt>")).actions, waits=Waits())
            shown = await _line(senses, prompt, len(line))
            seconds += time.monotonic() - started
            retyped += report.retyped
            wrong += sum(a != b for a, b in zip(shown, line, strict=False)) + abs(len(shown) - len(line))
            await keyboard.type(clear, waits=Waits())
            await _line(senses, prompt, 0)
        return Result(target.name + (", read back" if check else ""), len(text), wrong, retyped, seconds)


async def _line(senses: Senses, prompt: str, length: int) -> str:
    """What stands behind the last prompt, when it has so many characters or does not change any more."""
    last, since = "", time.monotonic()
    while True:
        read = await senses.read_screen()
        places = list(re.finditer(prompt, read.text, re.M))
        # Both programs go on in the next row when a line is full; isolinux may leave one blank.
        shown = re.sub(r"\s", "", read.text[places[-1].end() :]) if places else ""
        if shown != last:
            last, since = shown, time.monotonic()
        # U+FFFD: what changed while it was being read is not claimed by the senses, and is there at the next look.
        if (len(shown) == length and "\ufffd" not in shown) or time.monotonic() - since > 2:
            return shown
        await asyncio.sleep(0.02)


async def run(characters: int) -> list[Result]:
    text = text_of(characters)
    results = [await into_boot_sector(text)]
    _say(results[-1], text)
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as name:
        folder = Path(name)
        tiny = folder / "tiny.iso"
        grub = await asyncio.to_thread(_isos, tiny)
        prompts = (
            Prompt("isolinux", tiny, "^boot:", "^boot: ?", "", "<leftCtrlOn>u<leftCtrlOff>"),
            # GRUB's Ctrl-U leaves characters at the right edge: back to the menu, and to a new prompt.
            Prompt("GRUB", grub, "Use the . and", "^ *grub> ?", "c", "<esc>c"),
        )
        for check in (False, True):
            for prompt in prompts:
                results.append(await into_prompt(prompt, text, check=check))
                _say(results[-1], text)
    return results


def _isos(tiny: Path) -> Path:
    subprocess.run([ROOT / "scripts/iso/tiny", tiny], check=True, capture_output=True)
    return grub_iso(tiny.parent, graphical=False)


def _say(result: Result, text: str) -> None:
    sys.stdout.write(result.row(packer_seconds(text)) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--characters", type=int, default=10_000)
    parser.add_argument("--idle", action="store_true", help="do not keep the other core busy")
    options = parser.parse_args()
    sys.stdout.write(
        f"{'typed into':34} {'typed':>6} {'wrong':>6} {'retyped':>8} {'time':>10} {'ours':>10} {'Packer':>9}"
        f" {'faster':>8}\n"
    )
    with load(not options.idle):
        results = asyncio.run(run(options.characters))
    if any(result.wrong for result in results):
        raise SystemExit("some characters came out wrong")


if __name__ == "__main__":
    main()
