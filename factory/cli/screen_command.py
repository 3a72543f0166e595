"""``factory screen``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click


@click.command("screen")
@click.argument("run", default="")
@click.option("-w", "--watch", is_flag=True, help="Go on printing the screen whenever it changes; Ctrl-C leaves.")
@click.option("--png", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Save a picture instead.")
@click.option("--json", "as_json", is_flag=True, help="Print lines, sense and confidence as JSON, one object a look.")
def command(run: str, watch: bool, png: Path | None, as_json: bool) -> None:
    """Read the screen of a running build.

    \b
    RUN is a run's name or folder, or the name of a template: its newest run. One running build needs no name.
    The first line says which sense has read the text, and how sure it is: serial is exact, vga-memory and
    glyphs are exact for the characters that they claim, ocr guesses.
    """
    from factory.cli.live_runs import find_run, living_machine
    from factory.cli.looking import look, save_picture
    from factory.cli.looking import watch as follow
    from factory.cli.places import places
    from factory.visible import visible, visible_json

    where = places()
    known = find_run(where.runs, run)
    machine = living_machine(known)
    if png:
        if watch or as_json:
            raise click.UsageError("--png saves one picture: it does not go with --watch or --json")
        asyncio.run(save_picture(machine, png))
        click.echo(str(png))
        return
    try:
        fonts = where.cache / "fonts"
        for seen in follow(known, fonts=fonts) if watch else look(machine, fonts=fonts, again=False):
            if as_json:
                click.echo(visible_json(json.dumps(seen.to_json(), ensure_ascii=False)))
            else:
                click.echo(visible("\n".join(seen.text_lines())))
    except KeyboardInterrupt:
        if not watch:
            raise
