"""What was typed stands on the screen in clear: neither its text nor its picture may show it where it is kept."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline, poll
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.fonts import FontShelf
from factory.drivers.screen.frame import Frame, Grid
from factory.drivers.screen.glyphs import GlyphReader
from factory.drivers.screen.masking import mask_lines, mask_picture
from factory.drivers.screen.recorder import RecorderLimits, recorded_frames, recording
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.errors import DeadlineExpired
from factory.events import Event, ScreenChanged
from factory.quantity import Duration, Size
from factory.secret import MASK, Redactor
from tests.drivers.screen.boot_sectors import echo
from tests.drivers.screen.machine import guest
from tests.drivers.screen.test_recorder import Nothing

SECRET = "Hunter2Secret!x"


@pytest.mark.unit
def test_lines_lose_what_is_named_and_keep_the_rest() -> None:
    lines = ["pw=Hunt", "er2Secret!x quiet", "more"]
    assert mask_lines(lines, [[(3, 7)], [(0, 11)], []]) == (f"pw={MASK}", f"{MASK} quiet", "more")


@pytest.mark.unit
def test_the_cells_of_a_secret_are_black_and_the_others_as_they_were() -> None:
    white = Frame(8, 4, b"\xff" * (8 * 4 * 3))
    masked = mask_picture(white, Grid(2, 2), [[], [(1, 3)]])
    rows = [masked.band(y, 1) for y in range(4)]
    assert rows[0] == rows[1] == b"\xff" * 24
    assert rows[2] == rows[3] == b"\xff" * 6 + bytes(12) + b"\xff" * 6
    assert mask_picture(white, Grid(2, 2), [[], []]) is white
    assert set(mask_picture(white, None, [[(0, 1)]]).pixels) == {0}, "nobody knows where it stands"
    assert len(mask_picture(white, Grid(2, 2), [[(0, 99)]] * 9).pixels) == len(white.pixels), "cells beyond the rim"


@pytest.mark.machine
def test_a_typed_secret_that_the_console_breaks_is_in_no_text_and_no_picture(tmp_path: Path) -> None:
    """Typed slowly enough for the recorder to see it grow; the echo breaks it at the 80th column."""
    events: list[Event] = []
    redactor, before = Redactor([SECRET]), "x" * 70 + " pw="

    async def run() -> None:
        async with guest(boot_sector=echo()) as machine:
            senses = Senses(machine, redactor=redactor)
            await machine.sent(1)
            limits = RecorderLimits(Duration(0.05), 100, Size(2**20))
            async with recording(senses, tmp_path / "screens", limits, events.append):
                for text in (before, *SECRET, " quiet"):
                    await Keyboard(machine, layout("us")).type(parse(text).actions, waits=Nothing())

                async def seen() -> bool | None:
                    return any(isinstance(e, ScreenChanged) and "quiet" in e.text for e in events) or None

                await poll(seen, Deadline.after(Duration(60), "the whole line to be recorded"))
            await senses.save_picture(tmp_path / "failure.png")
            never = Deadline.after(Duration(0.5), "what never comes")
            with pytest.raises(DeadlineExpired) as expired:
                await ScreenWaits(senses, machine).for_text(re.compile("never"), never)
            assert "quiet" in str(expired.value)
            assert not _pieces_in(f"{expired.value} {expired.value.evidence}")

    asyncio.run(run())
    texts = [event.text for event in events if isinstance(event, ScreenChanged)]
    assert any(MASK in text for text in texts)
    for text in texts:
        assert not _pieces_in(text)
    for path in (tmp_path / "failure.png", *(frame.path for frame in recorded_frames(tmp_path / "screens"))):
        assert not _pieces_in(_read(path)), path
    assert "pw=" in _read(tmp_path / "failure.png")


def _pieces_in(text: str) -> list[str]:
    """Pieces of the secret, of a third of it or more, as far as one row holds them."""
    flat = text.replace("\n", "").replace("\\n", "")
    return [SECRET[i : i + 5] for i in range(len(SECRET) - 4) if SECRET[i : i + 5] in flat]


def _read(path: Path) -> str:
    """The text on a picture, by the fonts of the VGA BIOS."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    fonts = next(iter(FontLibrary().groups()))
    read = GlyphReader(FontShelf(list(fonts))).read(Frame(*picture.size, picture.tobytes()))
    return "\n".join(read.lines) if read else ""
