"""JSON as Go writes it: keys in order, no blanks, and ``<``, ``>``, ``&`` escaped."""

from __future__ import annotations

import json
from decimal import Decimal

from factory.template.packer.language.types import is_mapping
from factory.template.packer.language.values import Value, number_text

_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


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
    # Go spells these two as code points, except in its newest releases.
    return encoded.replace("\\b", "\\u0008").replace("\\f", "\\u000c") if "\b" in text or "\f" in text else encoded
