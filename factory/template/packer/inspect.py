"""What ``inspect`` prints and what ``console`` answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

from factory.template.packer.gotemplate import Context, Surroundings, packer_functions, render
from factory.template.packer.hcl import NOWHERE, Source, parse_expression
from factory.template.packer.language.console_text import SENSITIVE, console_text
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.scope import World
from factory.template.packer.model import COMPATIBLE_VERSION, BuildBlock, PackerConfig

_NOTE = """Note: If your build names contain user variables or template
functions such as 'timestamp', these are processed at build time,
and therefore only show in their raw form here."""


def inspect_text(config: PackerConfig) -> str:
    """The parts of a template, as ``packer inspect`` lists them; sensitive values are masked."""
    lines = _hcl(config) if config.scope is not None else _json(config)
    return "\n".join(lines) + "\n"


def _hcl(config: PackerConfig) -> Iterator[str]:
    yield "Packer Inspect: HCL2 mode\n"
    yield "> input-variables:\n"
    for name in sorted(config.variables):
        yield f"var.{name}: {_quoted(config, console_text(config.variables[name].value))}"
    yield "\n> local-variables:\n"
    for name in sorted(config.locals):
        yield f"local.{name}: {_quoted(config, console_text(config.locals[name]))}"
    yield "\n> builds:"
    for number, block in enumerate(config.blocks):
        yield from _block(number, block)


def _quoted(config: PackerConfig, text: str) -> str:
    """In quotes, with every secret in it masked."""
    for secret in sorted((s.reveal() for s in config.secrets), key=len, reverse=True):
        text = text.replace(secret, SENSITIVE)
    return json.dumps(text, ensure_ascii=False)


def _block(number: int, block: BuildBlock) -> Iterator[str]:
    yield f"\n  > {block.name or f'<unnamed build {number}>'}:"
    if block.description:
        yield f"\n  > Description: {block.description}"
    yield "\n    sources:\n"
    for source in block.sources or ("<no source>",):
        yield f"      {source}\n"
    yield "    provisioners:\n"
    for provisioner in block.provisioners or ("<no provisioner>",):
        yield f"      {provisioner}"
    yield "\n    post-processors:"
    if not block.chains:
        yield "\n      <no post-processor>"
    for position, chain in enumerate(block.chains):
        yield f"\n      {position}:"
        for link in chain:
            yield f"        {link}"


def _json(config: PackerConfig) -> Iterator[str]:
    yield "Packer Inspect: JSON mode"
    if config.description:
        yield f"Description:\n\n{config.description}\n"
    required = sorted(n for n, v in config.variables.items() if v.required)
    optional = sorted(n for n, v in config.variables.items() if not v.required)
    if required:
        yield "Required variables:\n"
        yield from (f"  {name}" for name in required)
        yield ""
    yield "Optional variables and their defaults:\n" if optional else "Variables:\n\n  <No variables>"
    width = max(map(len, optional), default=0)
    for name in optional:
        yield f"  {name:<{width}} = {console_text(config.variables[name].value)}"
    yield "\nBuilders:\n"
    width = max((len(b.name) for b in config.builds), default=0)
    for build in sorted(config.builds, key=lambda b: b.name):
        kind = "" if build.name == build.source_type else f"({build.source_type})"
        yield f"  {build.name:<{width}} {kind}".rstrip()
    yield "\nProvisioners:\n"
    kinds = [p.type for p in config.builds[0].provisioners] if config.builds else []
    yield from (f"  {kind}" for kind in kinds or ["<No provisioners>"])
    yield "\n" + _NOTE


def console_answer(config: PackerConfig, line: str) -> str:
    """The value of an expression (or, for a JSON template, of a Go template) as the console shows it.

    Raises: TemplateError when it has none.
    """
    if line.strip() == "variables":
        return inspect_text(config).partition("> builds:")[0].strip()
    source = Source.of("<console>", line)
    if config.scope is not None:
        return console_text(evaluate(parse_expression(source), config.scope))
    values = {name: v.value.text() for name, v in config.variables.items()}
    around = Surroundings(World(config.folder, config.working), COMPATIBLE_VERSION, values)
    context = Context({}, packer_functions(around), missing=lambda name: None)
    return render(line, context, source.span(0, len(line)) if line else NOWHERE)
