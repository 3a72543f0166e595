"""Fonts are loaded in a thread, which outlives a reader that is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from factory.drivers.screen.fonts import Font
from factory.drivers.screen.senses import Senses

pytestmark = pytest.mark.machine


class SlowLibrary:
    """The first group of fonts takes until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def groups(self) -> Iterator[tuple[Font, ...]]:
        self.begun.set()
        self.go_on.wait(30)
        yield ()
        yield ()


def test_a_reader_that_was_cancelled_does_not_break_the_next_one() -> None:
    library = SlowLibrary()
    machine: Any = None  # nothing is asked of it

    async def run() -> bool:
        senses = Senses(machine, library)  # type: ignore[arg-type]
        first = asyncio.ensure_future(senses._more_fonts())
        await asyncio.to_thread(library.begun.wait, 30)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        second = asyncio.ensure_future(senses._more_fonts())
        await asyncio.sleep(0)
        library.go_on.set()
        return await second

    assert asyncio.run(run()) is False
