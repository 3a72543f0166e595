"""``factory init`` for a Packer template: says which of its plug-ins are here."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from factory.cli.template_options import environment
from factory.errors import PluginError

SEAMS = "an entry point in the group factory.provisioners or factory.outputs"
BUILT_IN = frozenset({"qemu", "ansible", "vagrant", "goss"})
"""Plug-ins of Packer whose work factory does itself."""


def init_packer(template: Path) -> None:
    """Prints a line for each plug-in that *template* requires. Nothing is ever downloaded.

    Exits with PluginError's code when one of them is needed by a qemu build and is not here. Raises: TemplateError.
    """
    from factory.template.packer import load
    from factory.template.packer.required import required_variables

    values = dict.fromkeys(required_variables(template), "")
    config = load(template, values, environ=environment())
    missing = False
    for name, wanted in sorted(config.required_plugins.items()):
        kind = wanted.get("source", name).rsplit("/", 1)[-1]
        if kind in BUILT_IN:
            click.echo(f"{name}: built in")
        elif _registered(kind):
            click.echo(f"{name}: installed as a plug-in of factory")
        elif any(b.source_type.startswith(kind) for b in config.other_builds):
            click.echo(f"{name}: for another builder, which factory passes over")
        else:
            missing = True
            click.echo(f"{name}: not here; a Python package can bring it, by {SEAMS}")
    if not config.required_plugins:
        click.echo(f"{template} requires no plug-ins")
    if missing:
        sys.exit(PluginError.exit_code)


def _registered(name: str) -> bool:
    from factory.outputs.plugins import has_output
    from factory.provision.catalog import has_provisioner

    return has_provisioner(name) or has_output(name)
