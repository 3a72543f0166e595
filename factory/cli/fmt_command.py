"""``factory fmt``."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from factory.opening import other_kind

DIFFERENT = 3
"""Exit code of ``-check`` when a file is not in canonical form: Packer's."""
_ENDINGS = (".pkr.hcl", ".pkrvars.hcl", ".auto.pkrvars.hcl")


@click.command("fmt")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--check", is_flag=True, help="Change nothing; exit code 3 when something would change.")
@click.option("--diff", is_flag=True, help="Show what changes.")
@click.option("--write", default="true", metavar="BOOL", show_default=True, help="False changes nothing.")
@click.option("--recursive", is_flag=True, help="Folders below, too.")
def command(paths: tuple[Path, ...], check: bool, diff: bool, write: str, recursive: bool) -> None:
    """Rewrite the HCL files of PATHS (files, folders, or - for a pipe; the working folder by default).

    \b
    Prints the names of the files that it changes. Only blanks change, never what a file means.
    """
    from factory.template.packer.config.files import read_source
    from factory.template.packer.hcl import Source
    from factory.template.packer.hcl.format import format_hcl

    changed = False
    writes = write.lower() not in ("false", "0", "no") and not check
    for path in paths or (Path(),):
        if str(path) == "-":
            click.echo(format_hcl(Source.of("<stdin>", sys.stdin.read())), nl=False)
            continue
        for file in _files(path, recursive=recursive):
            source = read_source(file)
            formatted = format_hcl(source)
            if formatted == source.text:
                continue
            changed = True
            click.echo(str(file))
            if diff:
                names = (f"old/{file}", f"new/{file}")
                lines = difflib.unified_diff(source.text.splitlines(True), formatted.splitlines(True), *names)
                click.echo("".join(lines), nl=False)
            if writes:
                _write(file, formatted)
    if check and changed:
        sys.exit(DIFFERENT)


def _files(path: Path, *, recursive: bool) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        if kind := other_kind(path):
            raise click.UsageError(f"{path} is {kind}, and no file that could be rewritten: `-` formats a pipe")
        raise click.UsageError(f"there is no file or folder {path}")
    inside = path.rglob("*") if recursive else path.iterdir()
    yield from sorted(p for p in inside if p.is_file() and p.name.endswith(_ENDINGS))


def _write(file: Path, text: str) -> None:
    """Whole or not at all, with the permissions that it had."""
    draft = file.with_name(f".{file.name}.part")
    draft.write_text(text)
    draft.chmod(file.stat().st_mode & 0o777)
    draft.rename(file)
