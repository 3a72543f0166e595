"""The JSON form of HCL: ``.pkr.json`` and ``.pkrvars.json``.

A text in JSON is a template. Whether a property is an argument or a block shows in the schema alone, so the reader has
to be told which blocks there are and how many labels each has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from factory.errors import Problem, TemplateError
from factory.template.packer.hcl.body_parser import parse_template
from factory.template.packer.hcl.json_parser import JsonArray, JsonNode, JsonObject, JsonScalar, offsets_in, parse_json
from factory.template.packer.hcl.source import Source, Span
from factory.template.packer.hcl.syntax import Attribute, Block, Body, Expression, Literal, Object, Tuple


@dataclass(frozen=True, slots=True)
class BlockSchema:
    """How many labels a block has, and the blocks inside it."""

    labels: int = 0
    blocks: Mapping[str, BlockSchema] = field(default_factory=dict)


def parse_json_body(source: Source, blocks: Mapping[str, BlockSchema]) -> Body:
    """Raises: TemplateError when *source* is not JSON, or not of the form that *blocks* asks for."""
    root = parse_json(source)
    problems: list[Problem] = []
    body = _body(root, blocks, problems)
    if problems:
        raise TemplateError(problems)
    return body


def _body(node: JsonNode, blocks: Mapping[str, BlockSchema], problems: list[Problem]) -> Body:
    attributes: dict[str, Attribute] = {}
    found: list[Block] = []
    for one in _objects(node, problems):
        for member in one.members:
            if member.name == "//":
                continue
            if member.name in blocks:
                schema = blocks[member.name]
                found.extend(_blocks(member.name, member.name_span, member.value, schema, (), problems))
            elif member.name in attributes:
                first = attributes[member.name].name_span.place
                problems.append(
                    member.name_span.problem(
                        f"the argument “{member.name}” is set twice", hint=f"it is set first at {first}"
                    )
                )
            else:
                value = expression_of(member.value)
                attributes[member.name] = Attribute(member.value.span, member.name, value, member.name_span)
    return Body(node.span, attributes, tuple(found))


def _objects(node: JsonNode, problems: list[Problem]) -> Iterator[JsonObject]:
    """A body is an object, or a list of objects that are taken together."""
    if isinstance(node, JsonObject):
        yield node
    elif isinstance(node, JsonArray):
        for item in node.items:
            yield from _objects(item, problems)
    elif not (isinstance(node, JsonScalar) and node.value is None):
        problems.append(node.span.problem("expected an object { … }"))


def _blocks(
    kind: str, kind_span: Span, node: JsonNode, schema: BlockSchema, labels: tuple[str, ...], problems: list[Problem]
) -> Iterator[Block]:
    if len(labels) < schema.labels:
        for one in _objects(node, problems):
            for member in one.members:
                if member.name != "//":
                    yield from _blocks(kind, kind_span, member.value, schema, (*labels, member.name), problems)
        return
    bodies = node.items if isinstance(node, JsonArray) else (node,)
    for item in bodies:
        yield Block(item.span, kind, labels, _body(item, schema.blocks, problems), kind_span)


def expression_of(node: JsonNode) -> Expression:
    """The expression that a JSON value stands for."""
    if isinstance(node, JsonScalar):
        if isinstance(node.value, str):
            return _template(node.span, node.value)
        return Literal(node.span, node.value)
    if isinstance(node, JsonArray):
        return Tuple(node.span, tuple(expression_of(item) for item in node.items))
    assert isinstance(node, JsonObject)
    items = tuple((_template(m.name_span, m.name), expression_of(m.value)) for m in node.members if m.name != "//")
    return Object(node.span, items)


def _template(span: Span, text: str) -> Expression:
    if "${" not in text and "%{" not in text:
        return Literal(span, text)
    return parse_template(Source(span.source.name, text, span.source, offsets_in(span)))
