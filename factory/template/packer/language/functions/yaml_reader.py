"""YAML as ``yamldecode`` reads it, which is neither YAML 1.1 nor 1.2.

The rules are those of go-cty-yaml 1.0.1, the version in Packer: ``y``, ``on`` and ``yes`` are true, ``012`` is twelve,
``1e3`` a number, ``0x1F`` a text, ``0b11`` three, and a date a text in RFC 3339. That library works on the events of a
YAML parser, and so does this.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from factory.template.packer.language.convert import ConversionError, as_text, parse_number
from factory.template.packer.language.types import is_mapping
from factory.template.packer.language.values import (
    FALSE,
    NULL,
    TRUE,
    Value,
    describe,
    number,
    object_value,
    string,
    tuple_value,
)

MOST_EVENTS = 100_000
_TAG = "tag:yaml.org,2002:"
_KNOWN_TAGS = ("", "str", "bool", "int", "float", "null", "timestamp", "binary")
_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_NULL = ("", "~", "null", "Null", "NULL")
_WORDS: dict[str, Value] = {**dict.fromkeys(_TRUE, TRUE), **dict.fromkeys(_FALSE, FALSE), **dict.fromkeys(_NULL, NULL)}
_ENDLESS = re.compile(r"[+-]?\.(inf|Inf|INF|nan|NaN|NAN)\Z")
_BINARY = re.compile(r"-?0b[01]+\Z")
_CLOCK = r"(\d\d?):(\d\d?):(\d\d?)(?:\.\d+)?"
_DATE = re.compile(rf"(\d{{4}})-(\d\d?)-(\d\d?)(?:[Tt]{_CLOCK}(Z|[+-]\d\d:\d\d)| {_CLOCK})?\Z")


class YamlError(ValueError):
    """The text is not YAML, or has what no value of HCL can hold."""


def read_yaml(text: str) -> Value:
    """Raises: YamlError."""
    import yaml

    try:
        return _Reader(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(str(error)) from None


class _Reader:
    """*events* are PyYAML's, told apart by the names of their classes."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.count = 0
        self.anchors: dict[str, Value | None] = {}

    def _next(self) -> tuple[Any, str]:
        self.count += 1
        if self.count > MOST_EVENTS:
            raise YamlError(f"it has more than {MOST_EVENTS} elements")
        event = next(self.events)
        return event, type(event).__name__.removesuffix("Event")

    def document(self) -> Value:
        self._next()  # the start of the stream
        if self._next()[1] != "DocumentStart":
            raise YamlError("there is no value")
        value = self._value(*self._next())
        self._next()  # the end of the document
        if self._next()[1] != "StreamEnd":
            raise YamlError("only a single document is allowed")
        return value

    def _value(self, event: Any, kind: str) -> Value:
        if kind == "Alias":
            found = self.anchors.get(event.anchor)
            if found is None:
                inside = event.anchor in self.anchors
                raise YamlError(f"the anchor “{event.anchor}” is {'inside itself' if inside else 'not defined'}")
            return found
        if event.anchor:
            self.anchors[event.anchor] = None
        if kind == "Scalar":
            value = string("<<") if _merges(event) else _scalar(event)
        elif kind == "SequenceStart":
            value = self._sequence(event)
        else:
            value = self._mapping(event)
        if event.anchor:
            self.anchors[event.anchor] = value
        return value

    def _sequence(self, start: Any) -> Value:
        _check_tag(start, "seq")
        items: list[Value] = []
        while True:
            event, kind = self._next()
            if kind == "SequenceEnd":
                return tuple_value(items)
            items.append(self._value(event, kind))

    def _mapping(self, start: Any) -> Value:
        _check_tag(start, "map")
        fields: dict[str, Value] = {}
        while True:
            event, kind = self._next()
            if kind == "MappingEnd":
                return object_value(fields)
            if kind != "Scalar":
                raise YamlError("a key must be a text")
            if _merges(event):
                merged = self._value(*self._next())
                if not is_mapping(merged.type):
                    raise YamlError(f"{describe(merged)} can't be merged into a mapping")
                fields.update(merged.fields())
                continue
            key = as_text(_scalar(event))
            if key is None:
                raise YamlError("a key must not be null")
            fields[key] = self._value(*self._next())


def _check_tag(event: Any, wanted: str) -> None:
    if event.tag not in (None, "!", _TAG + wanted):
        raise YamlError(f"the tag “{event.tag}” is not supported here")


def _merges(event: Any) -> bool:
    return event.value == "<<" and event.tag is None and event.style is None


def _scalar(event: Any) -> Value:
    tag = "str" if event.tag == "!" else (event.tag or "").removeprefix(_TAG)
    if tag not in _KNOWN_TAGS:
        raise YamlError(f"the tag “{event.tag}” is not supported")
    text: str = event.value
    quoted = event.style is not None
    if tag in ("str", "binary"):
        return _as_it_is(text, tag)
    if quoted:  # even with a tag of a number
        return string(text)
    if text in _WORDS:
        return _WORDS[text]
    if _ENDLESS.match(text):
        raise YamlError("infinity and “not a number” are not supported")
    found = _date(text) if tag in ("", "timestamp") else None
    if found is None and text[:1] in "+-.0123456789":
        found = _number(text)
    if found is not None:
        return found
    if tag in ("int", "float") and re.fullmatch(r"[+-]?0x[0-9a-fA-F_]+", text):
        return number(int(text.replace("_", ""), 16))
    if tag:
        raise YamlError(f"“{text}” is no {tag}")
    return string(text)


def _as_it_is(text: str, tag: str) -> Value:
    if tag == "binary":
        try:
            base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
        except (binascii.Error, ValueError):
            raise YamlError(f"“{text}” is not base64") from None
    return string(text)


def _number(text: str) -> Value | None:
    plain = text.replace("_", "") if not text.startswith(".") else text
    if _BINARY.match(plain):
        return number(int(plain, 2))
    if plain.startswith(("0b", "-0b")):
        raise YamlError(f"“{text}” is no int")
    try:
        return number(parse_number(plain))
    except ConversionError:
        if re.fullmatch(r"[+-]?[\d.]+[eE][+-]?\d+", plain):
            raise YamlError(f"the number {text[:20]} is too large or too small") from None
        return None


def _date(text: str) -> Value | None:
    match = _DATE.match(text)
    if match is None:
        return None
    year, month, day, *rest = match.groups()
    hour, minute, second = rest[0:3] if rest[0] is not None else (t or "0" for t in rest[4:7])
    try:
        moment = datetime(*(int(p) for p in (year, month, day, hour, minute, second)))  # type: ignore[arg-type]
    except ValueError:
        return None
    return string(moment.strftime("%Y-%m-%dT%H:%M:%S") + (rest[3] or "Z"))
