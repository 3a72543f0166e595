"""The screens of OVMF, which says on its serial line what it shows: each is held against the other.

That line loses characters when the host is busy, which is no fault of a sense: what is shown must have come whole on it
once in a few times, and what the sense makes of it must stand on the screen, or just so in what came.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import replace

from benchmarks.sense_judging import Counts, Reading, contained, quoted
from benchmarks.sense_measuring import by_serial, measure, shown
from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.serial_terminal import terminal_lines
from factory.drivers.screen.waits import ScreenWaits
from factory.quantity import Size
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.machine import Guest, guest

TIMES = 4
SETUP = ("Device Manager", "Boot Manager", "Boot Maintenance Manager", "Continue", "Reset")
"""Entries of OVMF's setup (EDK II, ``UiApp/FrontPageStrings.uni``)."""
HELP = (
    "alias         - Displays, creates, or deletes UEFI Shell aliases.",
    "dh            - Displays the device handles in the UEFI environment.",
    "getmtc        - Gets the MTC from BootServices and displays it.",
)
"""The first, a middle and the last line of a page (EDK II, ``ShellPkg/Library``: the commands' texts)."""


async def shell() -> list[Reading]:
    """The first page of the shell's help. Now and then the firmware fails to start its shell: it is started again."""
    for _ in range(TIMES):
        async with guest(uefi=True) as machine:
            if "Shell>" not in (await shown(machine, "Shell>|failed to start")).text:
                continue
            return await _help(machine)
    raise SystemExit(f"OVMF failed to start its shell {TIMES} times")


async def _help(machine: Guest) -> list[Reading]:
    keyboard = Keyboard(machine, layout("us"), screen=Senses(machine))
    for again in range(TIMES):  # said so often, a line came whole on serial once
        if again:
            await keyboard.type(parse("q").actions, waits=Waits())
            await shown(machine, r"Shell>\s*\Z")
        await keyboard.type(parse("help -b<enter>").actions, waits=Waits())
        await shown(machine, "ENTER")
    said = terminal(machine.serial_text(Size(2**20)))
    return await measure(machine, "OVMF's shell", lambda read: quoted(read.lines, said, HELP))


async def setup() -> list[Reading]:
    """OVMF's setup, drawn on the screen and on the serial line."""
    heard: list[str] = []
    readings: list[Reading] = []
    for _ in range(TIMES):
        async with guest(uefi=True) as machine:
            await _enter_setup(machine)
            screen = _words((await shown(machine, "Boot Manager")).lines)
            heard += _words(Senses(machine).read_serial().lines)
            came = "".join([*screen, terminal(machine.serial_text(Size(2**20)))])
            readings = await _judged(machine, heard, came.translate(_ARROWS))
        if set(screen) <= set(heard):
            break
    return readings


async def _judged(machine: Guest, heard: list[str], came: str) -> list[Reading]:
    said = machine.serial_text(Size(2**20))
    return [
        *await measure(machine, "OVMF's setup", lambda read: contained(_words(read.lines), heard, SETUP)),
        by_serial(machine, "OVMF's setup, on serial", lambda read: quoted(_words(read.lines), came, SETUP)),
        by_serial(machine, "OVMF's start, on serial", lambda _: wiped_screens(said)),
    ]


def wiped_screens(said: str) -> Counts:
    """What stood on a terminal whenever it was about to be wiped: nothing but text that was sent."""
    came, found = terminal(said), Counts()
    for wipe in re.finditer(r"\x1b\[2J", said):
        found += quoted(terminal_lines(said[: wipe.start()]), came)
    return replace(found, there=found.claimed)


async def _enter_setup(machine: Guest) -> None:
    """Escape, held down in turns, enters it."""
    waits = ScreenWaits(Senses(machine), machine)
    keyboard = Keyboard(machine, layout("us"))
    for _ in range(60):
        await keyboard.type(parse("<esc>").actions, waits=Waits())
        if re.search("Boot Manager", (await waits.look()).text):
            break
        await asyncio.sleep(0.3)
    await asyncio.sleep(3)  # for what the last of those keys does


_ARROWS = str.maketrans("►↑↓", ">^v")


def _words(lines: Iterable[str]) -> list[str]:
    """What stands between wide gaps and frames, without arrows, of which the serial line has others."""
    return [word for line in lines for part in re.split(r"  +|[│┌┐└┘─|]+", line) if (word := _plain_word(part))]


def _plain_word(text: str) -> str:
    return text.translate(_ARROWS).strip()


def terminal(said: str) -> str:
    """What a terminal was told to write, without the sequences that say where (ECMA-48): text is all that counts."""
    return re.sub(r"\x1b\[[0-9;=?]*[ -/]*[@-~]", "", said)
