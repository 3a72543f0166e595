"""``format`` and ``formatlist``: the verbs of Go's fmt package as HCL's standard library defines them."""

from __future__ import annotations

import decimal
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from factory.template.packer.language.bounds import check_length
from factory.template.packer.language.convert import ConversionError, convert
from factory.template.packer.language.functions.characters import clusters
from factory.template.packer.language.functions.json_text import json_text
from factory.template.packer.language.functions.registry import FunctionError
from factory.template.packer.language.types import BOOL, NUMBER, STRING, Type
from factory.template.packer.language.values import Value, number_text

_VERB = re.compile(
    r"%(?P<flags>[ +\-#0]*)(?P<width>\d+)?(?:\.(?P<precision>\d*))?(?:\[(?P<index>\d+)\])?(?P<verb>.|\Z)",
    re.DOTALL,
)
WIDEST = 10000
_MANTISSA = 512
_WIDE = decimal.Context(prec=_MANTISSA * 10)


def format_text(pattern: str, arguments: Sequence[Value]) -> str:
    """Raises: FunctionError when a verb is unknown, an argument is missing, left over or of a wrong type."""
    formatter = _Formatter(arguments)
    result = _VERB.sub(formatter.verb, pattern)
    if formatter.used < len(arguments) and not formatter.indexed:
        raise FunctionError(f"there are {len(arguments)} arguments but only {formatter.used} verbs", formatter.used + 1)
    return result


class _Formatter:
    def __init__(self, arguments: Sequence[Value]) -> None:
        self.arguments = arguments
        self.next = 0
        self.used = 0
        self.indexed = False
        self.length = 0

    def _argument(self, index: str | None, verb: str) -> Value:
        if index is not None:
            self.indexed = True
            self.next = int(index) - 1
        if not 0 <= self.next < len(self.arguments):
            raise FunctionError(f"there is no argument for “{verb}”", 0)
        self.next += 1
        self.used = max(self.used, self.next)
        return self.arguments[self.next - 1]

    def _measure(self, text: str | None, verb: str) -> int | None:
        if text is not None and int(text or "0") > WIDEST:
            raise FunctionError(f"“{verb}” asks for more than {WIDEST} characters", 0)
        return None if text is None else int(text or "0")

    def verb(self, match: re.Match[str]) -> str:
        letter, whole = match["verb"], match[0]
        if letter == "%":
            return "%"
        width = self._measure(match["width"], whole)
        precision = self._measure(match["precision"], whole)
        if letter not in "vtbdoxXeEfgGsq" or not letter:
            raise FunctionError(f"“{whole}” is not a verb that format knows", 0)
        value = self._argument(match["index"], whole)
        flags = match["flags"]
        text = _pad(_render(value, letter, flags, precision, whole), flags, width or 0, letter)
        self.length += len(text)
        check_length(self.length)
        return text


def _as(value: Value, target: Type, verb: str) -> Value:
    try:
        if not value.is_null:
            return convert(value, target)
    except ConversionError as error:
        raise FunctionError(f"“{verb}”: {error}") from None
    raise FunctionError(f"“{verb}” can't show null", hint="use %v")


def _render(value: Value, letter: str, flags: str, precision: int | None, verb: str) -> str:
    if letter == "v":
        letter, flags = _natural_verb(value, flags), ""
        if letter == "json":
            return json_text(value)
    if letter == "t":
        return "true" if _as(value, BOOL, verb).data else "false"
    if letter in "bdoxXeEfgG":
        number = _as(value, NUMBER, verb).number()
        if letter in "bdoxX" and number != number.to_integral_value():
            raise FunctionError(f"“{verb}” shows whole numbers only, and this is {number_text(number)}", hint="use %g")
        if letter not in "gG" or precision is not None:  # else it is shown whole, and nothing is rounded
            number = _as_binary(number)
        return sign(number_verb(number, letter, flags, precision), flags)
    text = _as(value, STRING, verb).text()
    if precision:  # of nothing at all cty takes no notice
        text = "".join(clusters(text)[:precision])
    return json.dumps(text, ensure_ascii=False) if letter == "q" else text


def _natural_verb(value: Value, flags: str) -> str:
    if "#" in flags or value.is_null:
        return "json"
    if isinstance(value.data, bool):
        return "t"
    if isinstance(value.data, Decimal):
        return "g"
    return "s" if isinstance(value.data, str) else "json"


def _as_binary(value: Decimal) -> Decimal:
    """*value*, moved a hair to the side on which the binary number of 512 bits lies that Go rounds in its place.

    It matters where the decimal number lies exactly between two roundings: Go shows 2.675 with two places as 2.67.
    """
    if value == value.to_integral_value():
        return value
    exact = Fraction(abs(value))
    shift = _MANTISSA - exact.numerator.bit_length() + exact.denominator.bit_length()
    scaled = exact * Fraction(2) ** shift
    difference = round(scaled) - scaled
    if not difference:
        return value
    hair = Decimal((0, (1,), value.adjusted() - _MANTISSA)).copy_sign(value)
    return _WIDE.add(value, hair if difference > 0 else -hair)


def number_verb(value: Decimal, letter: str, flags: str, precision: int | None) -> str:
    """One number without padding."""
    if letter in "bdoxX":
        base = {"b": "b", "d": "d", "o": "o", "x": "x", "X": "X"}[letter]
        text = format(int(value), base)
        if precision:
            shown = text.lstrip("-")
            text = text[: len(text) - len(shown)] + shown.rjust(precision, "0")
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(letter, "") if "#" in flags else ""
        return "-" + prefix + text[1:] if text.startswith("-") else prefix + text
    if letter == "f":
        return format(value, f".{6 if precision is None else precision}f")
    if letter in "eE":
        return exponent_form(value, letter, 6 if precision is None else precision)
    if precision is None:
        exponent = value.adjusted() if value else 0
        if -4 <= exponent < 6:  # Go's threshold for the shortest form
            return number_text(value)
        digits = len(value.normalize().as_tuple().digits)
        return exponent_form(value, "e" if letter == "g" else "E", digits - 1)
    precision = precision or 1
    exponent = value.adjusted() if value else 0
    if -4 <= exponent < precision:
        text = format(value, f".{max(precision - 1 - exponent, 0)}f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, power = exponent_form(value, "e" if letter == "g" else "E", precision - 1).lower().partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}{'e' if letter == 'g' else 'E'}{power}"


def exponent_form(value: Decimal, letter: str, precision: int) -> str:
    """Go writes an exponent with at least two digits."""
    # Python's Decimal gives a zero the exponent of its digits.
    mantissa, _, power = format(value or 0.0, f".{precision}e").partition("e")
    return f"{mantissa}{letter}{power[0]}{power[1:].rjust(2, '0')}"


def go_float(value: float) -> str:
    """A float as Go's ``%g`` and ``%v`` show it: with an exponent from a million on."""
    shortest = Decimal(repr(value)).normalize()
    if not value or -4 <= shortest.adjusted() < 6:
        return number_text(shortest)
    return exponent_form(shortest, "e", len(shortest.as_tuple().digits) - 1)


def sign(text: str, flags: str) -> str:
    if text.startswith("-"):
        return text
    return "+" + text if "+" in flags else " " + text if " " in flags else text


def _pad(text: str, flags: str, width: int, letter: str) -> str:
    if letter == "t":  # as cty has it
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and letter not in "sqvt":
        lead = text[0] if text[:1] in ("-", "+", " ") else ""
        return lead + text[len(lead) :].rjust(width - len(lead), "0")
    if "0" in flags and letter == "v":
        return text.rjust(width, "0")
    return text.rjust(width)
