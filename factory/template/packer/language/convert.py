"""Conversion between types, by the rules of HCL's type system.

Texts, numbers and booleans convert into text; a text converts into a number or a boolean when it reads like one.
Tuples convert into lists and sets, objects into maps and narrower objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from factory.template.packer.language.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
    is_mapping,
    is_sequence,
    unify,
)
from factory.template.packer.language.values import (
    LONGEST_NUMBER,
    Value,
    boolean,
    describe,
    list_value,
    map_value,
    number,
    number_text,
    object_value,
    set_value,
    string,
    tuple_value,
)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?\Z")
_TRUE, _FALSE = ("true", "1"), ("false", "0")


class ConversionError(ValueError):
    """A value does not fit a type. *path* leads to the part that does not, such as ``.disks[0].size``."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path.removeprefix('.')}: {message}" if path else message)
        self.message = message
        self.path = path


def convert(value: Value, target: Type, path: str = "") -> Value:
    """Raises: ConversionError when *value* has no meaning as *target*."""
    if target == ANY or value.is_unknown:
        return value
    if value.is_null:
        return replace(value, type=target)
    result = _convert(value, target, path)
    return result.with_sensitivity(value.sensitive)


def _convert(value: Value, target: Type, path: str) -> Value:
    if target in (STRING, NUMBER, BOOL):
        if value.type == target:
            return value
        return _primitive(value, target, path)
    if isinstance(target, (ListType, SetType)):
        if not is_sequence(value.type):
            raise _required(value, f"{target.name} of {target.element}" if target.element != ANY else "list", path)
        items = [convert(v, target.element, f"{path}[{i}]") for i, v in enumerate(value.items())]
        items, element = _same_type(items, target.element, path)
        return list_value(items, element) if isinstance(target, ListType) else set_value(items, element)
    if isinstance(target, MapType):
        if not is_mapping(value.type):
            raise _required(value, f"map of {target.element}" if target.element != ANY else "map", path)
        fields = value.fields()
        items = [convert(v, target.element, f"{path}.{k}") for k, v in fields.items()]
        items, element = _same_type(items, target.element, path)
        return map_value(dict(zip(fields, items, strict=True)), element)
    if isinstance(target, TupleType):
        return _to_tuple(value, target, path)
    if isinstance(target, ObjectType):
        return _to_object(value, target, path)
    raise _required(value, str(target), path)


def _primitive(value: Value, target: Type, path: str) -> Value:
    data = value.data
    if target == STRING and isinstance(data, bool):
        return string("true" if data else "false")
    if target == STRING and isinstance(data, Decimal):
        return string(number_text(data))
    if target == NUMBER and isinstance(data, str):
        return number(parse_number(data, path))
    if target == BOOL and isinstance(data, str):
        if data in _TRUE or data in _FALSE:
            return boolean(data in _TRUE)
        if data.lower() in ("true", "false"):
            raise ConversionError(f"a bool is required; to convert from a string, use lowercase “{data.lower()}”", path)
    raise _required(value, str(target), path)


def parse_number(text: str, path: str = "") -> Decimal:
    """Raises: ConversionError when *text* is not a number."""
    if _NUMBER.match(text):
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("Infinity")
        if value.is_finite() and (not value or abs(value.adjusted()) <= LONGEST_NUMBER):
            return value
    raise ConversionError("a number is required", path)


def _required(value: Value, what: str, path: str) -> ConversionError:
    article = "" if what.startswith("list") and " of " not in what else "a "
    return ConversionError(f"{article or 'a '}{what} is required, not {describe(value)}", path)


def _same_type(items: list[Value], element: Type, path: str) -> tuple[list[Value], Type]:
    """Brings the elements of a list, set or map of *any* to one type."""
    if element != ANY or not items:
        return items, element
    one = unify([v.type for v in items if not v.is_null])
    if one is None:
        raise ConversionError("all elements must have the same type", path)
    return [convert(v, one, path) for v in items], one


def _to_tuple(value: Value, target: TupleType, path: str) -> Value:
    if not is_sequence(value.type):
        raise _required(value, "tuple", path)
    items = value.items()
    if len(items) != len(target.elements):
        raise ConversionError(f"a tuple of {len(target.elements)} elements is required, not of {len(items)}", path)
    return tuple_value(
        convert(v, t, f"{path}[{i}]") for i, (v, t) in enumerate(zip(items, target.elements, strict=True))
    )


def _to_object(value: Value, target: ObjectType, path: str) -> Value:
    if not is_mapping(value.type):
        raise _required(value, "object", path)
    given = value.fields()
    missing = [n for n in target.attributes if n not in given and n not in target.optional]
    if missing:
        names = ", ".join(f"“{n}”" for n in sorted(missing))
        raise ConversionError(f"the attribute{'s' if len(missing) > 1 else ''} {names} must be set", path)
    fields: dict[str, Value] = {}
    for name, kind in target.attributes.items():
        item = given.get(name)
        if (item is None or item.is_null) and name in target.defaults:
            item = target.defaults[name]
        if item is None:
            item = Value(kind, None)
        fields[name] = convert(item, kind, f"{path}.{name}")
    return Value(replace(target, optional=frozenset(), defaults={}), object_value(fields).data)


def as_text(value: Value) -> str | None:
    """The text that a template would show for *value*, or None when it has none."""
    if isinstance(value.data, (str, bool, Decimal)):
        return _convert(value, STRING, "").text()
    return None


def as_mapping(value: Value) -> Mapping[str, Value]:
    return value.fields()
