"""``factory console``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from factory.cli.packer_flags import PackerFlags, packer_flags
from factory.cli.template_options import environment, template_options

_HELP = """\
Type an expression, such as upper(var.name) or { for k, v in local.ports : k => v * 2 }, and see its value.
In a JSON template it is a Go template: {{ user `name` | upper }}.
variables  lists variables and local values
help       shows this
exit       ends, as Ctrl-D does"""


@click.command("console")
@click.argument("template", required=False, type=click.Path(path_type=Path, exists=True))
@template_options
@click.option("--config-type", type=click.Choice(["hcl2", "json"]), default=None,
              help="Without a TEMPLATE: the language of what is typed; default: hcl2.")  # fmt: skip
@packer_flags
def command(
    template: Path | None, variables: dict[str, str], var_files: tuple[Path, ...], only: tuple[str, ...],
    except_: tuple[str, ...], config_type: str | None, packer: PackerFlags,
) -> None:  # fmt: skip
    """Evaluate what is typed, or comes in by a pipe, with all that the Packer TEMPLATE declares."""
    from factory.errors import TemplateError
    from factory.template.packer import load
    from factory.template.packer.inspect import console_answer
    from factory.template.packer_files import Purpose

    packer.apply()
    if template is None and config_type == "json":
        config = load("<console>.json", variables, text='{"builders": []}')
    elif template is None:
        with tempfile.TemporaryDirectory() as folder:
            empty = Path(folder, "console.pkr.hcl")
            empty.touch()
            config = load(empty, variables, var_files, environment())
    else:
        config = load(template, variables, var_files, environment(), only, except_, purpose=Purpose.SHOW)
    prompt = sys.stdin.isatty()
    while True:
        if prompt:
            click.echo("> ", nl=False)
        line = sys.stdin.readline()
        if not line or line.strip() == "exit":
            break
        if line.strip() == "help":
            click.echo(_HELP)
        elif line.strip():
            try:
                click.echo(console_answer(config, line.rstrip("\n")))
            except TemplateError as error:
                from factory.cli.report.failure import show_failure

                show_failure(error)
