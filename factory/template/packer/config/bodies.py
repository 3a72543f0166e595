"""From blocks to options: evaluates arguments, expands ``dynamic`` blocks, merges bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from factory.errors import Problem, TemplateError
from factory.template.packer.config.late_values import only_inserted
from factory.template.packer.hcl.source import Span
from factory.template.packer.hcl.syntax import Attribute, Block, Body
from factory.template.packer.language.convert import as_text
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.scope import Scope, failure
from factory.template.packer.language.types import SetType, is_mapping, is_sequence
from factory.template.packer.language.values import UNKNOWN_VALUE, Value, describe, number, object_value, string
from factory.template.packer.options import Given, Settings

DYNAMIC = "dynamic"


@dataclass(frozen=True, slots=True)
class ScopedBlock:
    """A block and the scope that its arguments are evaluated in: a dynamic block sees its iterator."""

    block: Block
    scope: Scope

    @property
    def kind(self) -> str:
        return self.block.kind

    @property
    def body(self) -> Body:
        return self.block.body


def expanded(body: Body, scope: Scope, problems: list[Problem]) -> Iterator[ScopedBlock]:
    """The blocks of *body*, every ``dynamic`` block replaced by what it stands for."""
    for block in body.blocks:
        if block.kind != DYNAMIC:
            yield ScopedBlock(block, scope)
            continue
        try:
            yield from list(_expand(block, scope))
        except TemplateError as error:
            problems.extend(error.problems)


def _expand(block: Block, scope: Scope) -> Iterator[ScopedBlock]:
    if len(block.labels) != 1:
        raise block.kind_span.error('a dynamic block has one label: dynamic "provisioner" { … }')
    kind = block.labels[0]
    arguments = block.body.attributes
    for name, item in arguments.items():
        if name not in ("for_each", "iterator", "labels"):
            raise item.name_span.error(f"a dynamic block has no argument “{name}”", hint="put it inside content { … }")
    if "for_each" not in arguments:
        raise block.kind_span.error("a dynamic block needs “for_each”")
    contents = block.body.blocks_of("content")
    if len(contents) != 1 or len(block.body.blocks) != 1:
        raise block.kind_span.error("a dynamic block has exactly one block inside: content { … }")
    iterator = kind
    if "iterator" in arguments:
        iterator = arguments["iterator"].value.span.text.strip('"')
    collection = evaluate(arguments["for_each"].value, scope)
    for key, value in _pairs(collection, arguments["for_each"].value.span):
        each = object_value({"key": key, "value": value}).with_sensitivity(collection.sensitive)
        inner = scope.child({iterator: each})
        labels: tuple[str, ...] = ()
        if "labels" in arguments:
            labels = _labels(evaluate(arguments["labels"].value, inner), arguments["labels"].value.span)
        made = Block(block.span, kind, labels, contents[0].body, block.kind_span)
        yield ScopedBlock(made, inner)


def _pairs(collection: Value, span: Span) -> list[tuple[Value, Value]]:
    if collection.is_unknown:
        return []
    if collection.is_null:
        raise failure(span, "“for_each” is null")
    if is_mapping(collection.type):
        fields = collection.fields()
        return [(string(k), fields[k]) for k in sorted(fields)]
    if is_sequence(collection.type):
        if isinstance(collection.type, SetType):
            return [(v, v) for v in collection.items()]
        return [(number(i), v) for i, v in enumerate(collection.items())]
    raise failure(span, f"“for_each” needs a list, set or map, not {describe(collection)}")


def _labels(value: Value, span: Span) -> tuple[str, ...]:
    if value.is_unknown or value.is_null or not is_sequence(value.type):
        raise failure(span, "“labels” needs a list of texts")
    texts = [as_text(v) for v in value.items()]
    if any(t is None for t in texts):
        raise failure(span, "“labels” needs a list of texts")
    return tuple(t for t in texts if t is not None)


def settings_of(
    body: Body, scope: Scope, problems: list[Problem], build: Mapping[str, Value] | None = None
) -> Settings:
    """Evaluates every argument and block of *body*; what has no value goes to *problems* and is unknown.

    *build* replaces names of the scope for an argument that computes with values which only a running build has.
    """
    options: dict[str, Given] = {}
    for name, item in body.attributes.items():
        careful = build is not None and not only_inserted(item.value)
        seen = scope.child(build) if careful and build is not None else scope
        options[name] = Given(argument(item, seen, problems), item.value.span, item.name_span)
    blocks: dict[str, list[Settings]] = {}
    spans: dict[str, Span] = {}
    for one in expanded(body, scope, problems):
        blocks.setdefault(one.kind, []).append(settings_of(one.body, one.scope, problems, build))
        spans.setdefault(one.kind, one.block.kind_span)
    for kind, found in blocks.items():
        if kind in options:
            problems.append(spans[kind].problem(f"“{kind}” is both an argument and a block"))
            continue
        options[kind] = Given(None, spans[kind], spans[kind], tuple(found))
    return Settings(options, body.span)


def argument(item: Attribute, scope: Scope, problems: list[Problem]) -> Value:
    """The value of one argument, or an unknown one together with a problem."""
    try:
        return evaluate(item.value, scope)
    except TemplateError as error:
        problems.extend(error.problems)
        return UNKNOWN_VALUE


def set_twice(base: Body, extra: Body) -> list[Problem]:
    """An argument that a build sets although its source sets it already is an error."""
    return [
        item.name_span.problem(
            f"the argument “{name}” is set twice",
            hint=f"the source sets it at {base.attributes[name].name_span.place}; a build can only add what the source "
            "leaves out",
        )
        for name, item in extra.attributes.items()
        if name in base.attributes
    ]


def one_text(attributes: Mapping[str, Attribute], name: str, scope: Scope, problems: list[Problem]) -> str:
    """A text argument, or an empty text."""
    if name not in attributes:
        return ""
    value = argument(attributes[name], scope, problems)
    if value.is_unknown or value.is_null:
        return ""
    text = as_text(value)
    if text is None:
        problems.append(attributes[name].value.span.problem(f"“{name}” must be a text, not {describe(value)}"))
    return text or ""
