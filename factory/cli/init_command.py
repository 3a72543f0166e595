"""``factory init``."""

from __future__ import annotations

from pathlib import Path

import click

from factory.template.packer_files import is_packer


@click.command("init")
@click.argument("iso", metavar="ISO", type=click.Path(path_type=Path, exists=True))
@click.option("--name", metavar="NAME", help="Of the image; default: what the ISO is, as debian-12.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where the template goes; - prints it. Default: images/NAME.yml, else NAME.yml.",
)
@click.option("--profile", metavar="NAME", help="Use this boot profile, whatever the ISO is.")
@click.option(
    "--new-profile",
    metavar="NAME",
    help="For an ISO that no profile knows: also write a skeleton boot_configs/NAME.yml.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--upgrade", is_flag=True, hidden=True, help="Means nothing here: nothing is downloaded.")
def command(
    iso: Path,
    name: str | None,
    output: str | None,
    profile: str | None,
    new_profile: str | None,
    force: bool,
    upgrade: bool,
) -> None:
    """Recognise ISO, say what it is, and write a complete template for it.

    \b
    Looks at what the ISO holds, never at what its file is called. For a Packer template (a file or folder)
    it says which of the plug-ins that the template requires are here, as `packer init` would fetch them.
    """
    if is_packer(iso):
        from factory.cli.packer_init import init_packer

        init_packer(iso)
        return
    if iso.is_dir():
        raise click.UsageError(f"{iso} is a folder; an ISO, or a folder with a Packer template, is wanted")
    from factory.cli.initialising import Wish, write_template

    if profile and new_profile:
        raise click.UsageError("--profile names one that is there, --new-profile one that is not: give one of them")
    if new_profile and output == "-":
        raise click.UsageError("--new-profile writes a file beside the template: give --output a file")
    write_template(Wish(iso, name, output, profile, new_profile, force))
