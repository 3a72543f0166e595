"""``factory schema``."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.argument("kind", type=click.Choice(["template", "profile"]), default="template")
def command(kind: str) -> None:
    """Print the JSON Schema of templates (or boot profiles), for editors.

    \b
    In a template, the first line makes editors with the YAML language server use it:
      # yaml-language-server: $schema=../docs/reference/template.schema.json
    """
    from factory.template.schema import profile_schema, template_schema

    click.echo(json.dumps(template_schema() if kind == "template" else profile_schema(), indent=2))
