"""Values of HCL: a type, the data, and whether it is sensitive.

Numbers are decimals of 154 digits, which is what the 512 bits that Packer computes with amount to. ``null`` and *not
known yet* (what only a running build can tell) are values of their own and have any type.
"""

from __future__ import annotations

import decimal
import enum
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeAlias

from factory.template.packer.language.bounds import CHARACTERS, check_elements, check_length
from factory.template.packer.language.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    SetType,
    Type,
    is_mapping,
    is_sequence,
    list_of,
    map_of,
    object_of,
    set_of,
    tuple_of,
    unify,
)

ARITHMETIC = decimal.Context(prec=154, rounding=decimal.ROUND_HALF_EVEN, Emax=999999, Emin=-999999)
LONGEST_NUMBER = 4000
"""Decimal places that a number may have on either side; beyond it is a mistake, or an attack on memory."""


class _Unknown(enum.Enum):
    UNKNOWN = "unknown"


UNKNOWN = _Unknown.UNKNOWN
Data: TypeAlias = "str | Decimal | bool | tuple[Value, ...] | Mapping[str, Value] | _Unknown | None"


@dataclass(frozen=True, slots=True)
class Value:
    type: Type
    data: Data
    sensitive: bool = False
    extent: int = field(default=1, init=False, compare=False, repr=False)
    """How many elements it has with those of its elements, shared ones each time, and its texts by their length."""

    def __post_init__(self) -> None:
        """Raises: TooMuch."""
        data = self.data
        if isinstance(data, str):
            if len(data) < CHARACTERS:
                return
            check_length(len(data))
            extent = 1 + len(data) // CHARACTERS
        elif isinstance(data, tuple):
            extent = 1 + sum([v.extent for v in data])
        elif isinstance(data, Mapping):
            extent = 1 + sum([v.extent for v in data.values()])
        else:
            return
        check_elements(extent)
        object.__setattr__(self, "extent", extent)

    @property
    def is_null(self) -> bool:
        return self.data is None

    @property
    def is_unknown(self) -> bool:
        return self.data is UNKNOWN

    @property
    def is_known(self) -> bool:
        return self.data is not UNKNOWN

    def items(self) -> tuple[Value, ...]:
        """The elements of a sequence, or of a mapping in the order of its keys."""
        if isinstance(self.data, tuple):
            return self.data
        if isinstance(self.data, Mapping):
            return tuple(self.data[key] for key in sorted(self.data))
        raise TypeError(f"{self.type} has no elements")

    def fields(self) -> Mapping[str, Value]:
        if isinstance(self.data, Mapping):
            return self.data
        raise TypeError(f"{self.type} has no attributes")

    def text(self) -> str:
        if isinstance(self.data, str):
            return self.data
        raise TypeError(f"{self.type} is no text")

    def number(self) -> Decimal:
        if isinstance(self.data, Decimal):
            return self.data
        raise TypeError(f"{self.type} is no number")

    def with_sensitivity(self, sensitive: bool) -> Value:
        return replace(self, sensitive=True) if sensitive and not self.sensitive else self


NULL = Value(ANY, None)
UNKNOWN_VALUE = Value(ANY, UNKNOWN)
TRUE, FALSE = Value(BOOL, True), Value(BOOL, False)
EMPTY_TUPLE = Value(tuple_of(), ())


_SURROGATE = re.compile("[\ud800-\udfff]")


def string(text: str) -> Value:
    """A text, in Unicode's composed form (NFC), as all texts of HCL are: two spellings of “é” are one text."""
    return Value(STRING, composed(text))


def composed(text: str) -> str:
    """A half of a surrogate pair is no character, and becomes U+FFFD as in Go."""
    if text.isascii():
        return text
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return unicodedata.normalize("NFC", text)


def number(value: Decimal | int) -> Value:
    return Value(NUMBER, Decimal(value))


def boolean(value: bool) -> Value:
    return TRUE if value else FALSE


def tuple_value(items: Iterable[Value]) -> Value:
    elements = tuple(items)
    return Value(tuple_of(*(e.type for e in elements)), elements)


def object_value(fields: Mapping[str, Value]) -> Value:
    return Value(
        object_of({composed(k): v.type for k, v in fields.items()}), {composed(k): v for k, v in fields.items()}
    )


def list_value(items: Iterable[Value], element: Type = ANY) -> Value:
    """A list of *items*; without an element type, the one that they share."""
    elements = tuple(items)
    if element == ANY and elements:
        element = unify([e.type for e in elements]) or ANY
    return Value(list_of(element), elements)


def map_value(fields: Mapping[str, Value], element: Type = ANY) -> Value:
    if element == ANY and fields:
        element = unify([v.type for v in fields.values()]) or ANY
    return Value(map_of(element), {composed(k): v for k, v in fields.items()})


def set_value(items: Iterable[Value], element: Type = ANY) -> Value:
    given = tuple(items)
    distinct: list[Value] = []
    seen: set[object] = set()
    for item in given:
        key = identity(item)
        if key not in seen:
            seen.add(key)
            distinct.append(item)
    distinct.sort(key=_order)
    if element == ANY and distinct:
        element = unify([e.type for e in distinct]) or ANY
    # The order of a set, and what is twice in it, tell of every element.
    return Value(set_of(element), tuple(distinct)).with_sensitivity(any(map(holds_secret, given)))


def _order(value: Value) -> tuple[int, object]:
    if isinstance(value.data, bool):
        return (0, value.data)
    if isinstance(value.data, Decimal):
        return (1, value.data)
    if isinstance(value.data, str):
        return (2, value.data)
    return (3, repr(identity(value)))


def identity(value: Value) -> object:
    """Something hashable that two values share exactly when they are equal."""
    if isinstance(value.data, tuple):
        return (_shape(value.type), tuple(identity(v) for v in value.data))
    if isinstance(value.data, Mapping):
        return (_shape(value.type), tuple((k, identity(value.data[k])) for k in sorted(value.data)))
    if value.data is None:
        return None
    return (value.type.name, value.data)


def _shape(kind: Type) -> str:
    return "mapping" if is_mapping(kind) else kind.name


def equal(left: Value, right: Value) -> Value:
    """Equality without conversion: values of different types are not equal."""
    if left.is_null or right.is_null:
        if left.is_unknown or right.is_unknown:
            return UNKNOWN_VALUE
        return boolean(left.is_null and right.is_null)
    if not (wholly_known(left) and wholly_known(right)):
        return UNKNOWN_VALUE
    if left.type.name != right.type.name and not (is_mapping(left.type) and is_mapping(right.type)):
        return FALSE
    return boolean(identity(left) == identity(right))


def wholly_known(value: Value) -> bool:
    if isinstance(value.data, tuple):
        return all(wholly_known(v) for v in value.data)
    if isinstance(value.data, Mapping):
        return all(wholly_known(v) for v in value.data.values())
    return value.is_known


def holds_secret(value: Value) -> bool:
    """Whether *value* or anything inside it is sensitive."""
    if value.sensitive:
        return True
    if isinstance(value.data, tuple):
        return any(holds_secret(v) for v in value.data)
    if isinstance(value.data, Mapping):
        return any(holds_secret(v) for v in value.data.values())
    return False


def secrets_within(value: Value) -> Iterable[str]:
    """Every text and number inside *value* that is sensitive, or inside of something that is, as text."""
    if value.sensitive:
        yield from texts_within(value)
    elif isinstance(value.data, tuple):
        for item in value.data:
            yield from secrets_within(item)
    elif isinstance(value.data, Mapping):
        for item in value.data.values():
            yield from secrets_within(item)


def texts_within(value: Value) -> Iterable[str]:
    """Every text and number inside *value*, as text: what a log has to mask when the value is sensitive."""
    if isinstance(value.data, tuple):
        for item in value.data:
            yield from texts_within(item)
    elif isinstance(value.data, Mapping):
        for item in value.data.values():
            yield from texts_within(item)
    elif isinstance(value.data, str):
        yield value.data
    elif isinstance(value.data, Decimal):
        yield number_text(value.data)


def number_text(value: Decimal) -> str:
    """The shortest decimal notation without an exponent: ``2.50`` is ``2.5``, ``1e3`` is ``1000``."""
    if value == value.to_integral_value():
        return str(int(value))
    return format(value, "f").rstrip("0")


def from_python(data: Any) -> Value:
    """A value from plain data (JSON, YAML): lists become tuples, mappings objects.

    Raises: TypeError for anything else.
    """
    if data is None:
        return NULL
    if isinstance(data, bool):
        return boolean(data)
    if isinstance(data, str):
        return string(data)
    if isinstance(data, (int, Decimal)):
        return number(data)
    if isinstance(data, float):
        return number(Decimal(repr(data)))
    if isinstance(data, (list, tuple)):
        return tuple_value(from_python(item) for item in data)
    if isinstance(data, Mapping):
        return object_value({str(key): from_python(item) for key, item in data.items()})
    raise TypeError(f"{type(data).__name__} can't be a value")


def to_python(value: Value) -> Any:
    """Plain data: numbers are int or Decimal. An unknown value stays the marker ``UNKNOWN``."""
    if isinstance(value.data, tuple):
        return [to_python(v) for v in value.data]
    if isinstance(value.data, Mapping):
        return {k: to_python(value.data[k]) for k in sorted(value.data)}
    if isinstance(value.data, Decimal):
        return int(value.data) if value.data == value.data.to_integral_value() else value.data
    return value.data


def describe(value: Value) -> str:
    """Names the kind of a value for a message."""
    if value.is_null:
        return "null"
    if value.is_unknown:
        return "a value that is not known yet"
    if isinstance(value.type, (ListType, SetType, MapType)) or is_sequence(value.type) or is_mapping(value.type):
        return {"tuple": "a list", "list": "a list", "set": "a set", "map": "a map", "object": "an object"}[
            value.type.name
        ]
    return f"a {value.type.name}"
