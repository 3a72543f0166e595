"""The table at the end of a build: what was made, how large it is, and how to use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from factory.engine.delivered import MANIFEST, read_manifest
from factory.events import ArtifactReady
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


def defined_domains(ready: Sequence[ArtifactReady]) -> None:
    """Prints the machines that were defined in a libvirt: they are no files, and in no manifest."""
    for event in ready:
        if event.format == "libvirt":
            click.echo(f"  {event.path}  {event.format}  {Size(event.size)}")
            click.echo(click.style(f"      {event.usage}", dim=True))


def delivered_files(name: str, ready: Sequence[ArtifactReady], seconds: float) -> None:
    """Prints what a build delivered without a manifest: as Packer's templates ask for it."""
    rows = {e.path: e for e in ready if Path(e.path).exists() and not (Path(e.path).parent / MANIFEST).exists()}
    rows = {path: event for path, event in rows.items() if Path(path).is_absolute()}
    if not rows:
        return
    click.echo(f"{click.style(name, bold=True)} is ready ({Duration(seconds)})")
    width = max(map(len, rows))
    for path in rows:
        click.echo(f"  {path:<{width}}  {Size(Path(path).stat().st_size)!s:>10}")
