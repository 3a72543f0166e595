"""JSON Schema of templates, fragments and profiles, for editors (yaml-language-server) and other programs.

The schema accepts what people write, not only what the models hold: short forms, expressions in the place of numbers
and lists, `key+` for lists that are appended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from factory.quantity import Duration, Size
from factory.template.model import Profile, Strict, Template
from factory.template.output_options import OPTIONS_MODELS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"type": "string", "pattern": r"\{\{.*\}\}"}
_OPEN = ("Source", "IsoSource", "ImageSource", "BuiltFile", "Install", "Ssh", "WinRm")
"""Mappings that a fragment may give a part of: nothing in them is required."""


def template_schema() -> dict[str, Any]:
    """For ``images/*.yml``."""
    schema = _fragment_properties()
    schema |= {"title": "A template of factory", "required": ["format", "name"]}
    schema["anyOf"] = [{"required": ["source"]}, {"required": ["extends"]}]
    return schema


def fragment_schema() -> dict[str, Any]:
    """For what templates extend, such as ``images/_base/*.yml``: nothing is required."""
    schema = _fragment_properties()
    schema |= {"title": "A fragment of templates of factory"}
    schema.pop("required", None)
    return schema


def profile_schema() -> dict[str, Any]:
    """For ``boot_configs/*.yml``."""
    schema = _plain(Profile)
    schema |= {"title": "A boot profile of factory"}
    return schema


def _fragment_properties() -> dict[str, Any]:
    schema = _plain(Template)
    definitions = schema["$defs"]
    for name in _OPEN:
        definitions[name].pop("required", None)
    outputs = schema["properties"]["outputs"]
    outputs["items"] = _outputs(definitions)
    for mapping in _mappings(schema):
        _add_appending(mapping)
    return schema


def _plain(model: type[Strict]) -> dict[str, Any]:
    schema = model.model_json_schema()
    for mapping in _mappings(schema):
        for name, field in mapping["properties"].items():
            mapping["properties"][name] = _friendly(field, schema.get("$defs", {}))
    for definition in schema.get("$defs", {}).values():
        _untitle(definition)
    _untitle(schema)
    return {"$schema": DIALECT, **schema}


def _mappings(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every mapping with fields of its own, the whole among them."""
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:
            yield part


def _friendly(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """*field*, with an expression accepted in the place of a number, a word of a list, a pattern's text, a list.

    Not in the place of a mapping of ours: editors explain a mistake in it better when it is the only choice.
    """
    field = {k: v for k, v in field.items() if k != "title"}
    if isinstance(field.get("default"), (dict, list)) or ("default" in field and field["default"] is None):
        field.pop("default")  # the defaults of a mapping stand at its own fields
    for quantity in (Size, Duration):
        if field.get("anyOf") == quantity.__get_pydantic_json_schema__(None, None)["anyOf"] and "default" in field:
            field["default"] = str(quantity(field["default"]))
    if "const" in field:
        return {k: v for k, v in field.items() if k != "type"}
    if isinstance(field.get("items"), dict):
        field["items"] = _friendly(field["items"], definitions)
    if _takes_any_text(field) or not _is_value(field, definitions):
        return field
    kept: dict[str, Any] = {k: field.pop(k) for k in ("description", "default") if k in field}
    options = field["anyOf"] if set(field) == {"anyOf"} else [field]
    return {**kept, "anyOf": [*options, _EXPRESSION]}


def _takes_any_text(field: dict[str, Any]) -> bool:
    if any(_takes_any_text(option) for option in field.get("anyOf", [])):
        return True
    return field.get("type") == "string" and not {"enum", "pattern"} & set(field)


def _is_value(field: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """True unless it is, or holds, a mapping of ours."""
    if "$ref" in field:
        return "properties" not in definitions[field["$ref"].rpartition("/")[2]]
    if "anyOf" in field:
        if {"type": "boolean"} in field["anyOf"]:
            return True
        return all(_is_value(option, definitions) for option in field["anyOf"])
    if field.get("type") == "array":
        return _is_value(field.get("items", {}), definitions)
    return "type" in field and field["type"] != "object"


def _untitle(schema: dict[str, Any]) -> None:
    schema.pop("title", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)


def _outputs(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One output: its word, its word with options, or a mapping with ``kind``."""
    words = list(OPTIONS_MODELS)
    with_options = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {w: {"anyOf": [_options_of(w), {"type": "null"}]} for w in words},
    }
    whole = [{"$ref": f"#/$defs/{_defined(m, definitions)}", "required": ["kind"]} for m in OPTIONS_MODELS.values()]
    return {"anyOf": [{"enum": words}, with_options, *whole, _EXPRESSION]}


def _defined(model: type[BaseModel], definitions: Mapping[str, Any]) -> str:
    """What pydantic calls a model: with its module where two models have one name."""
    name = model.__name__
    return name if name in definitions else f"{model.__module__}.{name}".replace(".", "__")


def _options_of(word: str) -> dict[str, Any]:
    model = OPTIONS_MODELS[word]
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    schema["properties"] = {n: _friendly(f, definitions) for n, f in schema["properties"].items() if n != "kind"}
    _untitle(schema)
    return schema


def _add_appending(mapping: dict[str, Any]) -> None:
    """``provision+: […]`` beside ``provision: […]``."""
    for name, field in list(mapping["properties"].items()):
        options = field.get("anyOf", [field])
        array = next((o for o in options if o.get("type") == "array"), None)
        if array is not None:
            words = f"Appended to the `{name}` of what this extends."
            mapping["properties"][f"{name}+"] = {**array, "description": words}
