"""``factory attach``."""

from __future__ import annotations

import sys

import click


@click.command("attach")
@click.argument("run", default="")
def command(run: str) -> None:
    """Sit down at the serial line of a running build.

    \b
    RUN is a run's name or folder, or the name of a template: its newest run. One running build needs no name.
    Shows the last screenful and everything from now on; what you type goes to the guest, Ctrl-C too. Ctrl-]
    leaves. The build, its log and other people on the line are not disturbed. Without a terminal, standard
    input is typed, and the line is left when the guest has said nothing for two seconds.
    """
    from factory.cli.live_runs import find_run, living_machine
    from factory.cli.places import places
    from factory.cli.serial_terminal import attach
    from factory.errors import StepError

    found = find_run(places().runs, run)
    machine = living_machine(found)
    if not machine.serial:
        raise StepError(f"the machine {machine.name} of {found.path.name} has no serial line to attach to")
    if sys.stdin.isatty():
        click.echo(f"{found.path.name}, {machine.name}: Ctrl-] leaves", err=True)
    ended = attach(machine.serial)
    if ended:
        click.echo(f"\r\nthe line has ended: the machine {machine.name} is gone", err=True)
