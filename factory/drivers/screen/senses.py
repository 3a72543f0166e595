"""Senses: reads a machine's screen and serial line as text.

In order of trust: the serial line, which is text already; VGA text memory, which holds codes; a screenshot's cells that
equal the glyphs of a known font bit by bit; optical recognition, an extra, which guesses.
"""

from __future__ import annotations

import asyncio
import enum
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from factory.control_sequences import plain
from factory.drivers.protocols import Qmp
from factory.drivers.screen.blankness import is_blank
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.fonts import Font, FontShelf
from factory.drivers.screen.frame import Frame, Grid
from factory.drivers.screen.glyphs import GlyphReader, GlyphText
from factory.drivers.screen.learning import SIZES, learn
from factory.drivers.screen.masking import mask_lines, mask_picture
from factory.drivers.screen.picture import save_png
from factory.drivers.screen.serial_terminal import terminal_lines
from factory.drivers.screen.typed_secrets import TypedSecrets
from factory.drivers.screen.vga_memory import BASE, SIZE, text_modes
from factory.drivers.screen.vga_text import MemoryText, read_memory
from factory.errors import MachineDied, MachineSilent, StepError
from factory.quantity import Size
from factory.secret import Redactor

_EXACT = 0.97
"""Of the cells that hold something must be known glyphs, for a line to be compared with what was typed."""
_READABLE = 0.5
_SERIAL_TAIL = Size(256 * 1024)
_FRAME = re.compile(r"[\s|\u2500-\u25ff\u23ba-\u23bd]+")
"""Blanks, and what frames, their shadows and scroll bars are drawn of."""
_RULE = frozenset("-+=_*~.#")
_WORTH_LEARNING = 2000
"""Characters that the serial line must have said before a font is learned from it."""


class Sense(enum.StrEnum):
    SERIAL = "serial"
    VGA_MEMORY = "vga-memory"
    GLYPHS = "glyphs"
    OCR = "ocr"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ScreenText:
    """What a sense read.

    Args:
        lines: without blanks at their ends.
        confidence: 1.0 when every character is certain; 0.0 when nothing could be read.
        columns: of the screen in characters; 0 when it has no fixed width.
        picture: width and height in pixels; zeros for the serial line.
        grid: where the cells of *lines* lie on the picture; None when that is not known.
    """

    lines: tuple[str, ...]
    sense: Sense
    confidence: float
    columns: int = 0
    picture: tuple[int, int] = (0, 0)
    font: str = ""
    grid: Grid | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def unwrapped(self) -> str:
        """The text with lines joined where one fills the row: what a console broke in two is whole again."""
        if not self.columns:
            return self.text
        return "".join([line if len(line) >= self.columns else line + "\n" for line in self.lines])

    @property
    def exact(self) -> bool:
        """True when every character claimed is certain and hardly any is missing."""
        return self.sense is not Sense.OCR and self.confidence >= _EXACT

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Finds *pattern* in the text as it stands, or as it was before the console broke its lines.

        Nobody can see where a line ends: it may go on with a blank, as a prompt does, or with blanks to the screen's
        edge. *pattern* may match there as well.
        """
        found = pattern.search(self.text) or pattern.search(self.unwrapped)
        if found:
            return found
        room = self.columns or max(map(len, self.lines), default=0) + 1
        longer = replace(self, lines=tuple([line if len(line) >= room else f"{line} " for line in self.lines]))
        found = pattern.search(longer.text) or pattern.search(longer.unwrapped)
        if found or not self.columns:
            return found
        return pattern.search("\n".join([line.ljust(self.columns) for line in self.lines]))

    def excerpt(self, lines: int = 5) -> str:
        """The last lines that say something, be it a prompt's sign alone, for error messages."""
        said = [line.strip() for line in self.lines if not _is_drawn(line)]
        return "\n".join(said[-lines:])


def _is_drawn(line: str) -> bool:
    """True for a line that says nothing: a blank one, a piece of a frame, a rule. A sign alone may be a prompt."""
    rest = _FRAME.sub("", line)
    return not rest or (len(rest) > 1 and _RULE.issuperset(rest))


class ScreenMachine(Qmp, Protocol):
    """What the senses need of a machine; ``protocols.Machine`` has it."""

    def serial_text(self, limit: Size = ...) -> str: ...


class Recogniser(Protocol):
    """Optical character recognition. Blocking: it is called in a thread."""

    def lines(self, frame: Frame) -> tuple[Sequence[str], float]:
        """Lines, and how sure it is of them (0 … 1)."""


class Senses:
    """Reads one machine. Keeps what it learned of the screen from one reading to the next.

    Args:
        scratch: a folder that QEMU can write to, for screenshots; default: a new one, gone with this object.
        recogniser: the last resort; default: none.
        redactor: knows what nobody is to see in what is kept or quoted (``shown``, ``hidden``, ``save_picture``).
    """

    def __init__(
        self,
        machine: ScreenMachine,
        library: FontLibrary | None = None,
        *,
        scratch: Path | None = None,
        recogniser: Recogniser | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self._machine, self.secrets = machine, TypedSecrets(redactor or Redactor())
        self._temporary = None if scratch else tempfile.TemporaryDirectory(prefix="factory-screen-")
        self._scratch = scratch or Path(self._temporary.name if self._temporary else ".")
        self._recogniser = recogniser
        self._groups: Iterator[tuple[Font, ...]] = (library or FontLibrary()).groups()
        self._shelf = FontShelf()
        self._reader = GlyphReader(self._shelf)
        self._start = 0
        self._taught = ""
        self._learned: Font | None = None
        self._last: tuple[bytes, ScreenText] | None = None
        self._lock = asyncio.Lock()
        self._loading = threading.Lock()
        self._watchers: list[Callable[[Frame, ScreenText], None]] = []

    def watch(self, watcher: Callable[[Frame, ScreenText], None]) -> Callable[[], None]:
        """Calls *watcher* with each screenshot that is read, whoever reads, and what was read on it.

        Returns how to stop it.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher) if watcher in self._watchers else None

    async def read_screen(self) -> ScreenText:
        """The text on the screen, by the best sense that can read it.

        A machine that shows a picture, nothing at all or has no screen is read by its serial line, if that has said
        anything; ``sense`` says so. Raises: MachineDied.
        """
        async with self._lock:
            frame = await self._frame()
            read = await self._read_frame(frame) if frame is not None else None
        if read is not None and read.lines:
            return read
        serial = self.read_serial()
        return serial if serial.lines or read is None else read

    async def _read_frame(self, frame: Frame) -> ScreenText:
        known = self._last[1] if self._last and self._last[0] == frame.pixels else None
        read = known or await self._read(frame)
        for watcher in tuple(self._watchers):  # also of what is known: one that came later has not heard of it
            watcher(frame, read)
        if read.sense is not Sense.NONE:  # which may be read when more fonts are known
            self._last = (frame.pixels, read)
        return read

    def read_serial(self) -> ScreenText:
        """The last screenful of the serial line."""
        return ScreenText(terminal_lines(self._machine.serial_text(_SERIAL_TAIL)), Sense.SERIAL, 1.0)

    async def read_lines(self) -> Sequence[str] | None:
        """The screen's lines where they are certain, else None (``drivers.keyboard.LineReader``)."""
        read = await self.read_screen()
        return read.lines if read.exact and read.sense is not Sense.SERIAL else None

    def shown(self, read: ScreenText) -> ScreenText:
        """What was read, as it may be kept or quoted."""
        spans = self.secrets.spans(read.lines)
        return replace(read, lines=mask_lines(read.lines, spans)) if any(spans) else read

    def masked(self, text: str) -> str:
        """What stands on the screen, or is to be typed, as it may be quoted."""
        lines = text.split("\n")
        return "\n".join(mask_lines(lines, self.secrets.spans(lines)))

    def hidden(self, frame: Frame, read: ScreenText) -> Frame:
        """The picture that *read* was read from, as it may be kept."""
        return mask_picture(frame, read.grid, self.secrets.spans(read.lines))

    async def save_picture(self, path: Path) -> None:
        """Writes a PNG of the screen, without secrets. Raises: StepError when there is no display; MachineDied."""
        async with self._lock:
            frame = await self._frame()
            if frame is None:
                raise StepError("the machine has no display that a picture could be taken of")
            read = await self._read_frame(frame)
        await asyncio.to_thread(lambda: save_png(path, self.hidden(frame, read)))

    async def frame(self) -> Frame | None:
        """A screenshot; None when the machine has no display. Raises: MachineDied."""
        async with self._lock:
            return await self._frame()

    async def _frame(self) -> Frame | None:
        path = self._scratch / "screen.ppm"
        try:
            await self._machine.execute("screendump", {"filename": str(path.absolute())})
        except (MachineDied, MachineSilent):
            raise
        except StepError:
            return None
        try:
            return Frame.from_ppm(await asyncio.to_thread(path.read_bytes))
        except (OSError, ValueError):
            return None

    async def _read(self, frame: Frame) -> ScreenText:
        picture = (frame.width, frame.height)
        if next(text_modes(frame), None):
            found = await self._read_memory(frame)
            if found:
                return found
        if await asyncio.to_thread(is_blank, frame):
            return ScreenText((), Sense.GLYPHS, 1.0, 0, picture)
        glyphs = await self._read_glyphs(frame)
        if glyphs and glyphs.confidence >= _READABLE and (glyphs.known or not glyphs.unknown):
            columns = glyphs.grid.columns(frame)
            return ScreenText(glyphs.lines, Sense.GLYPHS, glyphs.confidence, columns, picture, glyphs.font, glyphs.grid)
        if self._recogniser:
            lines, confidence = await asyncio.to_thread(self._recogniser.lines, frame)
            if any(lines):
                return ScreenText(tuple(lines), Sense.OCR, min(confidence, 0.95), 0, picture)
        return ScreenText((), Sense.NONE, 0.0, 0, picture)

    async def _read_memory(self, frame: Frame) -> ScreenText | None:
        path = self._scratch / "vga.bin"
        try:
            await self._machine.execute("pmemsave", {"val": BASE, "size": SIZE, "filename": str(path.absolute())})
        except (MachineDied, MachineSilent):
            raise
        except StepError:
            return None
        if not len(self._shelf):
            await self._more_fonts()

        def read() -> MemoryText | None:
            return read_memory(path.read_bytes(), frame, last_start=self._start, fonts=self._shelf.of_size)

        while (text := await asyncio.to_thread(read)) and text.unknown:
            if not await self._more_fonts():  # a console's font that this computer has, too
                break
        if text is None or text.confidence < _READABLE:
            return None
        self._start = text.start
        picture = (frame.width, frame.height)
        grid = Grid(frame.width // text.mode.columns, frame.height // text.mode.rows)
        return ScreenText(text.lines, Sense.VGA_MEMORY, text.confidence, text.mode.columns, picture, grid=grid)

    async def _read_glyphs(self, frame: Frame) -> GlyphText | None:
        """Reads with the fonts on the shelf; fetches the next ones while those don't do."""
        best: GlyphText | None = None
        while True:
            glyphs = await asyncio.to_thread(self._reader.read, frame) if len(self._shelf) else None
            if glyphs and (best is None or glyphs.confidence > best.confidence):
                best = glyphs
            if best and best.confidence >= _EXACT:
                return best
            if not await self._more_fonts():
                return await self._learn(frame, best) or best

    async def _learn(self, frame: Frame, read: GlyphText | None) -> GlyphText | None:
        """Reads with glyphs learned from what the serial line said, where that is better than *read*."""
        serial = plain(self._machine.serial_text(_SERIAL_TAIL))
        if len(serial) < _WORTH_LEARNING or serial == self._taught:
            return None
        self._taught = serial

        def study() -> GlyphText | None:
            best: GlyphText | None = None
            for width, height in SIZES:
                grid = Grid(width, height)
                font = learn(self._reader.shapes(frame, grid), serial.splitlines(), width, height)
                text = GlyphReader(FontShelf([font])).read_at(frame, grid) if font else None
                if font and text and (best is None or text.known > best.known):
                    best, self._learned = text, font
            return best if best and (read is None or best.confidence > read.confidence) else None

        found = await asyncio.to_thread(study)
        if found and self._learned:
            self._shelf.add(self._learned)
            self._reader = GlyphReader(self._shelf)
        return found

    async def _more_fonts(self) -> bool:
        """Puts the next group of fonts on the shelf; False when there are no more."""

        def load() -> bool:
            with self._loading:  # a reader that was cancelled may have left its thread at work here
                for fonts in self._groups:
                    if fonts:
                        for font in fonts:
                            self._shelf.add(font)
                        # What was read with fewer fonts may read better now.
                        self._reader = GlyphReader(self._shelf)
                        return True
                return False

        return await asyncio.to_thread(load)
