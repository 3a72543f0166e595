"""``factory inspect``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from factory.cli.file_kind import FileKind, kind_of
from factory.cli.packer_flags import PackerFlags, packer_flags
from factory.cli.report.problems import problem_json, show_warnings
from factory.cli.template_options import environment, find_templates, template_options
from factory.errors import Problem
from factory.template.describe import Description
from factory.template.packer_files import is_packer


@click.command("inspect")
@click.argument("templates", nargs=-1, required=True, type=click.Path(path_type=Path))
@template_options
@packer_flags
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(
    templates: tuple[Path, ...],
    variables: dict[str, str],
    var_files: tuple[Path, ...],
    only: tuple[str, ...],
    except_: tuple[str, ...],
    packer: PackerFlags,
    as_json: bool,
) -> None:
    """Show what TEMPLATES say, or what is in a disk image or an OVA; which it is, is told by its content.

    \b
    Of a template: variables (and where each value comes from), source, machine, provisioners and outputs.
    Of an image: system, partitions, packages, drivers, and the folders that take most. It is only read.
    """
    images = [t for t in templates if (t.is_file() or t.is_block_device()) and _is_image(t)]
    if images:
        if len(images) < len(templates):
            raise click.UsageError("inspect templates or images, not both at once")
        from factory.cli.inspecting_images import inspect_images

        inspect_images(images, as_json=as_json)
        return
    from factory.host.facts import template_names
    from factory.template.describe import describe
    from factory.template.load import load_all

    packer.apply()
    host = template_names()
    descriptions: list[dict[str, Any]] = []
    warnings: list[Problem] = []
    for path in find_templates(templates):
        if is_packer(path) and not as_json:
            from factory.cli.inspecting_packer import inspect_packer

            inspect_packer(path, variables, var_files, only, except_, packer)
            continue
        for loaded in load_all(
            path, variables=variables, var_files=var_files, environ=environment(), host=host, only=only, except_=except_
        ):
            description = describe(loaded)
            warnings += loaded.warnings
            own = [problem_json(warning) for warning in loaded.warnings]
            descriptions.append({**description.to_json(), "warnings": own})
            if not as_json:
                packer.say("\n".join(shown(description)))
    show_warnings(warnings)
    if as_json:
        click.echo(json.dumps(descriptions, indent=2))


def shown(description: Description) -> Iterator[str]:
    yield click.style(description.name, bold=True) + f"  {description.description}".rstrip()
    for name in ("source", "profile", "seed", "machine", "access"):
        yield f"  {name + ':':<12} {getattr(description, name)}"
    yield f"  {'files:':<12} {', '.join(description.files)}"
    yield f"  {'outputs:':<12} {', '.join(description.outputs)}"
    for i, provisioner in enumerate(description.provisioners, 1):
        yield f"  provision-{i}: {provisioner}"
    for row in description.variables:
        allowed = f" [{row.allowed}]" if row.allowed else ""
        origin = f"({row.type}, {row.origin}){allowed}"
        yield f"  {click.style('var', dim=True)} {row.name} = {row.value}  {origin}  {row.help}"


def _is_image(path: Path) -> bool:
    return kind_of(path) not in (FileKind.TEMPLATE, FileKind.EMPTY)
