"""``factory record``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click


@click.command("record")
@click.argument("run", default="")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to; .webp, .png and .apng are animated pictures, .webm needs ffmpeg. Default: recording.webp "
              "in the run's folder, or recording.webm where there is ffmpeg.")  # fmt: skip
def command(run: str, output: Path | None) -> None:
    """Put the recorded screens of a build together as a film.

    \b
    RUN is a run's name or folder, or the name of a template: its newest run. Works while the build runs and
    after it has ended, failed or been killed. Every build keeps some hundred screens of each machine;
    `build --record` looks twice a second and keeps thousands.
    """
    from factory.cli.filming import film_of
    from factory.cli.live_runs import find_run
    from factory.cli.places import places

    found = find_run(places().runs, run)
    film, pictures = asyncio.run(film_of(found.path, output))
    click.echo(f"{film}  ({pictures} pictures)")
