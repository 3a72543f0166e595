"""The functions that every Go template has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from factory.template.packer.language.functions.formatting import WIDEST, go_float, number_verb, sign
from factory.template.packer.language.go_quoting import go_quoted


class GoTemplateError(ValueError):
    """A template has no result. The renderer adds the place."""


def truth(value: Any) -> bool:
    """A value is false when it is the zero value of its kind."""
    return bool(value)


def show(value: Any) -> str:
    """How Go prints *value*."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{show(k)}:{show(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(show(v) for v in value) + "]"
    return str(value)


def print_values(*values: Any) -> str:
    """Go puts a blank between two values when neither is a text."""
    pieces: list[str] = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            pieces.append(" ")
        pieces.append(show(value))
    return "".join(pieces)


_INDEX = r"(?:\[(\d{1,5})\])?"
_VERB = re.compile(
    rf"%([ +\-#0]*){_INDEX}(?:(\*)|(\d{{1,5}}))?(?:\.{_INDEX}(?:(\*)|(\d{{0,5}})))?{_INDEX}(.|\Z)", re.DOTALL
)


class _Arguments:
    """In the order given, or as ``%[2]s`` names them, counted from 1."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values, self.next, self.reordered, self.bad = values, 0, False, False

    def go_to(self, index: str | None) -> None:
        if index is not None:
            self.reordered, self.next = True, int(index) - 1
            self.bad = not 0 <= self.next < len(self.values)

    @property
    def left(self) -> tuple[Any, ...]:
        return self.values[self.next :]

    def take(self) -> Any:
        self.next += 1
        return self.values[self.next - 1]


def printf(pattern: str, *values: Any) -> str:
    """As Go's fmt.Sprintf, with its words for what does not fit."""
    arguments = _Arguments(values)

    def measure(star: str | None, text: str | None) -> int | None:
        if not star:
            return None if text is None else int(text or 0)
        return int(arguments.take()) if arguments.left and not arguments.bad else None

    def verb(match: re.Match[str]) -> str:
        flags, first, star, width_text, second, precision_star, precision_text, third, letter = match.groups()
        if letter == "%":
            return "%"
        arguments.bad = False
        arguments.go_to(first)
        width = measure(star, width_text) or 0
        arguments.go_to(second)
        precision = measure(precision_star, precision_text)
        arguments.go_to(third)
        if abs(width) > WIDEST or abs(precision or 0) > WIDEST:
            raise GoTemplateError(f"printf: more than {WIDEST} characters are asked for")
        if not letter:
            return "%!(NOVERB)"
        if arguments.bad or not arguments.left:
            return f"%!{letter}({'BADINDEX' if arguments.bad else 'MISSING'})"
        text = _verb(arguments.take(), letter, flags, precision)
        if "-" in flags or width < 0:
            return text.ljust(abs(width))
        if "0" in flags and letter not in "sqvt":
            lead = text[0] if text[:1] in ("-", "+", " ") else ""
            return lead + text[len(lead) :].rjust(width - len(lead), "0")
        return text.rjust(width)

    result = _VERB.sub(verb, str(pattern))
    if arguments.left and not arguments.reordered:
        extra = ", ".join(f"{_go_type(v)}={show(v)}" for v in arguments.left)
        result += f"%!(EXTRA {extra})"
    return result


def _character(value: int) -> str:
    return chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\N{REPLACEMENT CHARACTER}"


def _go_type(value: Any) -> str:
    return {str: "string", bool: "bool", int: "int", float: "float64"}.get(type(value), "<nil>")


def _verb(value: Any, letter: str, flags: str, precision: int | None) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None and letter == "v":
        return "<nil>"
    if letter in "vs" and (letter == "v" or not is_number):
        text = json.dumps(value, ensure_ascii=False) if "#" in flags and isinstance(value, str) else show(value)
        return text[:precision] if precision is not None and letter == "s" else text
    if letter == "q" and isinstance(value, str):
        return go_quoted(value)
    if letter == "t" and isinstance(value, bool):
        return show(value)
    if letter in "cqU" and isinstance(value, int) and is_number:
        if letter == "U":
            return f"U+{value:04X}" + (f" '{_character(value)}'" if "#" in flags else "")
        shown = _character(value)
        return shown if letter == "c" else "'" + ("\\" if shown in "'\\" else "") + shown + "'"
    if letter in "xX" and isinstance(value, str):
        digits = value.encode().hex()
        return digits if letter == "x" else digits.upper()
    if isinstance(value, float) and letter in "gG" and precision is None:
        return sign(go_float(value) if letter == "g" else go_float(value).upper(), flags)
    if is_number and letter in ("bdoxX" if isinstance(value, int) else "eEfgGF"):
        return sign(number_verb(Decimal(value), letter.replace("F", "f"), flags, precision), flags)
    if letter == "T":
        return _go_type(value)
    return f"%!{letter}({_go_type(value)}={show(value)})"


def _numeric(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(left: Any, *others: Any) -> bool:
    if not others:
        raise GoTemplateError("eq: a second argument is missing")
    for other in others:
        if left is not None and other is not None and _numeric(left) != _numeric(other):
            raise GoTemplateError("eq: the types of the arguments can't be compared")
        if left == other:
            return True
    return False


def _ordered(name: str, test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if (_numeric(left) and _numeric(right)) or (isinstance(left, str) and isinstance(right, str)):
            return test(left, right)
        raise GoTemplateError(f"{name}: the types of the arguments can't be compared")

    return compare


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, (list, tuple, str)):
            if not isinstance(key, int) or isinstance(key, bool):
                raise GoTemplateError(f"index: a whole number is needed, not {show(key)}")
            if not 0 <= key < len(value):
                raise GoTemplateError(f"index: {key} is out of range")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise GoTemplateError(f"index: {show(value)} has no elements")
    return value


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, (str, list, tuple)) or not all(isinstance(b, int) for b in bounds) or len(bounds) > 2:
        raise GoTemplateError("slice: a text or list and up to two whole numbers are needed")
    start, end = [*bounds, *([0] if not bounds else []), len(value)][:2]
    if not 0 <= start <= end <= len(value):
        raise GoTemplateError("slice: out of range")
    return value[start:end]


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (Mapping, Sequence)):
        return len(value)
    raise GoTemplateError(f"len: {show(value)} has no length")


_HTML = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"})
_JS = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    | {c: f"\\u{ord(c):04X}" for c in map(chr, range(32))}
)

BUILTINS: Mapping[str, Callable[..., Any]] = {
    "print": print_values,
    "println": lambda *values: " ".join(show(v) for v in values) + "\n",
    "printf": printf,
    "html": lambda *values: print_values(*values).translate(_HTML),
    "js": lambda *values: print_values(*values).translate(_JS),
    "urlquery": lambda *values: quote_plus(print_values(*values), safe="~"),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "not": lambda value: not truth(value),
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "lt": _ordered("lt", lambda a, b: a < b),
    "le": _ordered("le", lambda a, b: a <= b),
    "gt": _ordered("gt", lambda a, b: a > b),
    "ge": _ordered("ge", lambda a, b: a >= b),
}
"""``and`` and ``or`` are missing: they stop at the first argument that decides, so the renderer does them."""
