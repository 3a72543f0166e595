"""The table at the end of a build: what was made, how large it is, and how to use it."""

from __future__ import annotations

from pathlib import Path

import click

from factory.engine.delivered import read_manifest
from factory.quantity import Duration, Size


def artifact_table(artifact: Path, seconds: float) -> None:
    """Prints to standard output; nothing when there is no artifact."""
    manifest = read_manifest(artifact)
    if manifest is None:
        return
    rows = [(str(artifact / f["path"]), f.get("format", ""), str(Size(f["size"])), f.get("usage", ""))
            for f in manifest.get("files", ())]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(3)] if rows else []
    click.echo(f"{click.style(artifact.name, bold=True)} is ready in {artifact} ({Duration(seconds)})")
    for path, kind, size, usage in rows:
        click.echo(f"  {path:<{widths[0]}}  {kind:<{widths[1]}}  {size:>{widths[2]}}")
        if usage:
            click.echo(click.style(f"      {usage}", dim=True))
