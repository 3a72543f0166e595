"""``factory doctor``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click

from factory.cli.places import places
from factory.errors import HostError

MARKS = {"ok": ("✓", "green"), "optional": ("–", "yellow"), "missing": ("✗", "red"), "broken": ("✗", "red")}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("-o", "--output", default="output", show_default=True, type=click.Path(path_type=Path, file_okay=False))
def command(as_json: bool, output: Path) -> None:
    """Say what this computer can do, and what to install for what it can't.

    \b
    Accelerators are measured, not believed. Exit code 4 when images can't be built here.
    """
    from factory.host.doctor import able, diagnose
    from factory.host.facts import collect_all

    facts = asyncio.run(collect_all(places().cache, output=output))
    checks = diagnose(facts)
    if as_json:
        data = {"able": able(checks), "checks": [c.to_json() for c in checks], "facts": facts.to_json()}
        click.echo(json.dumps(data, indent=2))
    else:
        for check in checks:
            mark, colour = MARKS[check.state.value]
            click.echo(f"{click.style(mark, fg=colour)} {check.name:<22} {check.detail}")
            if check.remedy:
                click.echo(f"    {click.style('try:', bold=True)} {check.remedy}")
        click.echo("this computer can build images" if able(checks) else "this computer can't build images yet")
    if not able(checks):
        sys.exit(HostError.exit_code)
