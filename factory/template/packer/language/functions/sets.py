"""Functions that treat lists as sets."""

from __future__ import annotations

import itertools
import math

from factory.template.packer.language.convert import convert
from factory.template.packer.language.functions.collections import LONGEST_RANGE
from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.types import ListType, SetType, TupleType, Type, unify
from factory.template.packer.language.values import Value, identity, list_value, set_value, tuple_value

MOST_COMBINATIONS = LONGEST_RANGE * 64


def _element(values: Value) -> Type:
    if isinstance(values.type, (ListType, SetType)):
        return values.type.element
    elements = values.type.elements if isinstance(values.type, TupleType) else ()
    one = unify(list(elements))
    if one is None:
        raise FunctionError("the elements must have one type")
    return one


def _same_kind(sets: tuple[Value, ...]) -> list[Value]:
    if not sets:
        raise FunctionError("at least one set is needed")
    element = unify([_element(s) for s in sets if s.items()])
    if element is None:
        raise FunctionError("the elements of the sets must have one type")
    return [set_value((convert(i, element) for i in s.items()), element) for s in sets]


def _combine(sets: tuple[Value, ...], keep: str) -> Value:
    same = _same_kind(sets)
    counts = [{identity(i) for i in s.items()} for s in same]
    everything = [i for s in same for i in s.items()]
    shared = [i for i in same[0].items() if all(identity(i) in c for c in counts)]
    return set_value(everything if keep == "union" else shared)


@define("setunion", "*sets:q")
def setunion(*sets: Value) -> Value:
    return _combine(sets, "union")


@define("setintersection", "*sets:q")
def setintersection(*sets: Value) -> Value:
    return _combine(sets, "intersection")


@define("setproduct", "*sets:q")
def setproduct(*sets: Value) -> Value:
    if len(sets) < 2:
        raise FunctionError("at least two sets are needed")
    if math.prod(len(s.items()) for s in sets) > MOST_COMBINATIONS:
        raise FunctionError(f"more than {MOST_COMBINATIONS} combinations")
    kinds = [_element(s) for s in sets]
    columns = ([convert(i, kind) for i in s.items()] for s, kind in zip(sets, kinds, strict=True))
    rows = [tuple_value(row) for row in itertools.product(*columns)]
    if all(isinstance(s.type, SetType) for s in sets):
        return set_value(rows)
    return list_value(rows)
