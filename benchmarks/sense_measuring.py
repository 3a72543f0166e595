"""Reads a screen by each sense, as a build does, and times it."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable

from benchmarks.sense_judging import Counts, Reading
from factory.deadline import Deadline
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.fonts import FontShelf
from factory.drivers.screen.glyphs import GlyphReader
from factory.drivers.screen.senses import ScreenText, Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.quantity import Duration
from tests.drivers.screen.machine import Guest

REPEATS = 7


async def measure(machine: Guest, screen: str, judge: Callable[[ScreenText], Counts]) -> list[Reading]:
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
    return [Reading(screen, read.sense, judge(read), first * 1000, statistics.median(times) * 1000)]


async def by_glyphs(machine: Guest) -> tuple[tuple[str, ...], float, float]:
    """What glyphs alone read, and the milliseconds that it took at first and again."""
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
    return (text.lines if text else ()), first * 1000, again * 1000


def by_serial(machine: Guest, screen: str, judge: Callable[[ScreenText], Counts]) -> Reading:
    """What the serial sense makes of the line as it is, control sequences and all."""
    senses = Senses(machine)
    started = time.monotonic()
    read = senses.read_serial()
    first = time.monotonic() - started
    started = time.monotonic()
    senses.read_serial()
    again = time.monotonic() - started
    return Reading(screen, read.sense, judge(read), first * 1000, again * 1000)


async def shown(machine: Guest, pattern: str) -> ScreenText:
    waits = ScreenWaits(Senses(machine), machine)
    await waits.for_text(re.compile(pattern, re.M), Deadline.after(Duration(400), pattern))
    return await waits.for_still(Duration(1), Deadline.after(Duration(60), "a still screen"))
