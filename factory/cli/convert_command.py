"""``factory convert``: dispatches by what SOURCE is."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli.file_kind import FileKind, kind_of
from factory.cli.template_options import template_options
from factory.template.packer_files import is_packer


@click.command("convert")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@template_options
@click.option("--to", "outputs", metavar="OUTPUT[,OUTPUT…]", default="",
              help="What an image is written as: ova, vagrant, raw:compress=zstd:bmap=true, …")  # fmt: skip
@click.option("-o", "--output", default=None, metavar="FOLDER", type=click.Path(path_type=Path),
              help="Folder in which a folder named after SOURCE appears (default: output), or in which templates are "
              "written (default: the working folder; - prints them).")  # fmt: skip
@click.option("--name", default="", help="Name of that folder and of the files, instead of SOURCE's.")
@click.option("--firmware", type=click.Choice(["bios", "uefi"]), default=None,
              help="How the machine boots; without it, as its descriptor or its disk says.")  # fmt: skip
@click.option("--preview", is_flag=True, help="Only tell what would be written, how large, and in what time.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", count=True, help="Show the commands that run, too.")
def command(
    source: Path, variables: dict[str, str], var_files: tuple[Path, ...], only: tuple[str, ...],
    except_: tuple[str, ...], outputs: str, output: Path | None, name: str, firmware: str | None,
    preview: bool, as_json: bool, verbose: int,
) -> None:  # fmt: skip
    """Write the disk image or OVA SOURCE in other formats, or a Packer template as templates of factory.

    \b
    The files appear whole in OUTPUT/<name>/, with manifest.json and SHA256SUMS, as those of a build do.
    SOURCE is only read, and is not sealed: `factory seal` does that. Of a Packer template (a file or folder)
    each qemu build becomes NAME.yml with a boot profile boot_configs/NAME.yml; what has no equal is said in
    comments. `factory validate` accepts the result; it asks for the values of sensitive variables, which are
    not written down: -var NAME=VALUE or FACTORY_VAR_NAME.
    """
    if is_packer(source):
        from factory.cli.converting_packer import Wish as PackerWish
        from factory.cli.converting_packer import convert_packer

        where = "." if output is None else str(output)
        convert_packer(PackerWish(source, where, name, variables, var_files, only, except_))
        return
    output = output or Path("output")
    kind = kind_of(source)
    if kind is FileKind.TEMPLATE:
        message = f"{source} is {kind.value} of factory; disk images, OVAs and Packer templates are converted"
        raise click.UsageError(message)
    from factory.cli.converting_images import Wish, convert_image

    if not outputs:
        raise click.UsageError("say with --to what it is to become: --to ova,vagrant")
    wish = Wish(source, outputs, output, name or source.name.split(".")[0], firmware)
    convert_image(wish, preview=preview, as_json=as_json, verbosity=verbose * 2)
