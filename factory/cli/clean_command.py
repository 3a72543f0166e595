"""``factory clean``."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from factory.cli.places import places
from factory.drivers.download import remove_set_aside
from factory.drivers.guestfs.environment import remove_dead_sockets
from factory.engine.run_directory import clean, is_alive, runs
from factory.engine.store import LayerStore
from factory.outputs.staging import sweep_staging


@click.command("clean")
@click.option("--runs", "with_runs", is_flag=True, help="Also remove the run directories of builds that have ended.")
@click.option("-o", "--output", default="output", show_default=True, type=click.Path(path_type=Path, file_okay=False))
def command(with_runs: bool, output: Path) -> None:
    """Remove what dead runs have left: processes, sockets, half-made layers, half-made artifacts.

    \b
    A run is dead when the process that began it is gone (its lock is free). What it left running is ended
    by number and start time, never by name. What a living build uses is never touched. Downloads with a wrong
    checksum go, too. Layers and media stay: see `factory cache`.
    """
    where = places()
    for line in clean(where.runs):
        click.echo(f"removed {line}")
    if where.cache.exists():
        store = LayerStore(where.cache)
        store.sweep()
        store.remove_unused_locks()
    for path in remove_set_aside(where.media):
        click.echo(f"removed {path}")
    remove_dead_sockets(0)
    for folder in sweep_staging(output):
        click.echo(f"removed {folder}")
    if with_runs:
        for run in runs(where.runs):
            if not is_alive(run):
                shutil.rmtree(run, ignore_errors=True)
                click.echo(f"removed {run}")
