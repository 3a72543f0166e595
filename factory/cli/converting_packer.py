"""``factory convert`` for a Packer template: one template of our own for each of its qemu builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from factory.cli.data_sources import read_data_source
from factory.cli.report.problems import show_warnings
from factory.cli.template_options import environment
from factory.errors import TemplateError


@dataclass(frozen=True, slots=True)
class Wish:
    """*output* is a folder for the templates; ``-`` prints them."""

    source: Path
    output: str
    name: str
    variables: Mapping[str, str]
    var_files: Sequence[Path]
    only: Sequence[str]
    except_: Sequence[str]


def convert_packer(wish: Wish) -> None:
    """Writes ``NAME.yml`` and ``boot_configs/NAME.yml`` and says so.

    Raises: TemplateError; click.UsageError when a file is there already.
    """
    from factory.template.packer import load
    from factory.template.packer.to_template import to_template
    from factory.template.packer.to_template.left_open import LeftOpen
    from factory.template.packer.to_yaml import profile_yaml, template_yaml

    config = load(
        wish.source, wish.variables, wish.var_files, environment(), wish.only, wish.except_,
        data_reader=read_data_source,
    )  # fmt: skip
    show_warnings(config.warnings)
    if not config.qemu_builds:
        raise TemplateError(f"{wish.source} has no build for qemu", hint="only these become templates of factory")
    if wish.name and len(config.qemu_builds) > 1:
        raise click.UsageError("--name is for one build: choose it with -only")
    folder = Path().absolute() if wish.output == "-" else Path(wish.output).absolute()
    left_open = LeftOpen.of(config)
    asked: dict[str, None] = {}
    for build in config.qemu_builds:
        translation = to_template(config, build)
        name = wish.name or translation.loaded.template.name.replace(".", "-")
        files = {
            folder / f"{name}.yml": template_yaml(translation, name, folder, str(wish.source), left_open),
            folder / "boot_configs" / f"{name}.yml": profile_yaml(translation.loaded, name),
        }
        asked |= dict.fromkeys(name for text in files.values() for name in left_open.declared_for(text))
        if wish.output == "-":
            click.echo("---\n".join(files.values()), nl=False)
            continue
        for path in files:
            if path.exists():
                raise click.UsageError(f"{path} is there already: move it away, or give another --name or --output")
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            click.echo(f"wrote {path}")
    if asked:
        ways = "give them with -var NAME=VALUE or FACTORY_VAR_NAME"
        click.echo(f"sensitive, so not written down: {', '.join(asked)}; {ways}", err=True)
