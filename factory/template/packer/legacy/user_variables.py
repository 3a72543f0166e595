"""The variables of a JSON template: from weakest to strongest default, ``-var-file``, ``-var``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.errors import Problem, TemplateError
from factory.template.packer.config.files import read_source
from factory.template.packer.gotemplate import Context, Surroundings, packer_functions, render_known
from factory.template.packer.hcl import NOWHERE, Span, parse_body
from factory.template.packer.hcl.json_parser import JsonMember, JsonObject, JsonScalar, parse_json
from factory.template.packer.hcl.syntax import Literal
from factory.template.packer.language.convert import as_text
from factory.template.packer.language.scope import World
from factory.template.packer.language.values import from_python, string
from factory.template.packer.legacy.nodes import is_comment, value_of
from factory.template.packer.model import COMPATIBLE_VERSION, PackerVariable
from factory.template.packer_files import Purpose


def read_user_variables(
    declared: Mapping[str, JsonMember],
    sensitive: frozenset[str],
    world: World,
    var_files: Sequence[Path],
    options: Mapping[str, str],
    problems: list[Problem],
    purpose: Purpose = Purpose.CHECK,
) -> Mapping[str, PackerVariable]:
    """Every variable with its rendered value; variables may use one another in any order.

    One without a value is empty where variables are only shown, and a problem elsewhere.
    """
    raw: dict[str, tuple[str | None, str, Span]] = {}
    for name, member in declared.items():
        if not is_comment(name):
            raw[name] = (_default(member, problems), "default", member.value.span)
    for file in var_files:
        found = file if file.is_absolute() else world.working / file
        for name, setting, span in _from_file(found, str(file), problems):
            raw[name] = (setting, str(file), span)
    raw.update({name: (given, "-var", NOWHERE) for name, given in options.items()})
    rendered = _render(raw, world, problems)
    result: dict[str, PackerVariable] = {}
    for name, (text, origin, span) in raw.items():
        if text is None and purpose is not Purpose.SHOW:
            problems.append(
                span.problem(f"the variable “{name}” has no value", hint=f"give it one: -var {name}=…, or a default")
            )
        value = string(rendered.get(name, "")).with_sensitivity(name in sensitive)
        result[name] = PackerVariable(
            name=name,
            value=value,
            origin=origin,
            sensitive=name in sensitive,
            required=name in declared and _is_null(declared[name]),
        )
    return result


def _is_null(member: JsonMember) -> bool:
    return isinstance(member.value, JsonScalar) and member.value.value is None


def _default(member: JsonMember, problems: list[Problem]) -> str | None:
    if _is_null(member):
        return None
    text = as_text(value_of(member.value))
    if text is None:
        problems.append(member.value.span.problem(f"the variable “{member.name}” must be a text, number or bool"))
    return text or ""


def _from_file(path: Path, shown: str, problems: list[Problem]) -> list[tuple[str, str, Span]]:
    source = read_source(path, shown)
    if path.name.endswith(".hcl"):
        return [
            (name, as_text(from_python(item.value.value)) or "", item.value.span)
            for name, item in parse_body(source).attributes.items()
            if isinstance(item.value, Literal)
        ]
    root = parse_json(source)
    if not isinstance(root, JsonObject):
        problems.append(root.span.problem('a file of variables is an object: { "name": "value" }'))
        return []
    result: list[tuple[str, str, Span]] = []
    for member in root.members:
        if is_comment(member.name):
            continue
        text = as_text(value_of(member.value))
        if text is None:
            problems.append(member.value.span.problem(f"the variable “{member.name}” must be a text, number or bool"))
        else:
            result.append((member.name, text, member.value.span))
    return result


def _render(
    raw: Mapping[str, tuple[str | None, str, Span]], world: World, problems: list[Problem]
) -> Mapping[str, str]:
    done: dict[str, str] = {}
    waiting = {name: text or "" for name, (text, _, _) in raw.items()}
    functions = packer_functions(Surroundings(world, COMPATIBLE_VERSION, done, in_variables=True))
    context = Context({}, functions, late=None, results_are_templates=True)
    while waiting:
        failed: dict[str, TemplateError] = {}
        for name, text in waiting.items():
            try:
                done[name] = render_known(text, context, raw[name][2])
            except TemplateError as error:
                failed[name] = error
        if len(failed) == len(waiting):  # nothing came of this round, so the next would bring nothing either
            for found in failed.values():
                problems.extend(found.problems)
            break
        waiting = {name: waiting[name] for name in failed}
    return done
