"""How functions are declared and called.

A declaration names the parameters with a letter for the type, ``"str:s separator:s *lists:l"``: ``s`` text, ``n``
number, ``b`` boolean, ``l`` list of texts, ``a`` list of any one type, ``q`` any sequence, ``m`` any mapping, ``c`` any
collection, ``d`` anything.
``*`` takes all that remain, ``?`` after the letter lets null through. Primitive arguments arrive as Python values
(``str``, ``Decimal``, ``bool``), others as ``Value``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from factory.errors import TemplateError
from factory.template.packer.hcl import syntax as ast
from factory.template.packer.hcl.source import Span
from factory.template.packer.language.bounds import ELEMENTS_A_STEP
from factory.template.packer.language.convert import ConversionError, convert
from factory.template.packer.language.scope import EvaluationError, Scope, World, did_you_mean, failure, without_quotes
from factory.template.packer.language.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    Type,
    is_mapping,
    is_sequence,
    list_of,
)
from factory.template.packer.language.values import (
    UNKNOWN_VALUE,
    Value,
    describe,
    from_python,
    holds_secret,
    wholly_known,
)

Evaluate = Callable[[ast.Expression, Scope], Value]
_LETTERS: dict[str, Type] = {"s": STRING, "n": NUMBER, "b": BOOL, "l": list_of(STRING), "a": list_of(ANY)}
_PLAIN = (STRING, NUMBER, BOOL)


class FunctionError(ValueError):
    """What a function says when it can't give a result. *parameter* counts from 0."""

    def __init__(self, message: str, parameter: int | None = None, *, hint: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter
        self.hint = hint


class UnfinishedError(FunctionError):
    """The function was ended before it had a result: nothing that ``can`` and ``try`` could judge."""


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    letter: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Function:
    """*unknown* says whether the body wants to see unknown arguments; *lazy* functions get expressions."""

    name: str
    parameters: tuple[Parameter, ...]
    rest: Parameter | None
    body: Callable[..., Any]
    needs_world: bool = False
    unknown: bool = False
    lazy: bool = False

    def signature(self) -> str:
        names = [p.name for p in self.parameters] + ([f"{self.rest.name}..."] if self.rest else [])
        return f"{self.name}({', '.join(names)})"


REGISTRY: dict[str, Function] = {}


def define(
    name: str, parameters: str = "", *, world: bool = False, unknown: bool = False, lazy: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declares a function of the language under *name*."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        fixed: list[Parameter] = []
        rest = None
        for item in parameters.split():
            label, letter = item.split(":")
            parameter = Parameter(label.lstrip("*"), letter[0], letter.endswith("?"))
            if item.startswith("*"):
                rest = parameter
            else:
                fixed.append(parameter)
        REGISTRY[name] = Function(name, tuple(fixed), rest, body, world, unknown, lazy)
        return body

    return register


def call_function(node: ast.Call, scope: Scope, evaluate: Evaluate) -> Value:
    """Raises: EvaluationError when there is no such function, the arguments don't fit, or it has no result."""
    function = scope.functions.get(node.name)
    if function is None:
        hint = did_you_mean(node.name, scope.functions)
        raise failure(node.name_span, f"there is no function named “{node.name}”", hint=hint)
    if node.name in scope.forbidden:
        raise failure(node.name_span, f"{node.name}() can't be called here", hint=scope.forbidden[node.name])
    if function.lazy:
        result: Value = function.body(node, scope, evaluate)
        return result
    arguments: list[Value] = []
    spans: list[Span] = []
    for position, item in enumerate(node.arguments):
        value = evaluate(item, scope)
        if node.expand_last and position == len(node.arguments) - 1:
            if value.is_unknown:
                return UNKNOWN_VALUE.with_sensitivity(value.sensitive)
            if value.is_null or not is_sequence(value.type):
                raise failure(item.span, f"“...” needs a list to expand, not {describe(value)}")
            arguments.extend(one.with_sensitivity(value.sensitive) for one in value.items())
            spans.extend([item.span] * len(value.items()))
        else:
            arguments.append(value)
            spans.append(item.span)
    return call_with_values(function, arguments, scope.world, node.span, spans)


_KEEPING = frozenset({"concat", "flatten", "merge"})
"""Functions that put elements together as they are: each stays sensitive, or is not.

Each of them has to see to a mark that stands on something that it takes apart.
"""


def call_with_values(
    function: Function, arguments: list[Value], world: World, span: Span, spans: list[Span] | None = None
) -> Value:
    """Calls *function* on values; *spans* are where the arguments stand."""
    _check_count(function, len(arguments), span)
    places = spans or [span] * len(arguments)
    converted: list[Any] = []
    sensitive = hidden = False
    world.work.spend(sum(v.extent for v in arguments) // ELEMENTS_A_STEP)
    for position, value in enumerate(arguments):
        parameter = function.parameters[position] if position < len(function.parameters) else function.rest
        assert parameter is not None  # the count was checked
        holds = holds_secret(value)
        hidden = hidden or holds
        sensitive = sensitive or (value.sensitive if function.name in _KEEPING else holds)
        if not wholly_known(value) and not function.unknown:
            return UNKNOWN_VALUE.with_sensitivity(sensitive)
        converted.append(_argument(function, parameter, value, places[position]))
    if function.needs_world:
        converted.insert(0, world)
    try:
        result = function.body(*converted)
    except FunctionError as error:
        place = places[error.parameter] if error.parameter is not None and error.parameter < len(places) else span
        if isinstance(error, UnfinishedError):
            told = without_quotes(str(error)) if hidden else str(error)
            raise TemplateError([place.problem(f"{function.name}(): {told}", hint=error.hint)]) from None
        raise failure(place, f"{function.name}(): {error}", hint=error.hint, sensitive=hidden) from None
    except EvaluationError:
        raise
    except (ConversionError, OverflowError, MemoryError) as error:
        raise failure(span, f"{function.name}(): {error}", sensitive=hidden) from None
    value = result if isinstance(result, Value) else from_python(result)
    world.work.spend(value.extent // ELEMENTS_A_STEP)
    return value.with_sensitivity(sensitive)


def _check_count(function: Function, given: int, span: Span) -> None:
    wanted = len(function.parameters)
    if given < wanted:
        missing = function.parameters[given].name
        raise failure(span, f"{function.name}() needs an argument for “{missing}”", hint=function.signature())
    if given > wanted and function.rest is None:
        count = f"{wanted} argument{'' if wanted == 1 else 's'}"
        raise failure(span, f"{function.name}() takes {count}, not {given}", hint=function.signature())


def _argument(
    function: Function, parameter: Parameter, value: Value, span: Span
) -> str | Decimal | bool | Value | None:
    if value.is_null and parameter.letter != "d":
        if parameter.nullable:
            return None
        raise failure(span, f"{function.name}(): “{parameter.name}” must not be null")
    if value.is_unknown:
        return value
    fits = {"q": is_sequence(value.type), "m": is_mapping(value.type)}
    fits["c"] = fits["q"] or fits["m"]
    if not fits.get(parameter.letter, True):
        wanted = {"q": "a list or set", "m": "a map or object", "c": "a list, set, map or object"}[parameter.letter]
        raise failure(span, f"{function.name}(): “{parameter.name}” must be {wanted}, not {describe(value)}")
    target = _LETTERS.get(parameter.letter, ANY)
    try:
        converted = convert(value, target)
    except ConversionError as error:
        raise failure(span, f"{function.name}(): “{parameter.name}”: {error}") from None
    if target in _PLAIN and isinstance(converted.data, (str, Decimal, bool)):
        return converted.data
    return converted
