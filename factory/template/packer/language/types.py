"""Types of values, as HCL's type system (cty) has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.template.packer.language.values import Value


@dataclass(frozen=True, slots=True)
class Type:
    """Base; also the primitive types and *any*, which differ by name alone."""

    name: str

    def __str__(self) -> str:
        return self.name


STRING, NUMBER, BOOL, ANY = Type("string"), Type("number"), Type("bool"), Type("dynamic")
PRIMITIVES = (STRING, NUMBER, BOOL)


@dataclass(frozen=True, slots=True)
class ListType(Type):
    element: Type = ANY
    name: str = field(default="list", init=False)

    def __str__(self) -> str:
        return f"list of {self.element}"


@dataclass(frozen=True, slots=True)
class SetType(Type):
    element: Type = ANY
    name: str = field(default="set", init=False)

    def __str__(self) -> str:
        return f"set of {self.element}"


@dataclass(frozen=True, slots=True)
class MapType(Type):
    element: Type = ANY
    name: str = field(default="map", init=False)

    def __str__(self) -> str:
        return f"map of {self.element}"


@dataclass(frozen=True, slots=True)
class TupleType(Type):
    elements: tuple[Type, ...] = ()
    name: str = field(default="tuple", init=False)


@dataclass(frozen=True, slots=True)
class ObjectType(Type):
    """*optional* names the attributes that may be absent, *defaults* what some of them are then."""

    attributes: Mapping[str, Type] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    defaults: Mapping[str, Value] = field(default_factory=dict, compare=False)
    name: str = field(default="object", init=False)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.attributes)))


def list_of(element: Type) -> ListType:
    return ListType(element=element)


def set_of(element: Type) -> SetType:
    return SetType(element=element)


def map_of(element: Type) -> MapType:
    return MapType(element=element)


def tuple_of(*elements: Type) -> TupleType:
    return TupleType(elements=elements)


def object_of(attributes: Mapping[str, Type]) -> ObjectType:
    return ObjectType(attributes=attributes)


def is_sequence(kind: Type) -> bool:
    return isinstance(kind, (ListType, SetType, TupleType))


def is_mapping(kind: Type) -> bool:
    return isinstance(kind, (MapType, ObjectType))


def unify(types: list[Type]) -> Type | None:
    """The one type that all of *types* convert to, or None when there is none."""
    distinct = list(dict.fromkeys(types))
    if not distinct or ANY in distinct:
        return ANY
    if len(distinct) == 1:
        return distinct[0]
    if all(t in PRIMITIVES for t in distinct):
        return STRING if STRING in distinct else None
    if all(is_mapping(t) for t in distinct):
        return _unify_mappings(distinct)
    if all(is_sequence(t) for t in distinct):
        return _unify_sequences(distinct)
    return None


def _unify_mappings(types: list[Type]) -> Type | None:
    objects = [t for t in types if isinstance(t, ObjectType)]
    if len(objects) == len(types) and all(o.attributes.keys() == objects[0].attributes.keys() for o in objects):
        attributes: dict[str, Type] = {}
        for name in objects[0].attributes:
            one = unify([o.attributes[name] for o in objects])
            if one is None:
                return None
            attributes[name] = one
        return object_of(attributes)
    elements: list[Type] = [t.element for t in types if isinstance(t, MapType)]
    for o in objects:
        elements.extend(o.attributes.values())
    element = unify(elements)
    return None if element is None else map_of(element)


def _unify_sequences(types: list[Type]) -> Type | None:
    tuples = [t for t in types if isinstance(t, TupleType)]
    if len(tuples) == len(types) and len({len(t.elements) for t in tuples}) == 1:
        parts = [unify(list(column)) for column in zip(*(t.elements for t in tuples), strict=True)]
        found = tuple(p for p in parts if p is not None)
        return tuple_of(*found) if len(found) == len(parts) else None
    elements = [t.element for t in types if isinstance(t, (ListType, SetType))]
    for t in tuples:
        elements.extend(t.elements)
    element = unify(elements)
    if element is None:
        return None
    return set_of(element) if all(isinstance(t, SetType) for t in types) else list_of(element)
