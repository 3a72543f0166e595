"""``for`` in its three forms, and conditions.

What decides which elements there are, and under which keys, is told by the whole result: it is sensitive where the
collection, a condition or a key is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from factory.template.packer.hcl import syntax as ast
from factory.template.packer.hcl.source import Span
from factory.template.packer.language.bounds import check_elements, check_length
from factory.template.packer.language.convert import ConversionError, as_text, convert
from factory.template.packer.language.scope import Scope, failure
from factory.template.packer.language.types import BOOL, STRING, SetType, is_mapping, is_sequence
from factory.template.packer.language.values import (
    UNKNOWN_VALUE,
    Value,
    boolean,
    describe,
    number,
    object_value,
    string,
    tuple_value,
)

Evaluate = Callable[[ast.Expression, Scope], Value]


def condition_of(node: ast.Expression, scope: Scope, evaluate: Evaluate) -> Value:
    """A bool, or unknown. Raises: EvaluationError."""
    value = evaluate(node, scope)
    if value.is_null:
        raise failure(node.span, "the condition is null; it must be true or false")
    try:
        return convert(value, BOOL)
    except ConversionError:
        raise failure(node.span, f"the condition must be true or false, not {describe(value)}") from None


def key_text(node: ast.Expression, value: Value) -> str | None:
    """None for a key that is not known yet. Raises: EvaluationError."""
    if value.is_unknown:
        return None
    text = as_text(value)
    if text is None:
        raise failure(node.span, f"a key must be a text, not {describe(value)}")
    return text


def text_loop(node: ast.Loop, scope: Scope, evaluate: Evaluate) -> Value:
    """``%{ for … }``."""
    collection = evaluate(node.collection, scope)
    if collection.is_unknown:
        return Value(STRING, collection.data, collection.sensitive)
    pieces: list[str] = []
    length = 0
    sensitive = collection.sensitive
    for names in _iterate(collection, node.collection.span, node.key, node.value):
        value = evaluate(node.body, scope.child(names))
        sensitive = sensitive or value.sensitive
        if value.is_unknown:
            return Value(STRING, value.data, sensitive)
        pieces.append(value.text())
        length += len(pieces[-1])
        check_length(length)
    return string("".join(pieces)).with_sensitivity(sensitive)


def for_tuple(node: ast.ForTuple, scope: Scope, evaluate: Evaluate) -> Value:
    """``[for … : …]``."""
    turns = _Turns(node, scope, evaluate)
    results: list[Value] = []
    extent = 1
    for inner in turns:
        results.append(evaluate(node.result, inner))
        extent += results[-1].extent
        check_elements(extent)
    return turns.made(tuple_value(results))


def for_object(node: ast.ForObject, scope: Scope, evaluate: Evaluate) -> Value:
    """``{for … : … => …}``."""
    turns = _Turns(node, scope, evaluate)
    groups: dict[str, list[Value]] = {}
    extent = 1
    for inner in turns:
        text = key_text(node.result_key, turns.told_by(evaluate(node.result_key, inner)))
        if text is None:
            break
        if text in groups and not node.grouped:
            raise failure(
                node.result_key.span,
                f"the key “{text}” comes up twice in this for expression",
                hint="put “...” after the value to collect all values of a key in a list",
                sensitive=turns.sensitive,
            )
        result = evaluate(node.result, inner)
        groups.setdefault(text, []).append(result)
        extent += result.extent
        check_elements(extent)
    return turns.made(object_value({k: tuple_value(v) if node.grouped else v[0] for k, v in groups.items()}))


@dataclass(slots=True)
class _Turns:
    """The turns of a ``for`` whose condition holds, and what the whole result is told by them."""

    node: ast.ForTuple | ast.ForObject
    scope: Scope
    evaluate: Evaluate
    sensitive: bool = False
    _unknown: bool = False

    def __iter__(self) -> Iterator[Scope]:
        """The names of each turn; ends where it is not known yet what the collection or a condition is."""
        collection = self.told_by(self.evaluate(self.node.collection, self.scope))
        if collection.is_unknown:
            return
        for names in _iterate(collection, self.node.collection.span, self.node.key, self.node.value):
            inner = self.scope.child(names)
            condition = self.node.condition
            accepted = self.told_by(condition_of(condition, inner, self.evaluate) if condition else boolean(True))
            if accepted.is_unknown:
                return
            if accepted.data:
                yield inner

    def told_by(self, value: Value) -> Value:
        """Notes that *value* tells which elements there are, or under which key."""
        self.sensitive = self.sensitive or value.sensitive
        self._unknown = self._unknown or value.is_unknown
        return value

    def made(self, value: Value) -> Value:
        """The result: *value*, if all is known that tells what is in it."""
        return (UNKNOWN_VALUE if self._unknown else value).with_sensitivity(self.sensitive)


def _iterate(collection: Value, span: Span, key: str, value: str) -> Iterator[dict[str, Value]]:
    """The names that each turn of a loop over *collection* sees."""
    if collection.is_null:
        raise failure(span, "null has no elements to go through")
    pairs: list[tuple[Value, Value]]
    if is_mapping(collection.type):
        fields = collection.fields()
        pairs = [(string(k), fields[k]) for k in sorted(fields)]
    elif is_sequence(collection.type):
        items = collection.items()
        if isinstance(collection.type, SetType):
            pairs = [(item, item) for item in items]
        else:
            pairs = [(number(i), item) for i, item in enumerate(items)]
    else:
        raise failure(span, f"a list, set, map or object is needed to go through, not {describe(collection)}")
    # An element of what is sensitive is, for what is made of it inside: an error there shows no text of it.
    hidden = collection.sensitive
    for k, v in pairs:
        names = {value: v.with_sensitivity(hidden)}
        yield {key: k.with_sensitivity(hidden), **names} if key else names
