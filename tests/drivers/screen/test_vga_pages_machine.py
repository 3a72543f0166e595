"""Screens that begin somewhere else in the card's memory, where another word stands at its beginning."""

from __future__ import annotations

import asyncio

import pytest

from factory.drivers.screen.senses import ScreenText, Sense, Senses
from tests.drivers.screen.boot_sectors import two_pages
from tests.drivers.screen.machine import guest

pytestmark = pytest.mark.machine


def read(sector: bytes) -> ScreenText:
    async def run() -> ScreenText:
        async with guest(boot_sector=sector) as machine:
            await machine.sent(1)
            return await Senses(machine).read_screen()

    return asyncio.run(run())


@pytest.mark.parametrize("offset", [0x1000, 0x2000, 30 * 160], ids=["page 1", "page 2", "30 lines"])
@pytest.mark.parametrize(("stale", "shown"), [(b"Login", b"Panic"), (b"Install ready", b"Xygfmvs pqlht"), (b"Y", b"X")])
def test_another_page_is_read_as_it_is_shown(offset: int, stale: bytes, shown: bytes) -> None:
    seen = read(two_pages(stale, shown, offset))
    assert (seen.sense, seen.confidence, seen.text.strip()) == (Sense.VGA_MEMORY, 1.0, shown.decode())


@pytest.mark.parametrize("offset", [0x1000, 30 * 160])
def test_in_a_font_of_the_guests_own_no_other_word_is_claimed(offset: int) -> None:
    seen = read(two_pages(b"Login", b"Panic", offset, turned=True))
    assert "Login" not in seen.text
    assert not seen.exact or "Panic" in seen.text
