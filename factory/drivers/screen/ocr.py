"""Optical character recognition by Tesseract: the last resort, for text in fonts that nobody knows.

An extra (``pip install factory[ocr]``): the module ``tesserocr`` brings Tesseract, the Debian package tesseract-ocr-eng
(or ``TESSDATA_PREFIX``) its knowledge of letters. It guesses, so what it reads is never taken for certain.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from factory.drivers.screen.frame import Frame
from factory.errors import HostError

LANGUAGE = "eng"
_SCALE = 2  # screen fonts are smaller than what Tesseract was taught with
_PLACES = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/share/tesseract/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)


class Tesseract:
    """A ``senses.Recogniser``. Takes a tenth of a second to some seconds a frame.

    Raises: HostError when the extra or its data is not installed.
    """

    def __init__(self, places: Iterable[str] = _PLACES) -> None:
        try:
            import tesserocr
        except ImportError:
            raise HostError(
                "optical character recognition is not installed", hint="pip install 'factory[ocr]'"
            ) from None
        folder = _data_folder(places)
        self._module: Any = tesserocr
        self._lock = threading.Lock()
        # One block of text, as it stands: a screen has no columns to be found.
        self._api: Any = tesserocr.PyTessBaseAPI(path=str(folder), lang=LANGUAGE, psm=tesserocr.PSM.SINGLE_BLOCK)
        self._api.SetVariable("preserve_interword_spaces", "1")

    def lines(self, frame: Frame) -> tuple[Sequence[str], float]:
        """Lines of text and how sure Tesseract is of them, 0 … 1."""
        from PIL import Image, ImageOps

        picture = Image.frombytes("RGB", (frame.width, frame.height), frame.pixels).convert("L")
        # It expects dark letters on light paper; consoles are the other way round.
        histogram = picture.histogram()
        if sum(histogram[:128]) > sum(histogram[128:]):
            picture = ImageOps.invert(picture)
        picture = picture.resize((frame.width * _SCALE, frame.height * _SCALE), Image.Resampling.LANCZOS)
        with self._lock:
            self._api.SetImage(picture)
            text = str(self._api.GetUTF8Text())
            confidence = float(self._api.MeanTextConf()) / 100
        return [line.rstrip() for line in text.splitlines() if line.strip()], confidence


def recogniser() -> Tesseract | None:
    """Tesseract where it is installed, else None."""
    try:
        return Tesseract()
    except HostError:
        return None


def _data_folder(places: Iterable[str]) -> Path:
    prefix = os.environ.get("TESSDATA_PREFIX")
    for place in (prefix, *places) if prefix else places:
        if (Path(place) / f"{LANGUAGE}.traineddata").is_file():
            return Path(place)
    raise HostError(
        "Tesseract's data for English is not installed",
        hint="apt-get install tesseract-ocr-eng, or set TESSDATA_PREFIX",
    )
