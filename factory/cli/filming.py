"""Makes the film of a run out of the screens that its machines left."""

from __future__ import annotations

import shutil
from pathlib import Path

from factory.drivers.screen.film import Shot, make_film
from factory.drivers.screen.recorder import FOLDER, recorded_frames
from factory.errors import StepError
from factory.events import Emit, ignore


def shots_of(run: Path) -> list[Shot]:
    """What every machine of *run* has shown, in the order of time."""
    shots = [
        Shot(folder.parent.relative_to(run).as_posix(), frame)
        for folder in run.rglob(FOLDER)
        if folder.is_dir()
        for frame in recorded_frames(folder)
    ]
    return sorted(shots, key=lambda shot: shot.frame.time)


async def film_of(run: Path, output: Path | None, emit: Emit = ignore) -> tuple[Path, int]:
    """Writes the film of *run*. Returns its place and the number of its pictures. Raises: StepError, HostError."""
    suffix = ".webm" if shutil.which("ffmpeg") else ".webp"
    film = output or run / f"recording{suffix}"
    try:
        return film, await make_film(shots_of(run), film, emit=emit)
    except OSError as error:
        raise StepError(f"the film can't be written as {film}: {error.strerror or error}") from error
