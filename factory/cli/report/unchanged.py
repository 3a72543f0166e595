"""What a build that has nothing to do says, in text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from factory.cli.report.artifacts import artifact_table
from factory.cli.report.summary import Row, summary


def tell(builds: Mapping[str, str], seconds: float) -> None:
    """Prints as ``report.view`` does at the end. *builds*: name → artifact."""
    with click.Context(click.Command("build"), color=False if os.environ.get("NO_COLOR") else None):
        if len(builds) == 1:
            artifact_table(Path(next(iter(builds.values()))), seconds)
            return
        for line in summary([Row(name, "unchanged", seconds, path) for name, path in builds.items()]):
            click.echo(line)
