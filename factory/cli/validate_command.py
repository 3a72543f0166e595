"""``factory validate``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from factory.cli.data_sources import read_data_source
from factory.cli.packer_flags import PackerFlags, packer_flags
from factory.cli.report.failure import problem_lines
from factory.cli.report.problems import problem_json
from factory.cli.template_options import environment, find_templates, template_options
from factory.errors import Place, PluginError, Problem, TemplateError
from factory.template.model import Loaded


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
    from factory.cli.requests import Loader, Selection, base_problems
    from factory.host.facts import template_names
    from factory.template.load import check_all
    from factory.template.packer_files import is_packer, syntax_problems

    packer.apply()
    host = template_names()
    paths = find_templates(templates)
    loader = Loader(paths, Selection(variables, var_files), host)
    checked: list[tuple[Path, tuple[Loaded, ...], tuple[Problem, ...]]] = []
    for path in paths:
        if syntax_only and is_packer(path):
            checked.append((path, (), syntax_problems(path)))
            continue
        own = loader.variables_for(path)
        made, found = check_all(
            path, variables=own, var_files=var_files, environ=environment(), host=host, only=only, except_=except_,
            data_reader=read_data_source if packer.evaluates else None,
        )  # fmt: skip
        checked.append((path, made, found))
    known = {build.template.name: build for _, made, _ in checked for build in made}
    problems: list[Problem] = []
    for path, made, found in checked:
        every = (*found, *base_problems(made, known, loader), *_unknown_plugins(made))
        problems += every
        if not as_json:
            _show(every, packer)
            if not any(p.severity == "error" for p in every):
                packer.say(f"{path}: ok" + (f", {len(made)} builds" if len(made) > 1 else ""))
    if as_json:
        click.echo(json.dumps([problem_json(p) for p in problems], indent=2))
    if any(p.severity == "error" for p in problems):
        sys.exit(TemplateError.exit_code)


def _show(problems: Iterable[Problem], packer: PackerFlags) -> None:
    for problem in problems:
        if packer.machine_readable:
            packer.say("\n".join(map(click.unstyle, problem_lines(problem))), "error")
            continue
        for line in problem_lines(problem):
            click.echo(line, err=True)


def _unknown_plugins(builds: Sequence[Loaded]) -> Iterator[Problem]:
    """Provisioners and post-processors that no installed package has: a template may be right without them."""
    from factory.outputs.plugins import has_output, missing_output
    from factory.outputs.post.run import BUILT_IN
    from factory.provision.catalog import has_provisioner, missing_provisioner
    from factory.template.output_options import PluginOutput

    errors: dict[str, PluginError] = {}
    for loaded in builds:
        for plugin in (p.plugin for p in loaded.template.provision if p.plugin):
            if not has_provisioner(plugin.name):
                errors[plugin.name] = missing_provisioner(plugin.name)
        for output in (o for o in loaded.template.outputs if isinstance(o, PluginOutput)):
            if not has_output(output.name):
                errors[output.name] = missing_output(output.name)
        for link in (link for chain in (loaded.delivery.chains if loaded.delivery else ()) for link in chain):
            if link.kind not in BUILT_IN and not has_output(link.kind):
                errors[link.kind] = missing_output(link.kind)
    for error in errors.values():
        message = f"{error.message}: plan and build will refuse it"
        yield Problem(message, Place(str(builds[0].path)), error.hint, severity="warning")
