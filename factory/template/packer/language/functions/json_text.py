"""JSON as Go writes it: keys in order, no blanks, and ``<``, ``>``, ``&`` escaped."""

from __future__ import annotations

import json
import re
from decimal import Decimal

from factory.template.packer.language.types import is_mapping
from factory.template.packer.language.values import Value, number_text

_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_SHORT = re.compile(r"\\.")
_LONG = {"\\b": "\\u0008", "\\f": "\\u000c"}
"""Go spells these as code points, except in its newest releases."""


def json_text(value: Value) -> str:
    if value.is_null:
        return "null"
    data = value.data
    if isinstance(data, bool):
        return "true" if data else "false"
    if isinstance(data, Decimal):
        return number_text(data)
    if isinstance(data, str):
        return quoted(data)
    if is_mapping(value.type):
        fields = value.fields()
        return "{" + ",".join(f"{quoted(k)}:{json_text(fields[k])}" for k in sorted(fields)) + "}"
    return "[" + ",".join(json_text(item) for item in value.items()) + "]"


def quoted(text: str) -> str:
    encoded = json.dumps(text, ensure_ascii=False).translate(_HTML)
    # An escaped backslash may stand before a letter that is no escape.
    return _SHORT.sub(lambda found: _LONG.get(found[0], found[0]), encoded)
