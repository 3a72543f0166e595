"""The reference of commands, events, errors and steps as Markdown, made from the code itself: docs/reference/*.md.

``scripts/dev/reference`` writes the pages; a test holds them against the code.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import click

import factory.steps
from factory import errors, events
from factory.cli.program import COMMANDS, cli
from factory.cli.seal_listing import operation_rows
from factory.plan.step import Step

T = TypeVar("T")

_GENERATED = "<!-- Made from the code by scripts/dev/reference: change it there. -->"


_COMMANDS = f"""\
# Commands

{_GENERATED}

`factory COMMAND --help` prints the same. Long options may be written with one dash, as in `-var`, where people who
come from Packer are used to it. What ends how: [exit codes](errors.md).

| command | does |
|---|---|
"""
_EVENTS = f"""\
# Events

{_GENERATED}

One JSON object a line: in a run directory's `journal.jsonl`, and on standard output with `build --json`. Every line
has `time` (seconds since 1970), `build` (the template's name, empty for the whole command) and `event`, the name below.
Secrets are masked.

"""
_OPERATIONS = f"""\
# Operations of the seal

{_GENERATED}

Each is a declaration: what it does, for which guests, whether it is on by default, why, and where. What is declared
is also what is proven afterwards. `*` stays inside one name, `**` crosses folders, `{{a,b}}` is either. Operations
without paths, and some with, have code and a check of their own. [What sealing is](seal.md); `factory seal --list`
prints this.

"""
_ERRORS = f"""\
# Errors and exit codes

{_GENERATED}

Every error says what happened in one sentence, shows what was seen, and ends with the next thing to try. Of several
builds in one command, the first failure in the order of the command line gives the exit code.

| exit code | error | means |
|---|---|---|
| 0 | | done |
| 2 | | wrong options |
"""
_STEPS = f"""\
# Steps

{_GENERATED}

The actions that a plan is made of, as `factory plan --steps` lists them.

| step | does |
|---|---|
"""


def commands() -> str:
    """Every command with its help, as ``factory COMMAND --help`` prints it."""
    parts = [f"| [`{name}`](#factory-{name}) | {text} |" for name, text in COMMANDS.items()]
    parts.append("")
    root = click.Context(cli, info_name="factory", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        parts += _command(command, click.Context(command, info_name=name, parent=root), 2)
    return _COMMANDS + "\n".join(parts).rstrip() + "\n"


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    command = copy.copy(command)
    command._help_option = None  # click keeps it from the first call, which may have been outside our group
    yield f"{'#' * level} factory {context.command_path.removeprefix('factory ')}"
    yield ""
    yield "```text"
    context.max_content_width = context.terminal_width = 110
    yield command.get_help(context).rstrip()
    yield "```"
    yield ""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, info_name=name, parent=context), level + 1)


def event_page() -> str:
    """Every event with its fields, as they are in ``journal.jsonl`` and in the lines of ``--json``."""
    parts = []
    for kind in _defined_in(events, events.Event):
        fields = ", ".join(f"`{f.name}` ({f.type})" for f in dataclasses.fields(kind))
        parts += [f"## `{events.event_name(kind)}`", "", _prose(kind), "", f"Fields: {fields}.", ""]
    return _EVENTS + "\n".join(parts).rstrip() + "\n"


def error_page() -> str:
    """Exit codes, and every error with what it means."""
    kinds = _defined_in(errors, errors.FactoryError)
    parts = [f"| {kind.exit_code} | `{kind.__name__}` | {_prose(kind)} |" for kind in kinds]
    parts.append(f"| {errors.INTERNAL_ERROR_EXIT_CODE} | | a bug of factory's own: please report it |")
    parts.append(f"| {errors.INTERRUPTED_EXIT_CODE} | | interrupted; what was stored stays stored |")
    return _ERRORS + "\n".join(parts) + "\n"


def step_page() -> str:
    """Every step with what it does, as named in ``factory plan --json`` and in events."""
    return _STEPS + "\n".join(f"| `{kind.step_name()}` | {_prose(kind)} |" for kind in _steps()) + "\n"


def seal_operations() -> str:
    """Every operation of the seal, as declared."""
    parts = []
    for row in operation_rows():
        state = "on" if row["default"] else "off"
        parts += [f"## `{row['name']}`", "", f"{state}, for {row['guests']}: {row['what']}.", ""]
        parts += [f"Why{'' if row['default'] else ' it is off'}: {str(row['why']).removeprefix('off: ')}.", ""]
        for verb in ("removes", "empties", "rewrites", "keeps"):
            globs = row.get(verb, ())
            if isinstance(globs, list) and globs:
                parts += [f"{verb.capitalize()}:", "", *(f"- `{glob}`" for glob in globs), ""]
    return _OPERATIONS + "\n".join(parts).rstrip() + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "events.md": event_page,
    "errors.md": error_page,
    "steps.md": step_page,
    "seal-operations.md": seal_operations,
}
"""Pages of docs/reference by file name."""


def write_pages(folder: Path) -> None:
    for name, make in PAGES.items():
        (folder / name).write_text(make(), "utf-8")


def _steps() -> list[type[Step]]:
    found: list[type[Step]] = []
    for name in sorted(m.name for m in pkgutil.iter_modules(factory.steps.__path__)):
        found += _defined_in(importlib.import_module(f"factory.steps.{name}"), Step)
    return sorted(found, key=lambda kind: kind.step_name())


def _defined_in(module: ModuleType, base: type[T]) -> list[type[T]]:
    """Subclasses of *base* that *module* defines, in the order of its source."""
    kinds = [k for k in vars(module).values() if isinstance(k, type) and k.__module__ == module.__name__]
    return [k for k in kinds if issubclass(k, base) and k is not base]


def _prose(kind: type) -> str:
    """The class's own docstring (not the one that a dataclass makes) as one paragraph, else its module's first."""
    source = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(source, ast.ClassDef)
    text = ast.get_docstring(source) or (inspect.getdoc(inspect.getmodule(kind)) or "").split("\n\n")[0]
    return " ".join(text.replace("``", "`").split())


if __name__ == "__main__":
    write_pages(Path("docs/reference"))
