"""Functions about lists, maps and objects."""

from __future__ import annotations

from decimal import Decimal

from factory.template.packer.language.convert import ConversionError, as_text, convert
from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.types import (
    ANY,
    BOOL,
    STRING,
    ListType,
    MapType,
    SetType,
    is_mapping,
    is_sequence,
    unify,
)
from factory.template.packer.language.values import (
    ARITHMETIC,
    UNKNOWN_VALUE,
    Value,
    describe,
    equal,
    list_value,
    map_value,
    number,
    object_value,
    string,
    tuple_value,
)

LONGEST_RANGE = 1024


@define("alltrue", "list:q")
def alltrue(values: Value) -> bool:
    return all(_truth(item) for item in values.items())


@define("anytrue", "list:q")
def anytrue(values: Value) -> bool:
    return any(_truth(item) for item in values.items())


def _truth(item: Value) -> bool:
    try:
        return convert(item, BOOL).data is True
    except ConversionError as error:
        raise FunctionError(f"the elements must be bools: {error}", 0) from None


@define("chunklist", "list:a size:n")
def chunklist(values: Value, size: Decimal) -> Value:
    if size != size.to_integral_value():
        raise FunctionError("the size must be a whole number", 1)
    items, step = values.items(), int(size)
    if step < 0:
        raise FunctionError("the size of a chunk can't be negative", 1)
    step = step or max(len(items), 1)
    return list_value(_alike(values, items[i : i + step]) for i in range(0, len(items), step))


def _alike(model: Value, items: tuple[Value, ...] | list[Value]) -> Value:
    """A sequence of *items* of the kind that *model* is; a set becomes a list."""
    if isinstance(model.type, (ListType, SetType)):
        return list_value(items, model.type.element)
    return tuple_value(items)


@define("coalesce", "*vals:d", unknown=True)
def coalesce(*values: Value) -> Value:
    one = unify([v.type for v in values if not v.is_null and v.is_known]) or ANY
    for value in values:
        if value.is_unknown:
            return UNKNOWN_VALUE
        if not value.is_null and value.data != "":
            return _converted(value, one)
    raise FunctionError("every argument is null or an empty text")


def _converted(value: Value, target: object) -> Value:
    try:
        return convert(value, target) if target is not ANY else value  # type: ignore[arg-type]
    except ConversionError:
        return value


@define("coalescelist", "*vals:q?")
def coalescelist(*values: Value | None) -> Value:
    for value in values:
        if value is not None and value.items():
            return value
    raise FunctionError("every argument is an empty list")


@define("compact", "list:l")
def compact(values: Value) -> Value:
    return list_value((v for v in values.items() if not v.is_null and v.text() != ""), STRING)


@define("concat", "*seqs:q")
def concat(*sequences: Value) -> Value:
    if not sequences:
        raise FunctionError("at least one list is needed")
    items = [item for one in sequences for item in one.items()]
    if all(isinstance(one.type, ListType) for one in sequences):
        element = unify([one.type.element for one in sequences if isinstance(one.type, ListType)])
        if element is not None:
            return list_value((convert(i, element) for i in items), element)
    return tuple_value(items)


@define("contains", "list:q value:d")
def contains(values: Value, wanted: Value) -> bool:
    return any(equal(item, wanted).data is True for item in values.items())


@define("distinct", "list:a")
def distinct(values: Value) -> Value:
    result: list[Value] = []
    for item in values.items():
        if not any(equal(item, seen).data is True for seen in result):
            result.append(item)
    return _alike(values, result)


@define("element", "list:q index:n", unknown=True)
def element(values: Value, index: Decimal | Value) -> Value:
    if values.is_unknown or isinstance(index, Value):
        return UNKNOWN_VALUE
    items = values.items()
    if not items:
        raise FunctionError("the list is empty", 0)
    if index != index.to_integral_value():
        raise FunctionError("the index must be a whole number", 1)
    if index < 0:
        raise FunctionError("the index can't be negative", 1)
    return items[int(index) % len(items)]


@define("flatten", "list:q")
def flatten(values: Value) -> Value:
    result: list[Value] = []
    taken_apart: list[Value] = []

    def walk(value: Value) -> None:
        taken_apart.append(value)
        for item in value.items():
            if is_sequence(item.type) and not item.is_null:
                walk(item)
            else:
                result.append(item)

    walk(values)
    return tuple_value(result).with_sensitivity(any(one.sensitive for one in taken_apart))


@define("index", "list:q value:d")
def index_of(values: Value, wanted: Value) -> int:
    for position, item in enumerate(values.items()):
        if equal(item, wanted).data is True:
            return position
    raise FunctionError("the list does not contain the value", 1)


@define("keys", "inputMap:m", unknown=True)
def keys(mapping: Value) -> Value:
    if mapping.is_unknown:
        return UNKNOWN_VALUE
    names = [string(k) for k in sorted(mapping.fields())]
    return list_value(names, STRING) if isinstance(mapping.type, MapType) else tuple_value(names)


@define("values", "mapping:m", unknown=True)
def values_of(mapping: Value) -> Value:
    if mapping.is_unknown:
        return UNKNOWN_VALUE
    fields = mapping.fields()
    items = [fields[k] for k in sorted(fields)]
    if isinstance(mapping.type, MapType):
        return list_value(items, mapping.type.element)
    return tuple_value(items)


@define("length", "value:d", unknown=True)
def length(value: Value) -> Value:
    if value.is_unknown:
        return UNKNOWN_VALUE
    if value.is_null:
        raise FunctionError("the argument must not be null", 0)
    if isinstance(value.data, str):
        from factory.template.packer.language.functions.characters import clusters

        return number(len(clusters(value.data)))
    if not (is_sequence(value.type) or is_mapping(value.type)):
        raise FunctionError(f"a list, set, map, object or text has a length, but not {describe(value)}", 0)
    return number(len(value.items()))


@define("lookup", "inputMap:m key:s *default:d")
def lookup(mapping: Value, key: str, *default: Value) -> Value:
    fields = mapping.fields()
    if key in fields:
        return fields[key]
    if len(default) == 1:
        if isinstance(mapping.type, MapType) and mapping.type.element != ANY:
            return _converted(default[0], mapping.type.element)
        return default[0]
    if default:
        raise FunctionError("one default value is enough")
    raise FunctionError(f"there is no element with the key “{key}”, and no default value", 1)


@define("merge", "*maps:m?")
def merge(*maps: Value | None) -> Value:
    fields: dict[str, Value] = {}
    given = [m for m in maps if m is not None]
    for one in given:
        fields.update(one.fields())
    kinds = {m.type for m in given}
    if given and len(kinds) == 1 and isinstance(given[0].type, MapType):
        return map_value(fields, given[0].type.element)
    return object_value(fields)


@define("range", "*params:n")
def range_(*numbers: Decimal) -> Value:
    if not 1 <= len(numbers) <= 3:
        raise FunctionError("one to three numbers are needed: an end, or a start and an end, or these and a step")
    start, end = (Decimal(0), numbers[0]) if len(numbers) == 1 else numbers[:2]
    step = numbers[2] if len(numbers) == 3 else Decimal(1 if start <= end else -1)
    if not step:
        raise FunctionError("the step must not be 0", 2)
    if (end - start) * step < 0 and len(numbers) == 3:
        raise FunctionError("the step leads away from the end", 2)
    result: list[Value] = []
    while (start < end) if step > 0 else (start > end):
        result.append(number(start))
        if len(result) > LONGEST_RANGE:
            raise FunctionError(f"more than {LONGEST_RANGE} numbers", hint="a for expression over a list has no limit")
        start = ARITHMETIC.add(start, step)
    return list_value(result)


@define("reverse", "list:q")
def reverse(values: Value) -> Value:
    return _alike(values, tuple(reversed(values.items())))


@define("slice", "list:q start_index:n end_index:n")
def slice_(values: Value, start: Decimal, end: Decimal) -> Value:
    items = values.items()
    if start != start.to_integral_value() or end != end.to_integral_value():
        raise FunctionError("the indices must be whole numbers", 1)
    if not 0 <= start <= end <= len(items):
        raise FunctionError(f"0 ≤ start ≤ end ≤ {len(items)} must hold, not {start} and {end}", 1)
    return _alike(values, items[int(start) : int(end)])


@define("sort", "list:l")
def sort(values: Value) -> Value:
    texts: list[str] = []
    for position, item in enumerate(values.items()):
        if item.is_null:
            raise FunctionError(f"element {position} is null", 0)
        texts.append(item.text())
    return list_value((string(t) for t in sorted(texts, key=lambda t: t.encode("utf-8", "surrogatepass"))), STRING)


@define("zipmap", "keys:l values:q")
def zipmap(names: Value, values: Value) -> Value:
    left, right = names.items(), values.items()
    if len(left) != len(right):
        raise FunctionError(f"{len(left)} keys can't be matched with {len(right)} values", 1)
    fields = {as_text(k) or "": v for k, v in zip(left, right, strict=True)}
    if isinstance(values.type, ListType):
        return map_value(fields, values.type.element)
    return object_value(fields)
