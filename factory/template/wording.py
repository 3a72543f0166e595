"""pydantic's errors in people's words, at the places where the values were written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from factory.errors import Problem
from factory.template.model import LateText
from factory.template.output_options import OPTIONS_MODELS
from factory.template.render import Unrendered
from factory.template.suggest import did_you_mean
from factory.template.variables import described
from factory.template.yaml_source import Loc, Node

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_SWITCHES = ("tpm", "seal", "verify")
"""Sections that may be switched by true and false."""
FIELDS_OF_TEXTS = ("inline", "boot_command", "run", "command", "command_uefi")
"""Fields that take one text or several."""
_PATTERNS = {
    "[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?": "lower-case letters, digits, '.', '_' and '-', at most 64",
    "[a-z][a-z0-9_-]{0,30}": "lower-case letters, digits, '_' and '-', beginning with a letter, at most 31",
    "0?[0-7]{3,4}": 'an octal mode such as "0644"',
    "(([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})?": "a MAC address such as 52:54:00:12:34:56",
}


def problems_in_words(error: ValidationError, tree: Node, model: type[BaseModel]) -> list[Problem]:
    """Every problem of *error*, once, in the order of the file."""
    found: dict[tuple[Loc, str], Problem] = {}
    placed: set[Loc] = set()
    details = error.errors(include_url=False)
    wrong = [real_loc(tree, d["loc"]) for d in details]
    for detail, loc in zip(details, wrong, strict=True):
        node = tree.at(*loc)
        assert node is not None
        if isinstance(node.value, Unrendered) or _is_echo(detail, loc, wrong):
            continue
        kind = str(detail["type"])
        if kind not in ("extra_forbidden", "missing"):
            if loc in placed:
                continue  # the other members of a union fail at the same value
            placed.add(loc)
        problem = _problem(detail, node, tree, loc, model)
        found.setdefault((loc, problem.message), problem)
    return sorted(found.values(), key=_by_place)


def _by_place(problem: Problem) -> tuple[str, int, int]:
    return (problem.place.file, problem.place.line, problem.place.column) if problem.place else ("", 0, 0)


def real_loc(tree: Node, loc: Iterable[str | int]) -> Loc:
    """*loc* without what pydantic puts in between: members of unions, discriminators, names of missing fields."""
    node, real = tree, []
    for part in loc:
        child = node.get(part)
        if child is not None:
            node = child
            real.append(part)
    return tuple(real)


def _is_echo(detail: Any, loc: Loc, wrong: list[Loc]) -> bool:
    """A list whose members are wrong is reported as too short as well."""
    return detail["type"] == "too_short" and any(len(w) > len(loc) and w[: len(loc)] == loc for w in wrong)


def _problem(detail: Any, node: Node, tree: Node, loc: Loc, model: type[BaseModel]) -> Problem:
    kind, context = str(detail["type"]), detail.get("ctx") or {}
    if kind == "extra_forbidden":
        return _unknown_field(str(detail["loc"][-1]), node, loc, detail["loc"], model)
    if kind == "missing":
        field = str(detail["loc"][-1])
        where = f" in `{loc[-1]}`" if loc else ""
        return node.key_problem(f"missing field '{field}'{where}", _missing_hint(field))
    if isinstance(detail["input"], LateText):
        return _late(detail["input"], node, loc)
    if kind.startswith("union_tag") or (kind == "model_attributes_type" and loc[:1] == ("outputs",)):
        return _output(node)
    if kind in _EXPECTED or kind == "is_instance_of":
        return _wrong_type(_expected(kind, _label(loc)), detail["input"], node, loc)
    if kind in ("enum", "literal_error"):
        known = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        hint = did_you_mean(str(detail["input"]), known, kind="known")
        return node.problem(f"`{_label(loc)}` can't be {_shown(detail['input'])}", hint)
    if kind == "string_pattern_mismatch":
        wanted = next((words for p, words in _PATTERNS.items() if p in context["pattern"]), context["pattern"])
        return node.problem(f"{_shown(detail['input'])} can't be a `{_label(loc)}`", _written_as(wanted))
    if kind == "value_error":
        message = str(context.get("error", detail["msg"]))
        return node.key_problem(message) if isinstance(node.value, dict) else node.problem(message)
    return _other(kind, context, detail, node, loc)


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else described(value)


def _expected(kind: str, field: str) -> str:
    if kind == "model_type" and field in _SWITCHES:
        return "true, false or a mapping"
    if kind == "tuple_type" and field in FIELDS_OF_TEXTS:
        return "a text or a list of texts"
    return _EXPECTED.get(kind, "a text")


def _other(kind: str, context: Mapping[str, Any], detail: Any, node: Node, loc: Loc) -> Problem:
    for limit, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if limit in context:
            return node.problem(f"`{_label(loc)}` must be {words} {context[limit]}, got {detail['input']}")
    if kind == "too_short":
        return node.key_problem(f"`{_label(loc)}` needs at least {context['min_length']} entry")
    return node.problem(f"`{_label(loc)}`: {str(detail['msg']).removeprefix('Value error, ')}")


def _label(loc: Loc) -> str:
    """The nearest name to speak of: the last key, with its index when it is in a list."""
    names = [p for p in loc if isinstance(p, str)]
    return names[-1] if names else "template"


def _unknown_field(field: str, parent: Node, loc: Loc, full: tuple[Any, ...], model: type[BaseModel]) -> Problem:
    node = parent
    if loc and loc[-1] == field:
        loc = loc[:-1]
    elif (child := parent.get(field)) is not None:
        node = child
    known = fields_at(model, full[:-1])
    hint = did_you_mean(field, known, kind="known here") if known else "no options are known here"
    if field in fields_at(model, full[:-2]) and loc:
        hint = f"it belongs beside `{_label(loc)}`, not in it"
    return node.key_problem(f"unknown field '{field}'" + (f" in `{_label(loc)}`" if loc else ""), hint)


def _missing_hint(field: str) -> str:
    return {"format": "write `format: 1`", "name": "the name of the image, as in output/<name>/"}.get(field, "")


def _late(text: LateText, node: Node, loc: Loc) -> Problem:
    message = f"`{_label(loc)}` must be known before a build, but {text.source!r} is not"
    return node.problem(message, "names such as seed.url, generated and sensitive variables can't be used here")


def _wrong_type(expected: str, value: object, node: Node, loc: Loc) -> Problem:
    hint = ""
    if expected == "a text" and isinstance(value, (int, float)):
        hint = "put it in quotes"
    elif expected.endswith("a mapping") and value is None:
        hint = "write `{}` for none"
    return node.problem(f"`{_label(loc)}`: expected {expected}, got {described(value)}", hint)


def _written_as(wanted: str) -> str:
    return f"write {wanted}" if wanted.startswith(("an ", "a ")) else f"it is made of {wanted}"


def _output(node: Node) -> Problem:
    written = node.value if isinstance(node.value, str) else None
    if isinstance(node.value, dict):
        kind = node.get("kind")
        written = str(kind.value) if kind else next(iter(node.value)) if len(node.value) == 1 else None
    if written is None:
        return node.problem("an output is one word, or one word with its options", "such as `raw: {compress: zstd}`")
    return node.problem(f"there is no output '{written}'", did_you_mean(written, OPTIONS_MODELS, kind="known"))


def fields_at(model: type[BaseModel], loc: Iterable[Any]) -> tuple[str, ...]:
    """The names of the fields that a mapping at *loc* may have."""
    current: list[type[BaseModel]] = [model]
    for part in loc:
        following: list[type[BaseModel]] = []
        for candidate in current:
            if isinstance(part, str) and (field := _field(candidate, part)) is not None:
                following.extend(_models_in(field.annotation))
                for extra in field.metadata:
                    following.extend(_models_in(extra))
            elif isinstance(part, str) and part in OPTIONS_MODELS and candidate in OPTIONS_MODELS.values():
                following.append(OPTIONS_MODELS[part])
        if following:
            current = list(dict.fromkeys(following))
        elif isinstance(part, str) and part in OPTIONS_MODELS:
            current = [OPTIONS_MODELS[part]]
    names = [f.alias or n for m in current for n, f in m.model_fields.items()]
    return tuple(dict.fromkeys(n for n in names if n != "kind"))


def _field(model: type[BaseModel], name: str) -> Any:
    for field, info in model.model_fields.items():
        if name in (field, info.alias):
            return info
    return None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in getattr(annotation, "__args__", ()) for m in _models_in(a)]
