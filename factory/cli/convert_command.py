"""``factory convert``: dispatches by what SOURCE is."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli.file_kind import FileKind, kind_of


@click.command("convert")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--to", "outputs", metavar="OUTPUT[,OUTPUT…]", default="",
              help="What an image is written as: ova, vagrant, raw:compress=zstd:bmap=true, …")  # fmt: skip
@click.option("-o", "--output", default=Path("output"), show_default=True, type=click.Path(path_type=Path),
              help="Folder in which a folder named after SOURCE appears.")  # fmt: skip
@click.option("--name", default="", help="Name of that folder and of the files, instead of SOURCE's.")
@click.option("--firmware", type=click.Choice(["bios", "uefi"]), default=None,
              help="How the machine boots; without it, as its descriptor or its disk says.")  # fmt: skip
@click.option("--preview", is_flag=True, help="Only tell what would be written, how large, and in what time.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", count=True, help="Show the commands that run, too.")
def command(
    source: Path, outputs: str, output: Path, name: str, firmware: str | None, preview: bool, as_json: bool,
    verbose: int,
) -> None:  # fmt: skip
    """Write the disk image or OVA SOURCE in other formats.

    \b
    The files appear whole in OUTPUT/<name>/, with manifest.json and SHA256SUMS, as those of a build do.
    SOURCE is only read, and is not sealed: `factory seal` does that.
    """
    kind = kind_of(source)
    if kind is FileKind.TEMPLATE:
        raise click.UsageError(f"{source} is {kind.value}, and only disk images and OVAs are converted")
    from factory.cli.converting_images import Wish, convert_image

    if not outputs:
        raise click.UsageError("say with --to what it is to become: --to ova,vagrant")
    wish = Wish(source, outputs, output, name or source.name.split(".")[0], firmware)
    convert_image(wish, preview=preview, as_json=as_json, verbosity=verbose * 2)
