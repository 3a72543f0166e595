"""Evaluates expressions of HCL."""

from __future__ import annotations

import contextlib
import decimal
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TypeVar

from factory.template.packer.hcl import syntax as ast
from factory.template.packer.hcl.source import Span
from factory.template.packer.language.bounds import ELEMENTS_A_STEP, TooMuch, check_length
from factory.template.packer.language.convert import ConversionError, as_text, convert
from factory.template.packer.language.functions.registry import call_function
from factory.template.packer.language.loops import condition_of, for_object, for_tuple, key_text, text_loop
from factory.template.packer.language.scope import EvaluationError, Scope, did_you_mean, failure
from factory.template.packer.language.types import (
    BOOL,
    NUMBER,
    STRING,
    SetType,
    is_mapping,
    is_sequence,
    unify,
)
from factory.template.packer.language.values import (
    ARITHMETIC,
    EMPTY_TUPLE,
    LONGEST_NUMBER,
    UNKNOWN_VALUE,
    Value,
    boolean,
    describe,
    equal,
    from_python,
    holds_secret,
    number,
    object_value,
    string,
    tuple_value,
)

N = TypeVar("N", bound=ast.Expression)
_SPLAT = "\0each"


def evaluate(expression: ast.Expression, scope: Scope) -> Value:
    """The value of *expression*.

    Raises: EvaluationError with the place when there is none.
    """
    try:
        return _evaluate(expression, scope)
    except RecursionError:
        raise failure(expression.span, "this expression is too deeply nested or calls itself without an end") from None


def _evaluate(expression: ast.Expression, scope: Scope) -> Value:
    try:
        scope.world.work.spend()
        return _RULES[type(expression)](expression, scope)
    except TooMuch as error:
        if any(p.place for p in error.problems):  # an expression inside this one has said where
            raise
        told = error.problems[0].message
        raise TooMuch([expression.span.problem(told, hint=error.hint)], hint=error.hint) from None


def _literal(node: ast.Literal, scope: Scope) -> Value:
    return from_python(node.value)


def _template(node: ast.Template, scope: Scope) -> Value:
    pieces: list[str] = []
    secret: set[str] = set()
    sensitive, known = False, True
    for part in node.parts:
        value = _evaluate(part, scope)
        sensitive = sensitive or value.sensitive
        if value.is_unknown:
            known = False
            continue
        text = as_text(value)
        if text is None:
            if value.is_null:
                raise failure(part.span, "this is null, and null can't be part of a text")
            raise failure(
                part.span,
                f"a text, number or bool can be part of a text, but not {describe(value)}",
                hint="use join(), jsonencode() or a for expression to make a text of it",
            )
        pieces.append(text)
        if value.sensitive:
            secret.add(text)
    check_length(sum(map(len, pieces)))
    if secret and known:
        scope.world.parts.setdefault("".join(pieces), set()).update(secret)
    result = string("".join(pieces)) if known else Value(STRING, UNKNOWN_VALUE.data)
    return result.with_sensitivity(sensitive)


def _wrapped(node: ast.Wrapped | ast.Parenthesised, scope: Scope) -> Value:
    return _evaluate(node.inner, scope)


def _directive(node: ast.Directive, scope: Scope) -> Value:
    condition = condition_of(node.condition, scope, _evaluate)
    if condition.is_unknown:
        return Value(STRING, condition.data, condition.sensitive)
    chosen = node.then if condition.data else node.otherwise
    return _evaluate(chosen, scope).with_sensitivity(condition.sensitive)


def _variable(node: ast.Variable, scope: Scope) -> Value:
    value = scope.find(node.name)
    if value is None:
        names = scope.all_names() - {_SPLAT}
        hint = f'a text stands in quotes: "{node.name}"; a variable is var.{node.name}'
        if node.name in ("source", "build"):
            hint = f"what “{node.name}” is only a build knows: it can be used inside of build {{ … }} alone"
        message = f"there is no variable named “{node.name}”"
        raise failure(node.span, message, hint=did_you_mean(node.name, names) or hint)
    return value


def _get_attribute(node: ast.GetAttribute, scope: Scope) -> Value:
    return attribute_of(_evaluate(node.target, scope), node.name, node.span, _root(node))


def _root(node: ast.Expression) -> str:
    return node.target.span.text if isinstance(node, (ast.GetAttribute, ast.Index)) else ""


def attribute_of(target: Value, name: str, span: Span, text: str = "") -> Value:
    """``target.name``."""
    if target.is_unknown:
        return UNKNOWN_VALUE.with_sensitivity(target.sensitive)
    if target.is_null:
        raise failure(span, f"“{text}” is null, so it has no attribute “{name}”")
    if not is_mapping(target.type):
        extra = "; to take an attribute of each element, write [*]" if is_sequence(target.type) else ""
        raise failure(span, f"“{text}” is {describe(target)}, which has no attribute “{name}”{extra}")
    fields = target.fields()
    if name not in fields:
        hint = "" if target.sensitive else did_you_mean(name, fields)
        if text == "var" and not hint:
            hint = f'declare it: variable "{name}" {{ type = string }}'
        what = {"var": "variable", "local": "local value", "data": "data source"}.get(text)
        message = f"there is no {what} “{name}”" if what else f"“{text}” has no attribute “{name}”"
        raise failure(span, message, hint=hint)
    return fields[name].with_sensitivity(target.sensitive)


def _index(node: ast.Index, scope: Scope) -> Value:
    target, key = _evaluate(node.target, scope), _evaluate(node.key, scope)
    return element_at(target, key, node.span).with_sensitivity(target.sensitive or key.sensitive)


def element_at(target: Value, key: Value, span: Span) -> Value:
    """``target[key]``."""
    if target.is_null:
        raise failure(span, "this value is null, so it has no elements")
    if target.is_unknown or key.is_unknown:
        return UNKNOWN_VALUE
    if is_mapping(target.type):
        fields = target.fields()
        text = as_text(key)
        if text is None:
            raise failure(span, f"a text is needed as the key, not {describe(key)}", sensitive=key.sensitive)
        if text not in fields:
            hint = "" if target.sensitive else did_you_mean(text, fields)
            raise failure(span, f"there is no element with the key “{text}”", hint=hint, sensitive=key.sensitive)
        return fields[text]
    if isinstance(target.type, SetType) or not is_sequence(target.type):
        raise failure(span, f"{describe(target)} has no elements that a key can find")
    try:
        place = convert(key, NUMBER)
    except ConversionError as error:
        raise failure(span, f"the index is not usable: {error}", sensitive=key.sensitive) from None
    items = target.items()
    if place.is_null or place.number() != place.number().to_integral_value():
        raise failure(span, "a whole number is needed as the index")
    position = int(place.number())
    if not 0 <= position < len(items):
        told = f"there is no element {position}: the list has {len(items)}, counted from 0"
        raise failure(span, told, sensitive=target.sensitive or key.sensitive)
    return items[position]


def _splat_item(node: ast.SplatItem, scope: Scope) -> Value:
    value = scope.find(_SPLAT)
    if value is None:
        raise failure(node.span, "a splat has no element here")
    return value


def _splat(node: ast.Splat, scope: Scope) -> Value:
    target = _evaluate(node.target, scope)
    if target.is_unknown:
        return UNKNOWN_VALUE.with_sensitivity(target.sensitive)
    if target.is_null:
        return EMPTY_TUPLE.with_sensitivity(target.sensitive)
    items = target.items() if is_sequence(target.type) else (target,)
    results = [_evaluate(node.each, scope.child({_SPLAT: item})) for item in items]
    return tuple_value(results).with_sensitivity(target.sensitive)


def _operand(node: ast.Expression, scope: Scope, kind: type | object, operator: str) -> Value:
    value = _evaluate(node, scope)
    wanted = BOOL if kind is bool else NUMBER
    if value.is_null:
        raise failure(node.span, f"null can't be used with “{operator}”")
    try:
        return convert(value, wanted)
    except ConversionError:
        hint = 'texts are put together in quotes: "${a}${b}"' if operator == "+" else ""
        raise failure(node.span, f"“{operator}” needs a {wanted}, not {describe(value)}", hint=hint) from None


def _unary(node: ast.Unary, scope: Scope) -> Value:
    value = _operand(node.operand, scope, bool if node.operator == "!" else Decimal, node.operator)
    if value.is_unknown:
        return value
    result = boolean(not value.data) if node.operator == "!" else number(-value.number())
    return result.with_sensitivity(value.sensitive)


_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_COMPUTE: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": ARITHMETIC.add,
    "-": ARITHMETIC.subtract,
    "*": ARITHMETIC.multiply,
    "/": ARITHMETIC.divide,
    "%": ARITHMETIC.remainder,
}


def _binary(node: ast.Binary, scope: Scope) -> Value:
    operator = node.operator
    if operator in ("==", "!="):
        left, right = _evaluate(node.left, scope), _evaluate(node.right, scope)
        scope.world.work.spend((left.extent + right.extent) // ELEMENTS_A_STEP)
        same = equal(left, right)
        if same.is_known and operator == "!=":
            same = boolean(not same.data)
        return same.with_sensitivity(holds_secret(left) or holds_secret(right))
    kind = bool if operator in ("&&", "||") else Decimal
    left = _operand(node.left, scope, kind, operator)
    right = _operand(node.right, scope, kind, operator)
    sensitive = left.sensitive or right.sensitive
    if operator in ("&&", "||"):
        return _logic(left, right, operator).with_sensitivity(sensitive)
    if left.is_unknown or right.is_unknown:
        return Value(BOOL if operator in _COMPARE else NUMBER, UNKNOWN_VALUE.data, sensitive)
    a, b = left.number(), right.number()
    if operator in _COMPARE:
        return boolean(_COMPARE[operator](a, b)).with_sensitivity(sensitive)
    return number(compute(operator, a, b, node.span)).with_sensitivity(sensitive)


def _logic(left: Value, right: Value, operator: str) -> Value:
    decisive = operator == "||"
    if left.data is decisive or right.data is decisive:
        return boolean(decisive)
    if left.is_unknown or right.is_unknown:
        return Value(BOOL, UNKNOWN_VALUE.data)
    return boolean(not decisive)


def compute(operator: str, left: Decimal, right: Decimal, span: Span) -> Decimal:
    if operator in ("/", "%") and not right:
        raise failure(span, "a division by zero has no result")
    try:
        result = _COMPUTE[operator](left, right)
    except decimal.DecimalException:
        raise failure(span, "the result is too large or has no meaning") from None
    if result and abs(result.adjusted()) > LONGEST_NUMBER:
        raise failure(span, "the result is too large or too small")
    return result


def _conditional(node: ast.Conditional, scope: Scope) -> Value:
    condition = condition_of(node.condition, scope, _evaluate)
    if condition.is_unknown:
        return UNKNOWN_VALUE.with_sensitivity(condition.sensitive)
    chosen = _evaluate(node.then if condition.data else node.otherwise, scope)
    try:  # the other branch only has a say in the type, so its own errors don't count unless it is chosen
        other = _evaluate(node.otherwise if condition.data else node.then, scope)
    except EvaluationError:
        return chosen.with_sensitivity(condition.sensitive)
    scope.world.work.spend((chosen.extent + other.extent) // ELEMENTS_A_STEP)
    if not other.is_null and not chosen.is_null and other.type != chosen.type:
        one = unify([chosen.type, other.type])
        with contextlib.suppress(ConversionError):
            chosen = convert(chosen, one) if one is not None else chosen
    return chosen.with_sensitivity(condition.sensitive)


def _tuple(node: ast.Tuple, scope: Scope) -> Value:
    return tuple_value(_evaluate(item, scope) for item in node.items)


def _object(node: ast.Object, scope: Scope) -> Value:
    fields: dict[str, Value] = {}
    sensitive = False
    for key_node, value_node in node.items:
        key = _evaluate(key_node, scope)
        sensitive = sensitive or key.sensitive
        text = key_text(key_node, key)
        value = _evaluate(value_node, scope)
        if text is None:
            return UNKNOWN_VALUE.with_sensitivity(sensitive)
        fields[text] = value
    return object_value(fields).with_sensitivity(sensitive)


def _call(node: ast.Call, scope: Scope) -> Value:
    return call_function(node, scope, _evaluate)


_RULES: dict[type[ast.Expression], Callable[..., Value]] = {
    ast.Literal: _literal,
    ast.Template: _template,
    ast.Wrapped: _wrapped,
    ast.Parenthesised: _wrapped,
    ast.Directive: _directive,
    ast.Loop: partial(text_loop, evaluate=_evaluate),
    ast.Variable: _variable,
    ast.GetAttribute: _get_attribute,
    ast.Index: _index,
    ast.SplatItem: _splat_item,
    ast.Splat: _splat,
    ast.Unary: _unary,
    ast.Binary: _binary,
    ast.Conditional: _conditional,
    ast.Tuple: _tuple,
    ast.Object: _object,
    ast.ForTuple: partial(for_tuple, evaluate=_evaluate),
    ast.ForObject: partial(for_object, evaluate=_evaluate),
    ast.Call: _call,
}
