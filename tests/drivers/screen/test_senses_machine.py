"""Senses on real screens: each sense must read what is known to be there, and nothing else."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline, poll
from factory.drivers.keyboard.keyboard import Keyboard, TypingReport
from factory.drivers.machine_spec import KernelSpec
from factory.drivers.protocols import Outcome
from factory.drivers.screen.codepage import CP437
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.fonts import DIGITS, FontShelf
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.glyphs import GlyphReader
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.errors import DeadlineExpired, UnexpectedScreen
from factory.quantity import Duration, Size
from factory.secret import Redactor
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.boot_sectors import all_codes, deaf, echo, late_prompt, own_glyph
from tests.drivers.screen.machine import GRUB_MENU, OVMF, Guest, grub_iso, guest

pytestmark = pytest.mark.machine
INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux")


def soon(what: str = "what the test waits for", seconds: float = 120) -> Deadline:
    return Deadline.after(Duration(seconds), what)


async def shows(machine: Guest, pattern: str) -> ScreenText:
    return await ScreenWaits(Senses(machine), machine).for_text(re.compile(pattern), soon(pattern))


async def shows_by(machine: Guest, sense: Sense, pattern: str) -> ScreenText:
    """Waits until *sense* reads *pattern*: a guest may say the same on several of them, and not at the same moment."""
    senses = Senses(machine)

    async def look() -> ScreenText | None:
        read = await senses.read_screen()
        return read if read.sense is sense and read.search(re.compile(pattern)) else None

    return await poll(look, soon(f"{pattern} by {sense}"))


async def glyphs_only(machine: Guest) -> Sequence[str]:
    """What the glyph sense alone reads."""
    frame = await Senses(machine).frame()
    assert frame is not None
    shelf = FontShelf(font for fonts in FontLibrary().groups() for font in fonts)
    read = GlyphReader(shelf).read(frame)
    assert read is not None
    return read.lines


def test_firmware_is_read_by_memory_and_by_glyphs_alike() -> None:
    async def run() -> tuple[ScreenText, Sequence[str]]:
        async with guest() as machine:
            read = await shows(machine, r"No bootable device")
            return read, await glyphs_only(machine)

    read, glyphs = asyncio.run(run())
    assert read.sense is Sense.VGA_MEMORY
    assert read.confidence == 1.0
    assert read.columns == 80
    assert read.lines[0].startswith("SeaBIOS (version ")
    assert tuple(glyphs) == read.lines


@pytest.mark.parametrize(
    ("sector", "columns", "rows"),
    [
        (all_codes(), 80, 25),
        (all_codes(rows_of_8=True), 80, 50),
        (all_codes(columns=132), 132, 25),
        (all_codes(start_line=37), 80, 25),
        (all_codes(start_line=200), 80, 25),  # wraps around at the end of the card's memory
    ],
    ids=["80x25", "80x50", "132x25", "scrolled", "wrapped"],
)
def test_every_code_in_every_colour(sector: bytes, columns: int, rows: int) -> None:
    async def run() -> tuple[ScreenText, Sequence[str]]:
        async with guest(boot_sector=sector) as machine:
            await machine.sent(1)
            return await Senses(machine).read_screen(), await glyphs_only(machine)

    read, glyphs = asyncio.run(run())
    codes = "".join(CP437)
    assert (read.sense, read.columns, len(read.lines)) == (Sense.VGA_MEMORY, columns, rows)
    expected = ["CODES", *(codes[i : i + columns].rstrip() for i in range(0, 256, columns))]
    assert list(read.lines[: len(expected)]) == expected
    assert not any(read.lines[len(expected) :])
    # By glyphs some codes can't be told apart: ink and paper of the same colour, a block and its mirror.
    claimed = [(a, b) for mine, line in zip(expected, glyphs, strict=False) for a, b in zip(mine, line, strict=False)]
    wrong = [(a, b) for a, b in claimed if a != b and a.isalnum() and b not in " \ufffd"]
    assert not wrong


def test_graphics_are_not_read_as_stale_text() -> None:
    """In mode 13h (320x200) the card's text memory still holds what was there before."""

    async def run() -> ScreenText:
        async with guest(boot_sector=echo(text_mode=0x13)) as machine:
            await machine.sent(1)
            await Keyboard(machine, layout("us")).type(parse("drawn").actions, waits=Waits())
            await machine.sent(6)
            return await Senses(machine).read_screen()

    read = asyncio.run(run())
    assert read.sense is not Sense.VGA_MEMORY
    assert "SeaBIOS" not in read.text


@pytest.fixture(scope="module", params=["text", "graphical"])
def grub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    graphical = request.param == "graphical"
    return grub_iso(tmp_path_factory.mktemp("grub"), graphical=graphical), graphical


def test_grub_is_read_and_typed_into(grub: tuple[Path, bool]) -> None:
    iso, graphical = grub
    line = (
        "echo ~!@#$%^&*()_+-=[]{};:,./<lt>>?|abcXYZ 0123456789 auto=true priority=critical url=http://10.0.2.2:8000/x"
    )

    async def run() -> tuple[ScreenText, ScreenText, int]:
        async with guest(iso=iso) as machine:
            senses = Senses(machine)
            waits = ScreenWaits(senses, machine)
            await waits.for_text(re.compile("Use the . and . keys"), soon("GRUB's menu"))
            menu = await waits.for_still(Duration(1), soon("a still menu"))
            keyboard = Keyboard(machine, layout("us"), screen=senses)
            await keyboard.type(parse("c").actions, waits=Waits())
            await waits.for_text(re.compile("^ *grub>", re.M), soon("GRUB's command line"))
            report = await keyboard.type(parse(line).actions, waits=Waits())
            return menu, await waits.for_text(re.compile("8000"), soon("the line")), report.verified

    menu, typed, verified = asyncio.run(run())
    assert menu.sense is (Sense.GLYPHS if graphical else Sense.VGA_MEMORY)
    assert menu.confidence == 1.0
    for title in re.findall('menuentry "(.*?)"', GRUB_MENU):
        assert title in menu.text
    plain = line.replace("<lt>", "<")
    assert plain in typed.unwrapped.replace("\n", "") or plain in re.sub(r"\\?\n *", "", typed.text)
    assert verified == len(plain)


def test_isolinux_is_read_and_typed_into(tmp_path: Path) -> None:
    """A line of more than 80 characters: isolinux wraps it in its own way."""
    line = "install seed=http://10.0.2.2:8000/0123456789abcdef/seed console=tty0 console=ttyS0 quiet splash=silent "

    async def run() -> tuple[ScreenText, int, int]:
        iso = tmp_path / "tiny.iso"
        script = Path(__file__).parents[3] / "scripts/iso/tiny"
        await asyncio.to_thread(subprocess.run, [script, iso], check=True, capture_output=True)
        async with guest(iso=iso) as machine:
            senses = Senses(machine)
            await ScreenWaits(senses, machine).for_text(re.compile("^boot:", re.M), soon("isolinux' prompt"))
            report = await Keyboard(machine, layout("us"), screen=senses).type(parse(line).actions, waits=Waits())
            return await senses.read_screen(), report.verified, report.retyped

    read, verified, retyped = asyncio.run(run())
    assert (verified, retyped) == (len(line), 0)
    assert re.sub(r"\s", "", line) in re.sub(r"\s", "", read.text)


@dataclass(frozen=True, slots=True)
class Panicked:
    """What a kernel without an initrd leaves behind: its last words on the screen and on the serial line."""

    read: ScreenText
    serial: str
    learned: ScreenText
    """The same screen, read by one who knows no font."""
    matches: tuple[str, str]
    in_vain: str


async def panic(mode: str, no_fonts: Path) -> Panicked:
    kernel = KernelSpec(INSTALLER, None, f"{mode} console=ttyS0 console=tty0 ignore_loglevel panic=0")
    async with guest(kernel=kernel, memory=Size(512 * 2**20)) as machine:
        senses = Senses(machine)
        waits = ScreenWaits(senses, machine)
        first = await waits.for_serial(re.compile(r"Linux version \S+"), soon("the kernel"))
        second = await waits.for_serial(re.compile("end Kernel panic[^\n]*"), soon("its panic"))
        with pytest.raises(DeadlineExpired) as caught:
            await waits.for_serial(re.compile("Linux version"), soon("another kernel", 0.5))
        await waits.for_text(re.compile("end Kernel panic"), soon("the panic"))
        read = await waits.for_still(Duration(1), soon("a still screen"))
        learned = await Senses(machine, FontLibrary(share=[no_fonts], boot=no_fonts)).read_screen()
        return Panicked(read, machine.serial_text(Size(2**20)), learned, (first, second), caught.value.message)


@pytest.mark.skipif(not INSTALLER.exists(), reason="needs the package debian-installer-12-netboot-amd64")
@pytest.mark.parametrize(("mode", "columns"), [("vga=0x317", 128), ("", 80)], ids=["framebuffer", "text"])
def test_a_kernels_console_equals_its_serial_log(mode: str, columns: int, tmp_path: Path) -> None:
    seen = asyncio.run(panic(mode, tmp_path))
    assert seen.read.sense is (Sense.GLYPHS if mode else Sense.VGA_MEMORY)
    assert (seen.read.confidence, seen.read.columns) == (1.0, columns)
    said = {line.rstrip() for line in seen.serial.split("\n")}
    # The console breaks lines at its edge; the first may have lost its head to scrolling.
    whole = [line.rstrip() for line in seen.read.unwrapped.split("\n")[1:] if line.strip()]
    assert len(whole) > 10
    assert not [line for line in whole if line not in said]
    if mode:
        # An unknown font is learned from what the serial line said.
        assert seen.learned.font == "learned 8x16"
        assert seen.learned.confidence > 0.9
        pairs = zip("".join(seen.learned.lines), "".join(seen.read.lines), strict=True)
        assert not [(a, b) for a, b in pairs if a not in (b, "\ufffd")]
    # On the serial line each wait begins where the one before ended.
    assert seen.matches[0].startswith("Linux version 6")
    assert "not syncing" in seen.matches[1]
    assert re.search(r"the serial line said last: (?s:.*)Kernel panic", seen.in_vain)


@pytest.mark.skipif(not OVMF.is_dir(), reason="needs OVMF")
def test_uefi_is_read_by_its_own_font() -> None:
    async def run() -> ScreenText:
        async with guest(uefi=True) as machine:
            # OVMF mirrors its console to the serial line, which is all there is to read while the screen is blank.
            return await shows_by(machine, Sense.GLYPHS, r"UEFI Interactive Shell(?s:.*)(Shell>|startup\.nsh)")

    read = asyncio.run(run())
    assert (read.font, read.confidence) == ("EDK2 8x19", 1.0)


def test_a_machine_without_a_display_is_read_by_its_serial_line() -> None:
    kernel = KernelSpec(INSTALLER, None, "console=ttyS0") if INSTALLER.exists() else None

    async def run() -> ScreenText:
        async with guest(display="none", kernel=kernel) as machine:
            return await Senses(machine).read_screen()

    read = asyncio.run(run())
    assert read.sense is Sense.SERIAL


def glyph_of(character: str) -> bytes:
    """As the VGA BIOS draws it, in 16 rows of a byte."""
    fonts = next(FontLibrary().groups())
    (font,) = (font for font in fonts if (font.width, font.height) == (8, 16))
    bitmap = next(bitmap for bitmap, other in font.glyphs.items() if other == character)
    return bytes(int(bitmap[i : i + 8].translate(DIGITS), 2) for i in range(0, 128, 8))


@pytest.mark.parametrize(
    ("glyph", "line"),
    [
        (bytes((0x3C, 0x42, 0x99, 0xA5) * 4), "Caf\ufffd ══ b\ufffdte"),
        (glyph_of("ü"), "Cafü ══ büte"),
        (glyph_of("é"), "Café ══ béte"),
    ],
    ids=["of nobody's", "of another letter", "as it was"],
)
def test_a_letter_beyond_ascii_is_what_it_looks_like(glyph: bytes, line: str) -> None:
    """A guest that has loaded a font of its own shows another letter, or nobody knows what, for the same code."""

    async def run() -> ScreenText:
        async with guest(boot_sector=own_glyph(0x82, glyph, "Café ══ béte".encode("cp437"))) as machine:
            await machine.sent(1)
            return await Senses(machine).read_screen()

    read = asyncio.run(run())
    assert (read.sense, read.lines[0]) == (Sense.VGA_MEMORY, line)
    assert (read.confidence == 1.0) is ("\ufffd" not in line)


# --- typing with open eyes --------------------------------------------------------------------------------------------


def test_lost_keys_are_noticed_wiped_and_typed_again() -> None:
    text = "install seed=http://10.0.2.2:8123/abcdef/seed console=ttyS0 quiet"

    async def run() -> tuple[str, int, int]:
        # This guest throws away every 61st key, backspaces included.
        async with guest(boot_sector=echo(lose_every=61)) as machine:
            await machine.sent(1)
            senses = Senses(machine)
            report = await Keyboard(machine, layout("us"), screen=senses).type(parse(text).actions, waits=Waits())
            assert len(report.warnings) >= 1
            read = await senses.read_screen()
            return read.text, report.retyped, report.verified

    shown, retyped, verified = asyncio.run(run())
    assert text in shown.replace("\n", "")
    assert retyped > 0
    assert verified == len(text)


@pytest.mark.parametrize("keys", [1, 4, 9])
def test_a_prompt_that_appears_only_after_the_first_keys(keys: int) -> None:
    """What was typed before it is lost: the rest is wiped, up to the prompt, and all of it is typed again."""
    text = "install seed=http://10.0.2.2:8123/abcdef/seed quiet"

    async def run() -> tuple[str, TypingReport]:
        async with guest(boot_sector=late_prompt(keys)) as machine:
            await machine.sent(1)
            senses = Senses(machine)
            report = await Keyboard(machine, layout("us"), screen=senses).type(parse(text).actions, waits=Waits())
            return (await senses.read_screen()).lines[0], report

    line, report = asyncio.run(run())
    assert line == f"boot: {text}"
    assert report.retyped > 0
    assert "wiped it, typing it again slower" in report.warnings[0]


def test_a_guest_that_keeps_losing_keys_is_given_up_on() -> None:
    async def run() -> None:
        async with guest(boot_sector=echo(lose_every=3)) as machine:
            await machine.sent(1)
            await Keyboard(machine, layout("us"), screen=Senses(machine)).type(
                parse("install the system").actions, waits=Waits()
            )

    with pytest.raises(
        UnexpectedScreen, match=r"typed '.*', but the screen shows '.*', (however slowly|and it cannot be wiped)"
    ):
        asyncio.run(run())


def test_a_secret_that_comes_out_wrong_is_not_quoted() -> None:
    secret = "correct-horse-battery-staple"
    redact = Redactor([secret])

    async def run() -> None:
        async with guest(boot_sector=echo(lose_every=3)) as machine:
            await machine.sent(1)
            # So long before it that the secret is cut by a chunk's end.
            command = parse(f"password/again=password-is={secret}")
            await Keyboard(machine, layout("us"), screen=Senses(machine), redact=redact).type(
                command.actions, waits=Waits()
            )

    with pytest.raises(UnexpectedScreen, match="characters that hold a secret came out wrong") as caught:
        asyncio.run(run())
    assert caught.value.evidence.screen == ""
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize("password", [{"silent": True}, {"star": True}])
@pytest.mark.parametrize("name", ["us", "fr"])
def test_what_is_not_echoed_is_not_typed_again(name: str, password: dict[str, bool]) -> None:
    """A guest that shows nothing, or stars, as at a password prompt."""

    async def run() -> tuple[bytes, int]:
        async with guest(boot_sector=echo(**password)) as machine:
            await machine.sent(1)
            report = await Keyboard(machine, layout(name), screen=Senses(machine)).type(
                parse("secret word").actions, waits=Waits()
            )
            assert report.verified == 0
            return await machine.sent(12), report.retyped

    arrived = {"us": b"Rsecret word", "fr": b"Rsecret zord"}[name]
    assert asyncio.run(run()) == (arrived, 0)


# --- waits ------------------------------------------------------------------------------------------------------------


def test_a_wait_that_ends_in_vain_says_what_is_there() -> None:
    async def run() -> None:
        async with guest() as machine:
            await shows(machine, "No bootable device")
            waits = ScreenWaits(Senses(machine), machine)
            await waits.for_text(re.compile("Install"), soon("the text 'Install' on the screen", 0.5))

    with pytest.raises(DeadlineExpired) as caught:
        asyncio.run(run())
    assert caught.value.message.startswith("waited 500ms for the text 'Install' on the screen; the screen shows:")
    assert "No bootable device." in caught.value.message
    assert "SeaBIOS" in caught.value.evidence.screen


def test_a_wait_branches_and_knows_what_is_fatal() -> None:
    wanted = Outcome("Install", re.compile("Install"))
    none = Outcome("no disk", re.compile("No bootable device"))
    fatal = Outcome("no disk", re.compile("No bootable device"), fatal=True)

    async def run() -> str:
        async with guest() as machine:
            waits = ScreenWaits(Senses(machine), machine)
            outcome, _ = await waits.for_any((wanted, none), soon())
            with pytest.raises(UnexpectedScreen, match="showed 'no disk': No bootable device"):
                await waits.for_any((wanted, fatal), soon("the installer's menu"))
            return outcome.name

    assert asyncio.run(run()) == "no disk"


def test_a_still_screen_is_waited_for() -> None:
    async def run() -> ScreenText:
        async with guest() as machine:
            return await ScreenWaits(Senses(machine), machine).for_still(Duration(3), soon("a still screen"))

    assert "No bootable device." in asyncio.run(run()).text


def test_a_frame_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        Frame.from_ppm(b"P6\n2 2\n255\n" + bytes(11))
    assert Frame.from_ppm(b"P6\n2 2\n255\n" + bytes(12)).width == 2


def test_deaf_guests_show_what_was_there() -> None:
    async def run() -> ScreenText:
        async with guest(boot_sector=deaf()) as machine:
            await machine.sent(1)
            return await Senses(machine).read_screen()

    assert "Booting from Hard Disk" in asyncio.run(run()).text
