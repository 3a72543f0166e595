"""Optical recognition as the last resort, where the extra is installed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.ocr import Tesseract, recogniser
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.errors import HostError
from tests.drivers.screen.machine import grub_iso, guest
from tests.drivers.screen.test_senses_machine import shows

pytestmark = pytest.mark.machine


def test_without_its_data_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tesserocr")
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    with pytest.raises(HostError) as caught:
        Tesseract([str(tmp_path)])
    assert "tesseract-ocr-eng" in caught.value.hint


def test_text_in_an_unknown_font_is_guessed_at_and_says_so(tmp_path: Path) -> None:
    tesseract = recogniser()
    if tesseract is None:
        pytest.skip("the extra 'ocr' or its data is not installed")

    async def run() -> tuple[ScreenText, ScreenText]:
        iso = await asyncio.to_thread(grub_iso, tmp_path, graphical=True)
        async with guest(iso=iso) as machine:
            await shows(machine, "Use the . and")
            no_fonts = FontLibrary(share=[tmp_path], boot=tmp_path)
            blind = await Senses(machine, no_fonts).read_screen()
            return blind, await Senses(machine, no_fonts, recogniser=tesseract).read_screen()

    blind, read = asyncio.run(run())
    assert blind.sense in (Sense.NONE, Sense.SERIAL)
    assert read.sense is Sense.OCR
    assert "GNU GRUB" in read.text
    assert "Advanced options" in read.text
    assert read.confidence < 1
    assert not read.exact
