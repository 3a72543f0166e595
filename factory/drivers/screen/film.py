"""Puts recorded screens together: an animated WebP or PNG by Pillow, or WebM by ffmpeg.

Each picture stands as long as it stood on the screen, but never longer than ``HOLD``, so that an hour of installing is
watched in minutes; a line below it says when it was.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from factory.deadline import Deadline
from factory.drivers import process
from factory.drivers.screen.recorder import RecordedFrame
from factory.errors import HostError, StepError
from factory.events import Emit
from factory.quantity import Duration

if TYPE_CHECKING:
    from PIL import Image

HOLD = Duration(3)
SHORTEST = Duration(0.1)
MOST = 600
"""Pictures in a film: evenly chosen when there are more, for all of them are in memory while it is made."""
SUFFIXES = (".webp", ".png", ".apng", ".webm")
PATIENCE = Duration(600)
_STRIP = 18
"""Pixels below the screen, for the time."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A recorded screen, and the machine that showed it ("install", "boot", …)."""

    machine: str
    frame: RecordedFrame


async def make_film(shots: Sequence[Shot], destination: Path, *, emit: Emit) -> int:
    """Writes *shots*, the oldest first, as *destination*, whole or not at all; its suffix says in which format.

    Returns the number of pictures in it. Raises: StepError when there is nothing to show, HostError when WebM is asked
    for and there is no ffmpeg, CommandFailed.
    """
    if not shots:
        raise StepError("nothing was recorded", hint="a machine without a display has no screen to record")
    suffix = destination.suffix.lower()
    if suffix not in SUFFIXES:
        raise StepError(f"no film is written as {destination.name!r}", hint=f"end its name in {', '.join(SUFFIXES)}")
    chosen = _sample(shots)
    part = destination.absolute().with_name(f".{destination.stem}.part{suffix}")
    part.touch(0o600)  # for its owner alone, as the pictures it is made of
    try:
        if suffix == ".webm":
            await _by_ffmpeg(chosen, part, emit)
        else:
            await asyncio.to_thread(_by_pillow, chosen, part)
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)
    return len(chosen)


def seconds(shots: Sequence[Shot]) -> list[float]:
    """How long each one stands."""
    gaps = [later.frame.time - earlier.frame.time for earlier, later in pairwise(shots)]
    return [min(max(gap, float(SHORTEST)), float(HOLD)) for gap in gaps] + [float(HOLD)]


def _sample(shots: Sequence[Shot]) -> list[Shot]:
    """At most ``MOST``, the first and the last among them."""
    if len(shots) <= MOST:
        return list(shots)
    return [shots[i * (len(shots) - 1) // (MOST - 1)] for i in range(MOST)]


def _pictures(shots: Sequence[Shot]) -> list[Image.Image]:
    """Every screen in the middle of a canvas that holds the largest, with its time below."""
    from PIL import Image, ImageDraw

    sizes = []
    for shot in shots:
        with Image.open(shot.frame.path) as image:
            sizes.append(image.size)
    # Even numbers: video codecs want them.
    width, height = (max(side) + max(side) % 2 for side in zip(*sizes, strict=True))
    pictures = []
    for shot in shots:
        canvas = Image.new("RGB", (width, height + _STRIP))
        with Image.open(shot.frame.path) as image:
            canvas.paste(image.convert("RGB"), ((width - image.width) // 2, (height - image.height) // 2))
        ImageDraw.Draw(canvas).text((4, height + 3), _caption(shot, shots[0].frame.time), fill=(170, 170, 170))
        pictures.append(canvas.convert("P", palette=Image.Palette.ADAPTIVE) if len(shots) > 60 else canvas)
    return pictures


def _caption(shot: Shot, start: float) -> str:
    minutes, rest = divmod(shot.frame.time - start, 60)
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(shot.frame.time))
    return f"{shot.machine}   +{minutes:.0f}:{rest:04.1f}   {moment} UTC"


def _by_pillow(shots: Sequence[Shot], part: Path) -> None:
    first, *others = _pictures(shots)
    webp = part.suffix == ".webp"
    first.save(
        part,
        format="WEBP" if webp else "PNG",
        save_all=True,
        append_images=others,
        duration=[round(1000 * each) for each in seconds(shots)],
        loop=0,
        **({"lossless": True, "method": 2} if webp else {}),
    )


async def _by_ffmpeg(shots: Sequence[Shot], part: Path, emit: Emit) -> None:
    with tempfile.TemporaryDirectory(prefix="factory-film-") as name:
        folder = Path(name)

        def write() -> None:
            lines = ["ffconcat version 1.0"]
            for number, (picture, each) in enumerate(zip(_pictures(shots), seconds(shots), strict=True)):
                picture.save(folder / f"{number}.png")
                lines += [f"file {number}.png", f"duration {each:.3f}"]
            lines.append(lines[-2])  # ffmpeg forgets the last duration unless another file follows
            (folder / "list").write_text("\n".join(lines) + "\n")

        await asyncio.to_thread(write)
        try:
            await process.run(
                ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-f", "concat", "-safe", "0",
                 "-i", str(folder / "list"), "-c:v", "libvpx-vp9", "-crf", "32", "-b:v", "0", "-pix_fmt", "yuv420p",
                 str(part)],
                deadline=Deadline.after(PATIENCE, "ffmpeg to write the film"), emit=emit,
            )  # fmt: skip
        except HostError as error:
            raise HostError(f"WebM needs ffmpeg: {error.message}", hint="install ffmpeg, or ask for .webp") from error
