"""``factory release``."""

from __future__ import annotations

import click


@click.command("release")
@click.argument("run", default="")
@click.option("--retry", is_flag=True, help="Try again from the last layer, with template and scripts as they are now.")
def command(run: str, retry: bool) -> None:
    """Let the machine go that `build --on-error keep` holds.

    \b
    RUN is a run's name or folder, or the name of a template: its newest run. One running build needs no name.
    The build ends as failed; with --retry it goes on at the failed step instead, in the same booted guest where
    a live layer was stored.
    """
    from factory.cli.live_runs import find_run
    from factory.cli.on_error import Choice, tell
    from factory.cli.places import places
    from factory.errors import StepError

    found = find_run(places().runs, run)
    if found.state != "kept":
        raise StepError(f"{found.path.name} is not kept: it is {found.state}",
                        hint="`factory runs --all` lists the runs and their states")  # fmt: skip
    tell(found.path, Choice.RETRY if retry else Choice.CLEAN)
    click.echo(f"{found.path.name} {'tries again' if retry else 'ends'}")
