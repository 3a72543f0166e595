"""A screen that shows nothing is read as just that, whether or not a cursor blinks on it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from factory.deadline import pause
from factory.drivers.machine_spec import KernelSpec
from factory.drivers.screen.blankness import is_blank
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.recorder import RecorderLimits, recording
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.events import Event, ScreenChanged
from factory.quantity import Duration, Size
from tests.drivers.screen.machine import guest
from tests.drivers.screen.test_senses_machine import INSTALLER, soon

INK, PAPER = bytes((170, 170, 170)), bytes(3)


def frame(*inked: tuple[int, int, int, int], paper: bytes = PAPER) -> Frame:
    """64 by 48 pixels with rectangles of ink: left, top, width, height."""
    pixels = [paper] * 64 * 48
    for left, top, width, height in inked:
        for y in range(top, top + height):
            pixels[y * 64 + left : y * 64 + left + width] = [INK] * width
    return Frame(64, 48, b"".join(pixels))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("shown", "blank"),
    [
        (frame(), True),
        (frame(paper=bytes((0, 0, 170))), True),
        (frame((0, 14, 8, 2)), True),  # the framebuffer console's cursor, as the Debian installer leaves it
        (frame((16, 16, 8, 16)), True),  # a block
        (frame((0, 13, 8, 1)), False),  # an underscore
        (frame((0, 12, 2, 2)), False),  # a full stop
        (frame((0, 7, 40, 2)), False),  # a line
        (frame((0, 14, 8, 2), (16, 14, 8, 2)), False),
        (frame((0, 14, 8, 2), (0, 30, 8, 2)), False),
        (frame((0, 14, 8, 2), (0, 16, 2, 2)), False),
    ],
    ids=["one colour", "blue", "underline", "block", "underscore", "full stop", "line", "two", "two below", "corner"],
)
def test_blank_is_one_colour_and_at_most_a_cursor(shown: Frame, blank: bool) -> None:
    assert is_blank(shown) is blank


@pytest.mark.machine
def test_what_an_installer_on_the_serial_line_leaves_on_the_screen(tmp_path: Path) -> None:
    """A framebuffer with a blinking cursor: of the screens of a whole Debian installation nearly all look so."""
    kernel = KernelSpec(INSTALLER, None, "vga=788 console=ttyS0")
    events: list[Event] = []

    async def run() -> tuple[ScreenText, ScreenText]:
        async with guest(kernel=kernel, memory=Size(512 * 2**20)) as machine:
            senses = Senses(machine)
            waits = ScreenWaits(senses, machine)
            await waits.for_serial(re.compile("end Kernel panic"), soon())
            await waits.for_still(Duration(1.5), soon("a screen on which only a cursor blinks", 20))
            async with recording(senses, tmp_path, RecorderLimits(every=Duration(0.1)), events.append):
                await pause(Duration(1.5))
            frame = await senses.frame()
            assert frame is not None
            return await senses.read_screen(), await senses._read_frame(frame)

    said, shown = asyncio.run(run())
    assert said.sense is Sense.SERIAL
    assert "Kernel panic" in said.text
    assert (shown.sense, shown.confidence, shown.text) == (Sense.GLYPHS, 1.0, "")
    assert shown.picture[0] >= 640
    assert [(e.sense, e.text) for e in events if isinstance(e, ScreenChanged)] == [("glyphs", "")]
