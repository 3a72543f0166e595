"""The reference of templates and boot profiles as Markdown, made from the models: docs/reference/template.md."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from factory.quantity import Duration, Size
from factory.template.model import LateText, Profile, Template
from factory.template.output_options import OPTIONS_MODELS, OutputOptions

_INTRODUCTION = Path(__file__).with_name("reference_introduction.md")
_TEXT = str | LateText
_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Size: "size",
    Duration: "duration",
    Any: "value",
    LateText: "text",
    type(None): "",
}
_SHORT_FORMS = {
    "tpm": "mapping, true or false",
    "seal": "mapping, true or false",
    "verify": "mapping, true or false",
    "image": "mapping or text",
    "extends": "text or list of texts",
    "outputs": "list of outputs",
    **dict.fromkeys(("inline", "run"), "text or list of texts"),
    **dict.fromkeys(("command", "command_uefi", "boot_command"), "text or list of texts and waits"),
}
"""Fields of which more is accepted than their type says. ``command`` is one of several texts in a profile only."""


def reference() -> str:
    """The whole page."""
    done: set[type[BaseModel]] = set()
    parts = [
        _INTRODUCTION.read_text("utf-8").rstrip(),
        "",
        "## Fields of a template",
        "",
        *_section(Template, "", done),
    ]
    parts += ["## Outputs", "", *_outputs(), "## Fields of a boot profile", "", *_section(Profile, "", done)]
    return "\n".join(parts).rstrip() + "\n"


def _section(model: type[BaseModel], path: str, done: set[type[BaseModel]]) -> Iterator[str]:
    """A model's table, then those of the models in its fields; each model once."""
    if model in done:
        return
    done.add(model)
    if path:
        yield f"### `{path}`"
        yield ""
        yield _prose(model)
        yield ""
    yield from _table(model)
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            if not issubclass(inner, OutputOptions):
                yield from _section(inner, _path(path, field.alias or name, field), done)


def _prose(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").replace("``", "`").split())


def _path(path: str, name: str, field: FieldInfo) -> str:
    outer = f"{path}.{name}" if path else name
    if _origin_is(field.annotation, tuple):
        return outer + "[]"
    return outer + ".NAME" if _origin_is(field.annotation, dict) else outer


def _origin_is(annotation: Any, kind: type) -> bool:
    return get_origin(annotation) is kind or any(_origin_is(a, kind) for a in get_args(annotation))


def _outputs() -> Iterator[str]:
    yield "An output is a word, or a word with its options: `outputs: [qcow2, {raw: {compress: zstd}}]`."
    yield ""
    for word, model in OPTIONS_MODELS.items():
        yield f"### `{word}`"
        yield ""
        if model.__doc__ and model.__doc__ != OutputOptions.__doc__:
            yield _prose(model)
            yield ""
        if len(model.model_fields) == 1:
            yield "No options."
            yield ""
        else:
            yield from _table(model)


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| field | value | default | |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        if issubclass(model, OutputOptions) and name == "kind":
            continue
        cells = (f"`{field.alias or name}`", _type(name, field), _default(field), field.description or "")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _type(name: str, field: FieldInfo) -> str:
    words = _in_words(field.annotation)
    if name in _SHORT_FORMS and (words != "text" or name != "command"):
        return _SHORT_FORMS[name]
    limits = [getattr(m, "ge", None) for m in field.metadata] + [getattr(m, "le", None) for m in field.metadata]
    known = [str(limit) for limit in limits if limit is not None]
    return f"{words}, {' to '.join(known)}" if len(known) == 2 else words


def _in_words(annotation: Any) -> str:
    if annotation == _TEXT:
        return "text"
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(f"`{a}`" for a in arguments)
    if origin is typing.Annotated:
        return _in_words(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(w for w in map(_in_words, arguments) if w))
    if origin is tuple:
        inner = _in_words(arguments[0])
        return f"list of {_plural(inner)}"
    if origin is dict:
        return f"mapping of {_plural(_in_words(arguments[1]))}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(f"`{member.value}`" for member in annotation)
    return "mapping"


def _plural(words: str) -> str:
    return words if words.startswith(("mapping of", "list of")) or " or " in words else words + "s"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.default
    if value is PydanticUndefined or value in (None, "", ()):
        return ""
    if isinstance(value, BaseModel):
        return "as below"
    if isinstance(value, tuple):
        if any(isinstance(v, BaseModel) for v in value):
            return "one, as below"
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Duration) and not value:
        return "`0s`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
