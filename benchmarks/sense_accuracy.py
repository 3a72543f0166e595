"""Reads real screens by each sense; counts what is wrong against a truth that was come by in another way.

The truth is what the guest was told to show, its serial log, or what another sense reads: VGA text memory holds codes,
so glyphs are held against it. A character that a sense does not claim (U+FFFD) is counted apart: it is no error.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.typing_rate import ROOT, text_of
from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.machine_spec import KernelSpec
from factory.drivers.screen.codepage import CP437
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.fonts import FontShelf
from factory.drivers.screen.glyphs import UNKNOWN, GlyphReader
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.quantity import Duration, Size
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.boot_sectors import all_codes
from tests.drivers.screen.machine import GRUB_MENU, Guest, grub_iso, guest

INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")
REPEATS = 7


@dataclass(frozen=True, slots=True)
class Reading:
    """One sense on one screen. ``claimed`` characters were read, of which ``wrong``; ``unknown`` were not claimed."""

    screen: str
    sense: str
    claimed: int
    wrong: int
    unknown: int
    first_ms: float
    again_ms: float

    def row(self) -> str:
        return (
            f"{self.screen:34} {self.sense:11} {self.claimed:8} {self.wrong:6} {self.unknown:8}"
            f" {self.first_ms:9.1f} {self.again_ms:9.1f}"
        )


def compare(read: Iterable[str], truth: Iterable[str]) -> tuple[int, int, int]:
    """(claimed, wrong, unknown) cells that are not blank in both; a line is held against the one in the same place."""
    claimed = wrong = unknown = 0
    for mine, true in zip(read, truth, strict=False):
        for a, b in zip(mine.ljust(len(true)), true.ljust(len(mine)), strict=True):
            if a == UNKNOWN:
                unknown += 1
            elif a != " " or b != " ":
                claimed += 1
                wrong += a != b
    return claimed, wrong, unknown


def contained(lines: Iterable[str], truth: Iterable[str]) -> tuple[int, int, int]:
    """The same where only the lines are known, not their places: a line that is not in *truth* is wrong as a whole."""
    known = {line.strip() for line in truth}
    claimed = wrong = unknown = 0
    for line in (line.strip() for line in lines):
        unknown += line.count(UNKNOWN)
        claimed += len(line.replace(" ", "").replace(UNKNOWN, ""))
        if line and line not in known and UNKNOWN not in line:
            wrong += len(line)
    return claimed, wrong, unknown


async def measure(machine: Guest, screen: str, judge: Callable[[ScreenText], tuple[int, int, int]]) -> list[Reading]:
    """Reads as a build does, and times it."""
    senses = Senses(machine)
    started = time.monotonic()
    read = await senses.read_screen()
    first = time.monotonic() - started
    times = []
    for _ in range(REPEATS):
        senses._last = None  # the same picture is not read twice: what a changed one would take is asked
        started = time.monotonic()
        await senses.read_screen()
        times.append(time.monotonic() - started)
    return [Reading(screen, read.sense, *judge(read), first * 1000, statistics.median(times) * 1000)]


async def by_glyphs(machine: Guest, screen: str, truth: Iterable[str]) -> Reading:
    """What glyphs alone would have read."""
    frame = await Senses(machine).frame()
    assert frame is not None
    shelf = FontShelf(font for fonts in FontLibrary().groups() for font in fonts)
    reader = GlyphReader(shelf)
    started = time.monotonic()
    text = reader.read(frame)
    first = time.monotonic() - started
    started = time.monotonic()
    reader.read(frame)
    again = time.monotonic() - started
    counts = compare(text.lines, truth) if text else (0, 0, 0)
    return Reading(screen, "(glyphs)", *counts, first * 1000, again * 1000)


async def shown(machine: Guest, pattern: str) -> ScreenText:
    waits = ScreenWaits(Senses(machine), machine)
    await waits.for_text(re.compile(pattern, re.M), Deadline.after(Duration(400), pattern))
    return await waits.for_still(Duration(1), Deadline.after(Duration(60), "a still screen"))


async def text_screen(machine: Guest, screen: str, pattern: str, must: Iterable[str] = ()) -> list[Reading]:
    """A VGA text screen: what memory says is held against glyphs, and against what is known to be there."""
    read = await shown(machine, pattern)
    missing = [text for text in must if text not in read.text]
    if missing:
        raise SystemExit(f"{screen}: {missing} is not on the screen:\n{read.text}")
    glyphs = await by_glyphs(machine, screen, read.lines)
    readings = await measure(machine, screen, lambda again: compare(again.lines, read.lines))
    return [*readings, glyphs]


async def codes(folder: Path) -> list[Reading]:
    readings: list[Reading] = []
    for columns, small in ((80, False), (80, True), (132, False)):
        text = "".join(CP437)
        truth = ["CODES", *(text[i : i + columns] for i in range(0, 256, columns))]
        async with guest(boot_sector=all_codes(columns=columns, rows_of_8=small)) as machine:
            await machine.sent(1)
            name = f"all 256 codes, {columns}x{50 if small else 25}"
            readings += await measure(machine, name, lambda read, truth=truth: compare(read.lines, truth))  # type: ignore[misc]
    return readings


async def seabios(folder: Path) -> list[Reading]:
    async with guest() as machine:
        return await text_screen(machine, "SeaBIOS", "No bootable device", ["SeaBIOS (version "])


async def isolinux(folder: Path) -> list[Reading]:
    iso = folder / "tiny.iso"
    await asyncio.to_thread(subprocess.run, [ROOT / "scripts/iso/tiny", iso], check=True, capture_output=True)
    async with guest(iso=iso) as machine:
        return await text_screen(machine, "isolinux", "^boot:", ["tinyOS installer"])


async def grub_text(folder: Path) -> list[Reading]:
    iso = await asyncio.to_thread(grub_iso, folder, graphical=False)
    async with guest(iso=iso) as machine:
        titles = re.findall('menuentry "(.*?)"', GRUB_MENU)
        return await text_screen(machine, "GRUB, text", "Use the . and", titles)


async def grub_graphical(folder: Path) -> list[Reading]:
    iso = await asyncio.to_thread(grub_iso, folder, graphical=True)
    typed = text_of(900).replace(" ", "~")
    async with guest(iso=iso) as machine:
        await shown(machine, "Use the . and")
        keyboard = Keyboard(machine, layout("us"))
        await keyboard.type(parse("c").actions, waits=Waits())
        await shown(machine, "grub>")
        await keyboard.type(parse(typed.replace("<", "<lt>")).actions, waits=Waits())
        await shown(machine, re.escape(typed[-20:-5]))

        def judge(read: ScreenText) -> tuple[int, int, int]:
            line = re.sub(r"\s", "", read.text.split("grub>")[1])
            return compare([line], [typed])

        return await measure(machine, "GRUB, graphical, 1024x768", judge)


async def kernel(folder: Path, mode: str, name: str) -> list[Reading]:
    spec = KernelSpec(INSTALLER / "linux", None, f"{mode} console=ttyS0 console=tty0 ignore_loglevel")
    async with guest(kernel=spec, memory=Size(512 * 2**20)) as machine:
        await shown(machine, "end Kernel panic")
        said = machine.serial_text(Size(2**20)).replace("\r", "").split("\n")
        return await measure(machine, name, lambda read: contained(read.unwrapped.split("\n")[1:], said))


async def framebuffer(folder: Path) -> list[Reading]:
    return await kernel(folder, "vga=791", "kernel framebuffer, 1024x768")


async def vga_console(folder: Path) -> list[Reading]:
    return await kernel(folder, "", "kernel VGA console")


async def uefi(folder: Path) -> list[Reading]:
    async with guest(uefi=True) as machine:
        await shown(machine, "Shell>")
        keyboard = Keyboard(machine, layout("us"), screen=Senses(machine))
        # The firmware's serial line loses characters when the host is busy: it says the same three times.
        for again in range(3):
            if again:
                await keyboard.type(parse("q").actions, waits=Waits())
                await shown(machine, r"Shell>\s*\Z")
            await keyboard.type(parse("help -b<enter>").actions, waits=Waits())
            await shown(machine, "ENTER")
        serial = _said(machine)
        readings = await measure(machine, "OVMF's shell", lambda read: quoted(read.lines, serial))
    async with guest(uefi=True) as machine:
        # Escape, held down in turns, enters the setup; its menu is drawn on the serial line too.
        waits = ScreenWaits(Senses(machine), machine)
        keyboard = Keyboard(machine, layout("us"))
        for _ in range(60):
            await keyboard.type(parse("<esc>").actions, waits=Waits())
            if re.search("Boot Manager", (await waits.look()).text):
                break
            await asyncio.sleep(0.3)
        await shown(machine, "Boot Manager")
        serial = _said(machine)
        # The serial line has no arrows.
        arrows = str.maketrans("►↑↓", ">^v")
        return readings + await measure(
            machine,
            "OVMF's setup",
            lambda read: quoted([w.translate(arrows) for line in read.lines for w in line.split("  ")], serial),
        )


def quoted(lines: Iterable[str], said: str) -> tuple[int, int, int]:
    """Lines that must stand somewhere in what was said, but for blanks; the rest is wrong."""
    plain = re.sub(r"\s", "", said)
    found = [re.sub(r"\s", "", line) for line in lines]
    return contained(found, [line for line in found if line.replace(UNKNOWN, "") in plain])


def _said(machine: Guest) -> str:
    return re.sub(r"\x1b\[[0-9;=?]*[ -/]*[@-~]", "", machine.serial_text(Size(2**20)))


async def menu_on_a_picture(folder: Path) -> list[Reading]:
    """The Debian installer's boot menu."""
    iso = folder / "debian.iso"
    script = ROOT / "scripts/iso/debian-netboot"
    await asyncio.to_thread(subprocess.run, [script, iso], check=True, capture_output=True)
    labels = re.findall(
        r"menu\s+(?:label|title)\s+(.*)", "\n".join(p.read_text() for p in (INSTALLER / "boot-screens").glob("*.cfg"))
    )
    truth = [label.replace("^", "").replace("\x07", "") for label in labels]
    async with guest(iso=iso) as machine:
        await shown(machine, "Install")
        return await measure(
            machine,
            "Debian's boot menu, on a picture",
            lambda read: contained([re.sub(r"\s+>$", "", line) for line in read.lines], truth),
        )


async def debian_installer(folder: Path) -> list[Reading]:
    """The first dialogs, by the framebuffer's glyphs, held against the texts in the installer's own initrd."""
    initrd = await asyncio.to_thread(_unpacked_initrd)
    spec = KernelSpec(INSTALLER / "linux", INSTALLER / "initrd.gz", "vga=788 no_timer_check --- quiet")
    readings: list[Reading] = []
    async with guest(kernel=spec, memory=Size(2**30)) as machine:
        await shown(machine, "Select a language")

        def languages(read: ScreenText) -> tuple[int, int, int]:
            rows = re.findall(r"│ +(\S.*?) +- +(.*?) *[↑↓▒▮█│]", read.text)
            return contained([word for row in rows for word in row], _language_list(initrd))

        readings += await measure(machine, "Debian installer, language menu", languages)
        said = "\n".join(
            re.findall(r"(?m)^(?:Choices|Description|Extended_description|Default|[ ])[^\n]*$", _templates(initrd))
        )
        keyboard = Keyboard(machine, layout("us"))
        for name, pattern in (("location", "Select your location"), ("keyboard", "Configure the keyboard")):
            await keyboard.type(parse("<enter>").actions, waits=Waits())
            await shown(machine, pattern)
            readings += await measure(
                machine, f"Debian installer, {name} menu", lambda read: quoted(_in_frames(read.lines), said)
            )
    return readings


async def debian_on_serial(folder: Path) -> list[Reading]:
    """What an unattended installation leaves on the screen: a cursor. Nothing may be claimed, and nothing unknown."""
    spec = KernelSpec(
        INSTALLER / "linux", INSTALLER / "initrd.gz", "vga=788 console=ttyS0 no_timer_check DEBIAN_FRONTEND=text ---"
    )
    async with guest(kernel=spec, memory=Size(2**30)) as machine:
        await ScreenWaits(Senses(machine), machine).for_serial(
            re.compile("Select a language|Choose language"), Deadline.after(Duration(400), "the first question")
        )
        frame = await Senses(machine).frame()
        assert frame is not None
        senses = Senses(machine)
        started = time.monotonic()
        read = await senses._read(frame)
        first = time.monotonic() - started
        started = time.monotonic()
        await senses._read(frame)
        again = time.monotonic() - started
        if read.sense is Sense.NONE:
            raise SystemExit("a blank screen was taken for a picture")
        counts = compare(read.lines, ())
        return [Reading("Debian installer on the serial line", read.sense, *counts, first * 1000, again * 1000)]


def _in_frames(lines: Iterable[str]) -> list[str]:
    """The texts of a dialog: what stands between its frame's sides, without the marks around titles and buttons."""
    words = []
    for line in lines:
        inner = re.sub(r"[│┌┐└┘─├┤↑↓▒▮█▓░┬┴┼]", " ", line)
        inner = re.sub(r"\[[!?.]{1,2}\]|<(?=[A-Z])|(?<=\w)>", " ", inner)
        words += [word for word in re.split(r" {2,}", inner) if word.strip()]
    return [word for word in words if not word.strip().startswith(("Tab", "<Tab>", "Go Back", "F1"))]


def _unpacked_initrd() -> bytes:
    return subprocess.run(["zcat", INSTALLER / "initrd.gz"], check=True, capture_output=True).stdout


def _templates(initrd: bytes) -> str:
    """The questions of the installer's parts, as debconf has them, one after the other (cpio, newc format)."""
    parts = []
    for found in re.finditer(rb"070701([0-9A-Fa-f]{104})\.?/?(?:var/lib/dpkg/info/[^\0]+\.templates)\0", initrd):
        size, name = int(found[1][48:56], 16), int(found[1][88:96], 16)
        start = found.start() + (110 + name + 3) // 4 * 4
        parts.append(initrd[start : start + size].decode("utf-8", errors="replace"))
    return "\n".join(parts)


def _language_list(initrd: bytes) -> list[str]:
    """Names of languages, in English and in themselves."""
    start = initrd.index(b"\x1f\x8b", initrd.index(b"localechooser/languagelist.data.gz\0"))
    text = zlib.decompressobj(31).decompress(initrd[start:]).decode()
    return [name for line in text.splitlines() for name in line.split(":")[2:]]


SCREENS: dict[str, Callable[[Path], Coroutine[Any, Any, list[Reading]]]] = {
    "codes": codes,
    "seabios": seabios,
    "isolinux": isolinux,
    "grub-text": grub_text,
    "grub-graphical": grub_graphical,
    "debian-menu": menu_on_a_picture,
    "framebuffer": framebuffer,
    "vga-console": vga_console,
    "uefi": uefi,
    "debian-installer": debian_installer,
    "debian-on-serial": debian_on_serial,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "screens", nargs="*", choices=[[], *SCREENS], default=[], metavar="SCREEN", help=", ".join(SCREENS)
    )
    chosen = parser.parse_args().screens or list(SCREENS)
    sys.stdout.write(
        f"{'screen':34} {'sense':11} {'claimed':>8} {'wrong':>6} {'unknown':>8} {'first ms':>9} {'then ms':>9}\n"
    )
    wrong = 0
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="factory-bench-") as folder:
            for reading in asyncio.run(SCREENS[name](Path(folder))):
                sys.stdout.write(reading.row() + "\n")
                sys.stdout.flush()
                exact = reading.sense in (Sense.VGA_MEMORY, Sense.SERIAL, Sense.GLYPHS)
                wrong += reading.wrong if exact else 0
    if wrong:
        raise SystemExit("an exact sense claimed characters that are not there")


if __name__ == "__main__":
    main()
