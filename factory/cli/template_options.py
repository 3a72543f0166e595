"""Options that every command with a template takes."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from factory.template.packer_files import is_packer
from factory.template.pattern_list import split_patterns

F = TypeVar("F", bound=Callable[..., Any])


def template_options(function: F) -> F:
    """``-var NAME=VALUE`` and ``-var-file FILE``, ``-only GLOB`` and ``-except GLOB``, all repeatable."""
    for name, parameter, words in (
        ("--except", "except_", "Leave out the builds whose names match."),
        ("--only", "only", "Choose builds by their names, such as those that a matrix makes: 'debian-*-minimal'."),
    ):
        function = click.option(
            name, parameter, multiple=True, metavar="GLOB[,GLOB…]", callback=_patterns, help=words
        )(function)  # fmt: skip
    function = click.option(
        "--var-file", "var_files", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
        help="YAML or JSON file with variables; later ones win.",
    )(function)  # fmt: skip
    return click.option(
        "--var", "variables", multiple=True, metavar="NAME=VALUE", callback=_pairs,
        help="Set a variable (also: FACTORY_VAR_<name> in the environment).",
    )(function)  # fmt: skip


def _pairs(context: click.Context, option: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        pairs[name] = content
    return pairs


def _patterns(context: click.Context, option: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    return split_patterns(values)


def find_templates(arguments: Sequence[Path]) -> list[Path]:
    """Templates named one by one, or all of a folder (not those below ``_base/``), each once.

    ``-`` is a JSON template of Packer's on standard input; its relative names start from the current folder.
    Raises: click.UsageError.
    """
    found: list[Path] = []
    for argument in map(_from_standard_input, arguments):
        if is_packer(argument):
            found.append(argument)
        elif argument.is_dir():
            inside = sorted(p for p in argument.glob("*.y*ml") if p.suffix in (".yml", ".yaml"))
            if not inside:
                raise click.UsageError(f"no templates (*.yml, *.pkr.hcl) in {argument}")
            for path in inside:
                if not path.exists():
                    raise click.UsageError(_dead_link(path))
            found += inside
        elif argument.exists():
            found.append(argument)
        elif argument.is_symlink():
            raise click.UsageError(_dead_link(argument))
        else:
            raise click.UsageError(f"no such template: {argument}{_alternative(argument)}")
    by_place: dict[Path, Path] = {}
    for path in found:
        by_place.setdefault(path.resolve(), path)
    return list(by_place.values())


def _from_standard_input(argument: Path) -> Path:
    if str(argument) != "-":
        return argument
    folder = Path(tempfile.mkdtemp(prefix="factory-stdin-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "stdin.json"
    path.write_bytes(sys.stdin.buffer.read())
    return path


def _dead_link(path: Path) -> str:
    return f"{path} is a link that leads nowhere: {os.readlink(path)}"


def _alternative(argument: Path) -> str:
    candidate = Path("images") / f"{argument.name.removesuffix('.yml')}.yml"
    return f" (did you mean {candidate}?)" if candidate.exists() else ""


def environment() -> Mapping[str, str]:
    return dict(os.environ)
