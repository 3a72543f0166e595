"""Functions that encode and decode."""

from __future__ import annotations

import base64
import binascii
import codecs
import csv
import gzip
import io
import json
import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from factory.template.packer.language.functions.json_text import json_text
from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.functions.yaml_reader import YamlError, read_yaml
from factory.template.packer.language.functions.yaml_text import yaml_text
from factory.template.packer.language.types import STRING
from factory.template.packer.language.values import (
    LONGEST_NUMBER,
    UNKNOWN,
    Value,
    from_python,
    list_value,
    object_value,
    string,
    wholly_known,
)


@define("base64encode", "str:s")
def base64encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@define("base64decode", "str:s")
def base64decode(text: str) -> str:
    return _decode(_bytes(text), "utf-8")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise FunctionError("the text is not base64", 0) from None


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise FunctionError(f"the bytes are not a text in {encoding}", 0) from None


@define("base64gzip", "str:s")
def base64gzip(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _encoding(name: str) -> str:
    try:
        return codecs.lookup({"UTF-16LE": "utf-16-le", "UTF-16BE": "utf-16-be"}.get(name.upper(), name)).name
    except LookupError:
        raise FunctionError(f"there is no encoding “{name}”", 1) from None


@define("textencodebase64", "string:s encoding:s")
def textencodebase64(text: str, encoding: str) -> str:
    try:
        return base64.b64encode(text.encode(_encoding(encoding))).decode()
    except (UnicodeEncodeError, TypeError):
        raise FunctionError(f"the text has characters that {encoding} does not have", 0) from None


@define("textdecodebase64", "source:s encoding:s")
def textdecodebase64(text: str, encoding: str) -> str:
    return _decode(_bytes(text), _encoding(encoding))


@define("urlencode", "string:s")
def urlencode(text: str) -> str:
    return quote_plus(text, safe="")


MOST_DECODED = 200_000
"""Elements of a text that is decoded."""


@define("csvdecode", "str:s")
def csvdecode(text: str) -> Value:
    _check_csv(text)
    rows = list(csv.reader(io.StringIO(text), strict=True))
    if not rows:
        raise FunctionError("the text has no header line", 0)
    header = rows[0]
    if len(set(header)) != len(header):
        raise FunctionError("a column name comes up twice", 0)
    result: list[Value] = []
    for line, row in enumerate(rows[1:], 2):
        if not row:
            continue
        if len(row) != len(header):
            raise FunctionError(f"line {line} has {len(row)} columns, the header {len(header)}", 0)
        result.append(object_value({h: string(c) for h, c in zip(header, row, strict=True)}))
    return list_value(result)


_CSV_FIELD = re.compile(r'(?:"(?:[^"]|"")*"|[^",\n]*)(?:,|\r?\n|\Z)')


def _check_csv(text: str) -> None:
    """Python lets a quotation mark stand inside a field without quotes, and Go does not. Raises: FunctionError."""
    position = count = 0
    while position < len(text):
        count += 1
        if count > MOST_DECODED:
            raise FunctionError(f"the text has more than {MOST_DECODED} fields", 0)
        field = _CSV_FIELD.match(text, position)
        if field is None:
            line = text.count("\n", 0, position) + 1
            raise FunctionError(
                f"line {line} has a quotation mark where none can be", 0, hint='write it as "" in quotes'
            )
        position = field.end()


@define("jsondecode", "str:s")
def jsondecode(text: str) -> Value:
    if sum(map(text.count, "[{,")) > 16 * MOST_DECODED:  # those in texts count too, so with some room
        raise FunctionError(f"the text has more than {MOST_DECODED} elements", 0)
    try:
        return from_python(json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_refuse))
    except RecursionError:
        raise FunctionError("the text is nested too deeply", 0) from None
    except ValueError as error:
        raise FunctionError(f"the text is not JSON: {error}", 0) from None


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if value and abs(value.adjusted()) > LONGEST_NUMBER:
        raise ValueError(f"the number {text[:20]} is too large or too small")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


@define("jsonencode", "val:d", unknown=True)
def jsonencode(value: Value) -> Value:
    return string(json_text(value)) if wholly_known(value) else Value(STRING, UNKNOWN)


@define("yamldecode", "src:s")
def yamldecode(text: str) -> Value:
    try:
        return read_yaml(text)
    except YamlError as error:
        raise FunctionError(f"the text is not YAML: {error}", 0) from None


@define("yamlencode", "value:d", unknown=True)
def yamlencode(value: Value) -> Value:
    return string(yaml_text(value)) if wholly_known(value) else Value(STRING, UNKNOWN)
