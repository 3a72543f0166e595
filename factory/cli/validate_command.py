"""``factory validate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from factory.cli.packer_flags import PackerFlags, packer_flags
from factory.cli.report.failure import problem_lines
from factory.cli.template_options import environment, find_templates, template_options
from factory.errors import Problem, TemplateError


@click.command("validate")
@click.argument("templates", nargs=-1, required=True, type=click.Path(path_type=Path))
@template_options
@click.option("--syntax-only", is_flag=True, help="Only whether the files of a Packer template can be read at all.")
@packer_flags
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def command(
    templates: tuple[Path, ...],
    variables: dict[str, str],
    var_files: tuple[Path, ...],
    only: tuple[str, ...],
    except_: tuple[str, ...],
    syntax_only: bool,
    packer: PackerFlags,
    as_json: bool,
) -> None:
    """Check TEMPLATES (files, or folders of them) and print every problem with its place.

    \b
    Needs no network and no QEMU, and changes nothing. Exit code 3 when something is wrong.
    """
    from factory.host.facts import template_names
    from factory.template.load import check_all
    from factory.template.packer_files import is_packer, syntax_problems

    packer.apply()
    host = template_names()
    problems: list[Problem] = []
    for path in find_templates(templates):
        if syntax_only and is_packer(path):
            found = syntax_problems(path)
        else:
            _, found = check_all(
                path,
                variables=variables,
                var_files=var_files,
                environ=environment(),
                host=host,
                only=only,
                except_=except_,
            )
        problems += found
        if not as_json:
            for problem in found:
                for line in problem_lines(problem):
                    click.echo(line, err=True)
            if not any(p.severity == "error" for p in found):
                click.echo(f"{path}: ok")
    if as_json:
        click.echo(json.dumps([_as_json(p) for p in problems], indent=2))
    if any(p.severity == "error" for p in problems):
        sys.exit(TemplateError.exit_code)


def _as_json(problem: Problem) -> dict[str, object]:
    place = problem.place
    return {
        "severity": problem.severity,
        "message": problem.message,
        "hint": problem.hint,
        "file": place.file if place else "",
        "line": place.line if place else 0,
        "column": place.column if place else 0,
    }
