"""From JSON to options."""

from __future__ import annotations

from factory.errors import Problem
from factory.template.packer.hcl.json_parser import JsonArray, JsonNode, JsonObject, JsonScalar
from factory.template.packer.language.values import Value, from_python, object_value, tuple_value
from factory.template.packer.options import Given, Settings


def is_comment(name: str) -> bool:
    return name.startswith("_")


def value_of(node: JsonNode) -> Value:
    """Plain data. Of several members with one name the last counts; comments are left out."""
    if isinstance(node, JsonScalar):
        return from_python(node.value)
    if isinstance(node, JsonArray):
        return tuple_value(value_of(i) for i in node.items)
    assert isinstance(node, JsonObject)
    return object_value({m.name: value_of(m.value) for m in node.members})


def settings_of(node: JsonObject, problems: list[Problem]) -> Settings:
    options: dict[str, Given] = {}
    for member in node.members:
        if is_comment(member.name):
            continue
        if member.name in options:
            first = options[member.name].name_span.place
            message = f"“{member.name}” is set twice; the last one counts"
            problems.append(member.name_span.problem(message, hint=f"first at {first}", severity="warning"))
        options[member.name] = Given(value_of(member.value), member.value.span, member.name_span)
    return Settings(options, node.span)


def text_of(settings: Settings, name: str, problems: list[Problem]) -> str:
    given = settings.options.get(name)
    if given is None or given.value is None or given.value.is_null:
        return ""
    if isinstance(given.value.data, str):
        return given.value.data
    problems.append(given.span.problem(f"“{name}” must be a text"))
    return ""
