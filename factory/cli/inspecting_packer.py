"""``factory inspect`` for a Packer template: as ``packer inspect`` shows it, and the names that ``-only`` goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory.cli.packer_flags import PackerFlags
from factory.cli.report.problems import show_warnings
from factory.cli.template_options import environment

if TYPE_CHECKING:
    from factory.template.packer import PackerConfig


def inspect_packer(
    path: Path, variables: Mapping[str, str], var_files: Sequence[Path], only: Sequence[str], except_: Sequence[str],
    packer: PackerFlags,
) -> None:  # fmt: skip
    """Prints. Raises: TemplateError."""
    from factory.template.packer import load
    from factory.template.packer.inspect import inspect_text
    from factory.template.packer_files import Purpose

    config = load(path, variables, var_files, environment(), only, except_, purpose=Purpose.SHOW)
    show_warnings(config.warnings)
    if packer.machine_readable:
        _facts(config)
    packer.say(inspect_text(config).removesuffix("\n"))
    packer.say("\n> builds for -only and -except:\n")
    for build in config.builds:
        note = "" if build.source_type == "qemu" else f"  (for {build.source_type}: passed over)"
        packer.say(f"  {build.name}{note}")


def _facts(config: PackerConfig) -> None:
    """The parts of a template as Packer writes them for programs."""
    from factory.cli.report.machine_readable import machine_line
    from factory.template.packer.language.console_text import console_text

    for name, variable in sorted(config.variables.items(), key=lambda item: (not item[1].required, item[0])):
        default = "" if variable.required else console_text(variable.value)
        click.echo(machine_line("", "template-variable", name, default, "1" if variable.required else "0"))
    for build in sorted(config.builds, key=lambda b: b.name):
        click.echo(machine_line("", "template-builder", build.name, build.source_type))
    for provisioner in config.builds[0].provisioners if config.builds else ():
        click.echo(machine_line("", "template-provisioner", provisioner.type))
