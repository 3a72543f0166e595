"""Keeps what a machine's screen showed: for each change a PNG, a line of ``index.jsonl`` and an event with the text.

Frames are written as they come, so that whatever ends the build leaves them whole. Their number is bounded by thinning:
when there are too many, every second one of the older half goes, so that a recording of hours is coarse at its
beginning and fine at its end, where failures are.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from factory.deadline import pause
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.picture import save_png
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.errors import FactoryError, MachineSilent
from factory.events import Emit, Note, ScreenChanged
from factory.log_files import owner_only
from factory.quantity import Duration, Size

FOLDER = "screens"
INDEX = "index.jsonl"
_SHARE = 10
"""Of its time the recorder looks at most one part in this: a screen that is slow to read is read less often."""
_LAST_LOOK = Duration(2)
_BLIND = 3
"""Looks in vain before a machine counts as one without a display; one in between may be QEMU's being busy."""


@dataclass(frozen=True, slots=True)
class RecorderLimits:
    """How often the screen is looked at, and how much of it is kept for one machine."""

    every: Duration = Duration(1)
    frames: int = 240
    size: Size = Size(16 * 2**20)


EVIDENCE = RecorderLimits()
"""For every build: enough to tell what happened."""
FILM = RecorderLimits(Duration(0.5), 2400, Size(128 * 2**20))
"""For ``--record``."""


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """``time`` is in seconds since the epoch."""

    path: Path
    time: float


@asynccontextmanager
async def recording(senses: Senses, folder: Path, limits: RecorderLimits, emit: Emit) -> AsyncIterator[None]:
    """Records into *folder* while the body runs, and its last screen. Failures of the recording itself are notes."""
    recorder = ScreenRecorder(senses, folder, limits, emit)
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run())
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure = error  # the group would wrap it
        finally:
            task.cancel()
    with suppress(FactoryError, OSError, TimeoutError):
        async with asyncio.timeout(float(_LAST_LOOK)):
            await senses.read_screen()
    await recorder.close()
    if failure is not None:
        raise failure


class ScreenRecorder:
    """Hears of every new screen that anybody reads by *senses*, and sees to it that somebody does."""

    def __init__(self, senses: Senses, folder: Path, limits: RecorderLimits, emit: Emit) -> None:
        self._senses, self._folder, self._limits, self._emit = senses, folder, limits, emit
        self._kept: list[tuple[RecordedFrame, int]] = []
        self._waiting: tuple[float, Frame, ScreenText] | None = None
        self._shown: object = None
        self._pixels = b""
        self._number = 0
        self._stop = senses.watch(self._seen)

    async def _frame(self) -> Frame | None:
        with suppress(MachineSilent):  # it may answer again
            return await self._senses.frame()
        return None

    async def run(self) -> None:
        """Looks again and again. Returns when the machine is gone or nothing can be written."""
        try:
            await asyncio.to_thread(self._folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            # A machine of this name may have been recorded before in this run: it is gone on with.
            self._number = max((int(p.stem) for p in self._folder.glob("[0-9]*.png")), default=0)
            blind = 0
            while True:
                started = time.monotonic()
                frame = await self._frame()
                blind = blind + 1 if frame is None else 0
                if blind == _BLIND and not self._pixels:
                    return  # there is no display
                if frame is not None and frame.pixels != self._pixels:
                    self._pixels = frame.pixels
                    await self._senses.read_screen()
                await self._write()
                await pause(Duration(max(float(self._limits.every), _SHARE * (time.monotonic() - started))))
        except FactoryError:
            return  # the machine's death is told elsewhere
        except OSError as error:
            self._emit(Note(f"the screen is not recorded any more: {error}", "warning"))

    async def close(self) -> None:
        """Writes what has been seen last."""
        self._stop()
        try:
            await self._write()
        except OSError as error:
            self._emit(Note(f"the last screen is not recorded: {error}", "warning"))

    def _seen(self, frame: Frame, read: ScreenText) -> None:
        # Where there is text it is compared, so that a cursor may blink; a picture is compared pixel by pixel.
        now: object = read.lines if read.sense not in (Sense.NONE, Sense.SERIAL) else frame.pixels
        if now == self._shown:
            return
        self._shown = now
        self._waiting = (time.time(), frame, read)  # of several within one interval the last one stays

    async def _write(self) -> None:
        if self._waiting is None:
            return
        (seen, frame, read), self._waiting = self._waiting, None
        frame, read = await asyncio.to_thread(lambda: (self._senses.hidden(frame, read), self._senses.shown(read)))
        self._number += 1
        path = self._folder / f"{self._number:05}.png"
        size = await asyncio.to_thread(_save, path, frame, seen)
        self._kept.append((RecordedFrame(path, seen), size))
        text = read.text if read.sense is not Sense.SERIAL else ""
        sense = read.sense if read.sense is not Sense.SERIAL else Sense.NONE
        self._emit(ScreenChanged(sense.value, text, str(path)))
        if len(self._kept) > self._limits.frames or sum(size for _, size in self._kept) > self._limits.size:
            await asyncio.to_thread(self._thin)

    def _thin(self) -> None:
        older = self._kept[: len(self._kept) // 2]
        goes = older[1::2] or self._kept[:1]
        self._kept = [frame for frame in self._kept if frame not in goes]
        for frame, _ in goes:
            frame.path.unlink(missing_ok=True)


def recorded_frames(folder: Path) -> tuple[RecordedFrame, ...]:
    """What was recorded in *folder* and is still there, the oldest first; a line that was cut short is passed over."""
    frames = []
    with suppress(FileNotFoundError):
        for line in (folder / INDEX).read_text().splitlines():
            with suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                path = folder / Path(entry["file"]).name
                if path.exists():
                    frames.append(RecordedFrame(path, float(entry["time"])))
    return tuple(frames)


def _save(path: Path, frame: Frame, seen: float) -> int:
    """Writes the picture, then the line that names it. Returns the picture's size in bytes."""
    size = save_png(path, frame)
    with open(path.parent / INDEX, "a", opener=owner_only) as index:
        index.write(json.dumps({"time": round(seen, 3), "file": path.name}) + "\n")
    return size
