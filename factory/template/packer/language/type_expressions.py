"""Types as they are written: ``list(string)``, ``object({ a = string, b = optional(number, 1) })``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from factory.template.packer.hcl import Source, parse_expression
from factory.template.packer.hcl import syntax as ast
from factory.template.packer.language.convert import ConversionError, convert
from factory.template.packer.language.scope import did_you_mean, failure
from factory.template.packer.language.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ObjectType,
    Type,
    list_of,
    map_of,
    set_of,
    tuple_of,
)

if TYPE_CHECKING:
    from factory.template.packer.language.scope import Scope
    from factory.template.packer.language.values import Value

    Evaluate = Callable[[ast.Expression, Scope], Value]

_PRIMITIVES = {"string": STRING, "number": NUMBER, "bool": BOOL, "any": ANY}
_COLLECTIONS: dict[str, Callable[[Type], Type]] = {"list": list_of, "set": set_of, "map": map_of}
_NAMES = [*_PRIMITIVES, *_COLLECTIONS, "object", "tuple", "optional"]


def read_type(node: ast.Expression, scope: Scope, evaluate: Evaluate) -> Type:
    """The type that *node* names. A type in quotes and a collection without its element type are let through.

    Raises: EvaluationError when it names none.
    """
    if isinstance(node, ast.Literal) and isinstance(node.value, str):
        try:
            return read_type(parse_expression(Source.of(node.span.source.name, node.value)), scope, evaluate)
        except Exception:
            raise _unknown(node, node.value) from None
    if isinstance(node, ast.Variable):
        if node.name in _PRIMITIVES:
            return _PRIMITIVES[node.name]
        if node.name in _COLLECTIONS:
            return _COLLECTIONS[node.name](ANY)
        raise _unknown(node, node.name)
    if isinstance(node, ast.Call):
        return _constructor(node, scope, evaluate)
    raise _unknown(node, node.span.text)


def _unknown(node: ast.Expression, text: str) -> Exception:
    hint = did_you_mean(text, _NAMES)
    return failure(
        node.span,
        f"“{text}” is not a type",
        hint=hint or "types are string, number, bool, any, list(…), set(…), map(…), object({…}) and tuple([…])",
    )


def _constructor(node: ast.Call, scope: Scope, evaluate: Evaluate) -> Type:
    if node.name in _PRIMITIVES:
        raise failure(node.span, f"{node.name} takes no argument")
    if len(node.arguments) != 1:
        raise failure(node.span, f"{node.name}(…) takes one argument")
    inner = node.arguments[0]
    if node.name in _COLLECTIONS:
        return _COLLECTIONS[node.name](read_type(inner, scope, evaluate))
    if node.name == "tuple" and isinstance(inner, ast.Tuple):
        return tuple_of(*(read_type(item, scope, evaluate) for item in inner.items))
    if node.name == "object" and isinstance(inner, ast.Object):
        return _object(inner, scope, evaluate)
    if node.name in ("tuple", "object"):
        form = "tuple([string, number])" if node.name == "tuple" else "object({ name = string })"
        raise failure(inner.span, f"{node.name} needs a list of types", hint=f"write {form}")
    if node.name == "optional":
        raise failure(node.span, "optional(…) stands for an attribute of an object only")
    raise _unknown(node, node.name)


def _object(node: ast.Object, scope: Scope, evaluate: Evaluate) -> ObjectType:
    attributes: dict[str, Type] = {}
    optional: set[str] = set()
    defaults: dict[str, Value] = {}
    for key, kind in node.items:
        if not isinstance(key, ast.Literal):
            raise failure(key.span, "the name of an attribute is a fixed word")
        name = str(key.value)
        if isinstance(kind, ast.Call) and kind.name == "optional":
            if not 1 <= len(kind.arguments) <= 2:
                raise failure(kind.span, "optional(…) takes a type and perhaps a default value")
            attributes[name] = read_type(kind.arguments[0], scope, evaluate)
            optional.add(name)
            if len(kind.arguments) == 2:
                value = evaluate(kind.arguments[1], scope)
                try:
                    defaults[name] = convert(value, attributes[name])
                except ConversionError as error:
                    raise failure(kind.arguments[1].span, f"the default value of “{name}”: {error}") from None
        else:
            attributes[name] = read_type(kind, scope, evaluate)
    return ObjectType(attributes=attributes, optional=frozenset(optional), defaults=defaults)
