"""Reads real screens by each sense; counts what is wrong or missing against a truth that was come by in another way.

The truth is what the guest was told to show, the files that it shows, its serial log, or what another sense reads: VGA
text memory holds codes and glyphs are pictures, so each is held against the other and both against known text. No sense
is held against itself. ``sense_judging`` says when a row fails.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from benchmarks.sense_firmware import setup, shell
from benchmarks.sense_judging import BLANK, HEADER, Counts, Reading, compare, contained, faults, present, quoted
from benchmarks.sense_measuring import by_glyphs, by_serial, measure, shown
from benchmarks.typing_rate import ROOT, text_of
from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.machine_spec import KernelSpec
from factory.drivers.screen.codepage import CP437
from factory.drivers.screen.glyphs import UNKNOWN
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.quantity import Duration, Size
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.boot_sectors import all_codes
from tests.drivers.screen.machine import GRUB_MENU, Guest, grub_iso, guest, make_grub_iso

INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")


async def text_screen(machine: Guest, screen: str, pattern: str, must: Iterable[str]) -> list[Reading]:
    """A VGA text screen: memory and glyphs are held against each other, and both against what is known to be there."""
    texts = tuple(must)
    read = await shown(machine, pattern)
    glyphs, first, again = await by_glyphs(machine)
    readings = await measure(machine, screen, lambda now: compare(now.lines, glyphs) + present(now.lines, texts))
    counts = compare(glyphs, read.lines) + present(glyphs, texts)
    return [*readings, Reading(screen, "(glyphs)", counts, first, again)]


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
    # SeaBIOS writes what it shows to a debug port, too, among other things.
    log = folder / "seabios.log"
    port = ("-chardev", f"file,id=seabios,path={log}", "-device", "isa-debugcon,iobase=0x402,chardev=seabios")
    async with guest(*port) as machine:
        await shown(machine, "No bootable device")
        said = log.read_text("latin-1").splitlines()
        must = [line for line in said if line.startswith(("SeaBIOS (version ", "Booting from ", "No bootable device"))]
        if len(must) < 2:
            raise SystemExit(f"SeaBIOS did not log what it showed: {said[-9:]}")
        return await text_screen(machine, "SeaBIOS", "No bootable device", must)


async def isolinux(folder: Path) -> list[Reading]:
    iso = folder / "tiny.iso"
    await asyncio.to_thread(subprocess.run, [ROOT / "scripts/iso/tiny", iso], check=True, capture_output=True)
    said = (ROOT / "scripts/iso/tiny.d/boot.txt").read_text().splitlines()
    async with guest(iso=iso) as machine:
        readings = await text_screen(machine, "isolinux", "^boot:", [*said, "boot:"])
        # Its own words are on the serial line as well, the text of boot.txt is not.
        screen = (await shown(machine, "^boot:")).text
        must = ["ISOLINUX", "Copyright", "Anvin", "boot:"]
        words = by_serial(machine, "isolinux", lambda read: quoted(" ".join(read.lines).split(), screen, must))
        return [*readings, words]


async def grub_text(folder: Path) -> list[Reading]:
    iso = await asyncio.to_thread(grub_iso, folder, graphical=False)
    async with guest(iso=iso) as machine:
        return await text_screen(machine, "GRUB, text", "Use the . and", _grub_titles())


def _grub_titles() -> list[str]:
    return re.findall('menuentry "(.*?)"', GRUB_MENU)


async def grub_on_serial(folder: Path) -> list[Reading]:
    """GRUB's menu and its prompt, drawn on the serial line by control sequences."""
    settings = "serial --unit=0 --speed=115200\nterminal_input serial console\nterminal_output serial console\n"
    iso = await asyncio.to_thread(make_grub_iso, folder, settings + GRUB_MENU)
    typed = text_of(60).replace(" ", "~")
    async with guest(iso=iso) as machine:
        waits = ScreenWaits(Senses(machine), machine)
        await waits.for_serial(re.compile("Use the . and"), Deadline.after(Duration(120), "GRUB's menu on serial"))
        await asyncio.sleep(2)  # the menu is drawn line by line, and then again
        screen, must = _unframed((await shown(machine, "Use the . and")).lines), _unframed(_grub_titles())
        menu = by_serial(machine, "GRUB's menu, on serial", lambda read: contained(_unframed(read.lines), screen, must))
        keyboard = Keyboard(machine, layout("us"))
        await keyboard.type(parse("c").actions, waits=Waits())
        await waits.for_serial(re.compile("grub>"), Deadline.after(Duration(60), "GRUB's prompt"))
        await keyboard.type(parse(typed.replace("<", "<lt>")).actions, waits=Waits())
        await asyncio.sleep(3)

        def judge(read: ScreenText) -> Counts:
            return compare([re.sub(r"\s", "", read.text.rpartition("grub>")[2])], [typed])

        return [menu, by_serial(machine, "GRUB's prompt, on serial", judge)]


def _unframed(lines: Iterable[str]) -> list[str]:
    """Without frames, which the serial line draws with other characters, and without the arrows in the help."""
    plain = [re.sub(r"[^\x21-\x7e]|\bv\b|\^", " ", line).strip(" |*+-") for line in lines]
    return [" ".join(line.split()) for line in plain if re.search(r"\w", line)]


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

        def judge(read: ScreenText) -> Counts:
            line = re.sub(r"\s", "", read.text.split("grub>")[1])
            return compare([line], [typed])

        return await measure(machine, "GRUB, graphical, 1024x768", judge)


async def kernel(folder: Path, mode: str, name: str) -> list[Reading]:
    spec = KernelSpec(INSTALLER / "linux", None, f"{mode} console=ttyS0 console=tty0 ignore_loglevel")
    async with guest(kernel=spec, memory=Size(512 * 2**20)) as machine:
        screen = await shown(machine, "end Kernel panic")
        said = machine.serial_text(Size(2**20)).replace("\r", "").split("\n")
        last = [line for line in said if line.strip()][-10:]
        seen = screen.unwrapped.split("\n")[1:]
        return [
            *await measure(machine, name, lambda read: contained(read.unwrapped.split("\n")[1:], said, last)),
            # As many of its lines as the screen holds whole: the two are held against each other.
            by_serial(machine, f"{name}, its log", lambda read: contained(read.lines[-10:], seen, seen[-11:])),
        ]


async def framebuffer(folder: Path) -> list[Reading]:
    return await kernel(folder, "vga=791", "kernel framebuffer, 1024x768")


async def vga_console(folder: Path) -> list[Reading]:
    return await kernel(folder, "", "kernel VGA console")


async def uefi(folder: Path) -> list[Reading]:
    return [*await shell(), *await setup()]


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
            lambda read: (
                contained([_without_arrow(line) for line in read.lines], truth, ["Install", "Help"])
                + Counts(unknown=read.text.count(UNKNOWN))
            ),
        )


def _without_arrow(line: str) -> str:
    """An entry without what says that a menu is behind it, and what of the scroll bar is read as text."""
    return re.sub(rf"\s+>[\s{UNKNOWN}]*$", "", line)


async def debian_installer(folder: Path) -> list[Reading]:
    """The first dialogs, by the framebuffer's glyphs, held against the texts in the installer's own initrd."""
    initrd = await asyncio.to_thread(_unpacked_initrd)
    spec = KernelSpec(INSTALLER / "linux", INSTALLER / "initrd.gz", "vga=788 no_timer_check --- quiet")
    readings: list[Reading] = []
    async with guest(kernel=spec, memory=Size(2**30)) as machine:
        await shown(machine, "Select a language")

        def languages(read: ScreenText) -> Counts:
            rows = re.findall(r"│ +(\S.*?) +- +(.*?) *[↑↓▒▮█│]", read.text)
            return contained([word for row in rows for word in row], _language_list(initrd), ["English"])

        readings += await measure(machine, "Debian installer, language menu", languages)
        said = "\n".join(
            re.findall(r"(?m)^(?:Choices|Description|Extended_description|Default|[ ])[^\n]*$", _templates(initrd))
        )
        keyboard = Keyboard(machine, layout("us"))
        for name, pattern, must in (
            ("location", "Select your location", "United States"),
            ("keyboard", "Configure the keyboard", "American English"),
        ):
            await keyboard.type(parse("<enter>").actions, waits=Waits())
            await shown(machine, pattern)
            readings += await measure(
                machine,
                f"Debian installer, {name} menu",
                lambda read, must=must: quoted(_in_frames(read.lines), said, [must]),
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
        return [Reading(BLANK, read.sense, compare(read.lines, ()), first * 1000, again * 1000)]


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
    "grub-serial": grub_on_serial,
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
    sys.stdout.write(HEADER + "\n")
    readings: list[Reading] = []
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="factory-bench-") as folder:
            for reading in asyncio.run(SCREENS[name](Path(folder))):
                readings.append(reading)
                sys.stdout.write(reading.row() + "\n")
                sys.stdout.flush()
    if found := list(faults(readings)):
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
