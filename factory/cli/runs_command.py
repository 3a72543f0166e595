"""``factory runs``."""

from __future__ import annotations

import json

import click


@click.command("runs")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a run.")
def command(everything: bool, as_json: bool) -> None:
    """List the builds that run now, or are kept for a look, the newest first.

    \b
    States: running; kept (a step has failed and --on-error keeps the machine); ended; died (it was killed).
    """
    from factory.cli.live_runs import known_runs
    from factory.cli.places import places
    from factory.visible import visible

    where = places()
    found = [run for run in known_runs(where.runs) if everything or run.alive]
    for run in found:
        machine = run.control.machine if run.alive else None
        guest = run.control.guest if machine else None
        if as_json:
            way = f"{guest.user}@{guest.host}:{guest.port}" if guest else ""
            entry = {"run": run.path.name, "template": run.template, "state": run.state, "path": str(run.path),
                     "machine": machine.name if machine else "", "vnc": machine.vnc if machine else "",
                     "serial": machine.serial if machine else "", "guest": way,
                     "phase": run.control.phase, "message": run.control.message}  # fmt: skip
            click.echo(json.dumps(entry))
            continue
        what = f"machine {machine.name}" if machine else ""
        if guest:
            what += f", {guest.kind} {guest.user}@{guest.host}:{guest.port}"
        if run.state == "kept":
            what += f"  {run.control.phase} failed: {run.control.message.splitlines()[0]}"
        click.echo(visible(f"{run.path.name:<40} {run.state:<8} {what}".rstrip()))
    if not found and not as_json:
        click.echo(f"no build is running ({where.runs})", err=True)
