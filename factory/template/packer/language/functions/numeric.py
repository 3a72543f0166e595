"""Functions about numbers."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, DecimalException

from factory.template.packer.language.convert import ConversionError, convert
from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.types import NUMBER
from factory.template.packer.language.values import ARITHMETIC, LONGEST_NUMBER, Value, describe

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@define("abs", "num:n")
def absolute(num: Decimal) -> Decimal:
    return abs(num)


@define("ceil", "num:n")
def ceil(num: Decimal) -> Decimal:
    return num.to_integral_value(ROUND_CEILING)


@define("floor", "num:n")
def floor(num: Decimal) -> Decimal:
    return num.to_integral_value(ROUND_FLOOR)


@define("log", "num:n base:n")
def log(num: Decimal, base: Decimal) -> Decimal:
    if num < 0 or base < 0:
        raise FunctionError("a negative number has no logarithm", 0 if num < 0 else 1)
    if num and not base:
        return Decimal(0)
    if not num or base == 1:
        raise FunctionError("the result is infinite, and no option can take that")
    return _from_float(math.log(float(num)) / math.log(float(base)))


@define("pow", "num:n power:n")
def power(num: Decimal, exponent: Decimal) -> Decimal:
    try:
        result = math.pow(float(num), float(exponent))
    except (OverflowError, ValueError):
        raise FunctionError("the result is too large or has no meaning") from None
    return _from_float(result)


def _from_float(value: float) -> Decimal:
    if not math.isfinite(value):
        raise FunctionError("the result is too large or has no meaning")
    return Decimal(repr(value))


@define("signum", "num:n")
def signum(num: Decimal) -> int:
    if num != num.to_integral_value():
        raise FunctionError("a whole number is needed", 0)
    return (num > 0) - (num < 0)


@define("parseint", "number:d base:n")
def parseint(given: Value, base: Decimal) -> int:
    if not isinstance(given.data, str):  # cty does not convert here
        raise FunctionError(f"the first argument must be a text, not {describe(given)}", 0, hint='parseint("10", 10)')
    text = given.data
    if base != base.to_integral_value() or not 2 <= base <= 62:
        raise FunctionError("the base must be a whole number between 2 and 62", 1)
    whole = int(base)
    digits = text[1:] if text[:1] in ("-", "+") else text
    if whole <= 36:
        digits = digits.lower()
    values = [_DIGITS.find(c) for c in digits]
    if not values or len(values) > LONGEST_NUMBER or any(not 0 <= v < whole for v in values):
        raise FunctionError(f"“{text}” is not a whole number in base {whole}", 0)
    total = 0
    for v in values:
        total = total * whole + v
    return -total if text.startswith("-") else total


@define("max", "*numbers:n")
def maximum(*numbers: Decimal) -> Decimal:
    if not numbers:
        raise FunctionError("at least one number is needed")
    return max(numbers)


@define("min", "*numbers:n")
def minimum(*numbers: Decimal) -> Decimal:
    if not numbers:
        raise FunctionError("at least one number is needed")
    return min(numbers)


@define("sum", "list:q")
def total(values: Value) -> Decimal:
    items = values.items()
    if not items:
        raise FunctionError("the list is empty", 0)
    result = Decimal(0)
    for item in items:
        if item.is_null:
            raise FunctionError("the list contains null", 0)
        try:
            result = ARITHMETIC.add(result, convert(item, NUMBER).number())
        except (ConversionError, DecimalException) as error:
            raise FunctionError(f"the elements must be numbers: {error}", 0) from None
    return result
