"""``can``, ``try`` and ``convert``: functions that look at an expression before it is evaluated."""

from __future__ import annotations

from factory.errors import Problem
from factory.template.packer.hcl import syntax as ast
from factory.template.packer.language.convert import ConversionError, convert
from factory.template.packer.language.functions.registry import Evaluate, define
from factory.template.packer.language.scope import EvaluationError, Scope, failure
from factory.template.packer.language.type_expressions import read_type
from factory.template.packer.language.values import Value, boolean, holds_secret


@define("can", "expression:d", lazy=True)
def can(node: ast.Call, scope: Scope, evaluate: Evaluate) -> Value:
    if len(node.arguments) != 1:
        raise failure(node.span, "can() takes one expression")
    try:
        value = evaluate(node.arguments[0], scope)
    except EvaluationError:
        return boolean(False)
    return boolean(True) if value.is_known else value


@define("try", "*expressions:d", lazy=True)
def try_(node: ast.Call, scope: Scope, evaluate: Evaluate) -> Value:
    problems: list[Problem] = []
    for item in node.arguments:
        try:
            return evaluate(item, scope)
        except EvaluationError as error:
            problems.extend(error.problems)
    if not node.arguments:
        raise failure(node.span, "try() takes at least one expression")
    raise EvaluationError([node.span.problem("try(): none of the expressions has a value"), *problems])


@define("convert", "value:d type:d", lazy=True)
def convert_(node: ast.Call, scope: Scope, evaluate: Evaluate) -> Value:
    if len(node.arguments) != 2:
        raise failure(node.span, "convert() takes a value and a type")
    value = evaluate(node.arguments[0], scope)
    kind = read_type(node.arguments[1], scope, evaluate)
    try:
        return convert(value, kind)
    except ConversionError as error:
        told = error.message if holds_secret(value) else error  # the path names keys
        raise failure(node.arguments[0].span, f"convert(): {told}") from None
