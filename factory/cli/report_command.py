"""``factory report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from factory.errors import StoreError


@click.command("report")
@click.argument("run", default="")
@click.option("--json", "as_json", is_flag=True, help="Print report.json on standard output.")
def command(run: str, as_json: bool) -> None:
    """Explain the build RUN again: write report.html and report.json into its run directory, from its journal.

    \b
    RUN is a run's name or directory, or a template's name (its newest run); nothing means the newest run.
    Works for builds that were killed, too.
    """
    from factory.cli.places import places
    from factory.dossier.collector import JSON, write_report
    from factory.engine.run_directory import is_alive

    folder = find_folder(places().runs, run)
    try:
        verdict, page = write_report(folder, alive=is_alive(folder))
    except FileNotFoundError as error:
        raise StoreError(
            f"{folder} has no journal: its build ended before it began", hint="name another run"
        ) from error
    except OSError as error:
        raise StoreError(
            f"the report can't be written: {error}", hint="is there space in the run directory?"
        ) from error
    if as_json:
        click.echo(json.dumps(json.loads((folder / JSON).read_text("utf-8")), ensure_ascii=False))
        return
    click.echo(click.style(f"{folder.name}: ", bold=True) + verdict.sentence)
    for advice in verdict.advice:
        click.echo(f"  {click.style('try:', bold=True)} {advice}")
    click.echo(f"  {click.style('report:', bold=True)} {page}")


def find_folder(root: Path, word: str) -> Path:
    """The run directory that *word* means. Raises: click.UsageError that names what there is."""
    from factory.engine.run_directory import runs

    if word and (Path(word) / "run.json").exists():
        return Path(word).absolute()
    found = list(reversed(runs(root)))
    named = [path for path in found if not word or path.name == word or _template(path) == word]
    named = named or [path for path in found if path.name.startswith(word)]
    if not named:
        there = f"; there is {', '.join(path.name for path in found[:5])}" if found else "; there is none"
        raise click.UsageError(f"no run is called {word!r} in {root}{there}" if word else f"no runs in {root}")
    return named[0]


def _template(run: Path) -> str:
    try:
        return str(json.loads((run / "run.json").read_text("utf-8"))["template"])
    except (OSError, ValueError, KeyError):
        return ""
