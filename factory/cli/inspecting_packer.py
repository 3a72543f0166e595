"""``factory inspect`` for a Packer template: as ``packer inspect`` shows it, and the names that ``-only`` goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from factory.cli.template_options import environment


def inspect_packer(
    path: Path, variables: Mapping[str, str], var_files: Sequence[Path], only: Sequence[str], except_: Sequence[str]
) -> None:
    """Prints. Raises: TemplateError."""
    from factory.template.packer import load
    from factory.template.packer.inspect import inspect_text
    from factory.template.packer_files import Purpose

    config = load(path, variables, var_files, environment(), only, except_, purpose=Purpose.SHOW)
    click.echo(inspect_text(config), nl=False)
    click.echo("\n> builds for -only and -except:\n")
    for build in config.builds:
        note = "" if build.source_type == "qemu" else f"  (for {build.source_type}: passed over)"
        click.echo(f"  {build.name}{note}")
