"""``factory plan``."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli.template_options import find_templates, template_options


@click.command("plan")
@click.argument("templates", nargs=-1, required=True, type=click.Path(path_type=Path))
@template_options
@click.option("-o", "--output", default="output", show_default=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder that artifacts would appear in.")  # fmt: skip
@click.option("--layers", type=click.Choice(["auto", "live", "off", "none"]), default=None, help="As for build.")
@click.option("--diff", is_flag=True, help="Show everything that has changed since the newest build, value by value.")
@click.option("--steps", is_flag=True, help="Show the steps of each phase.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
def command(
    templates: tuple[Path, ...], variables: dict[str, str], var_files: tuple[Path, ...], only: tuple[str, ...],
    except_: tuple[str, ...], output: Path, layers: str | None, diff: bool, steps: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show each phase of TEMPLATES: whether it is stored, and in one sentence why not. Changes nothing."""
    from factory.cli.plan_view import PlanOptions, show_plans
    from factory.cli.requests import Selection

    selection = Selection(variables, var_files, only, except_)
    show_plans(find_templates(templates), PlanOptions(selection, output.absolute(), layers, diff, steps, as_json))
