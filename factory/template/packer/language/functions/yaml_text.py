"""YAML as ``yamlencode`` writes it: every key and text in double quotes, so that no reader can take it for more."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from factory.template.packer.language.types import is_mapping
from factory.template.packer.language.values import Value, number_text

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff\U00010000-\U0010ffff]")


def _quoted(text: str) -> str:
    """In double quotes; what YAML would not print, or take for a line break, is escaped."""
    encoded = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(_escaped, encoded)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def yaml_text(value: Value) -> str:
    if isinstance(value.data, str) and "\n" in value.data and not _needs_quotes(value.data.rstrip("\n")):
        return "\n".join(_literal(value.data, 0)) + "\n"
    lines = _lines(value, 0)
    if not isinstance(value.data, (str, tuple, Mapping)):
        lines.append("...")  # nothing else says where a scalar without quotes ends
    return "\n".join(lines) + "\n"


def _scalar(value: Value) -> str | None:
    if value.is_null:
        return "null"
    if isinstance(value.data, bool):
        return "true" if value.data else "false"
    if isinstance(value.data, Decimal):
        return number_text(value.data)
    if isinstance(value.data, str):
        return _quoted(value.data)
    if not value.items():
        return "{}" if is_mapping(value.type) else "[]"
    return None


def _literal(text: str, indent: int) -> list[str]:
    """A block scalar; its mark says how the text ends."""
    body = text.rstrip("\n")
    ending = len(text) - len(body)
    mark = "|-" if ending == 0 else "|" if ending == 1 else "|+"
    lines = body.split("\n") + [""] * max(ending - 1, 0)
    return [mark, *((" " * (indent + 2) + line) if line else "" for line in lines)]


def _needs_quotes(text: str) -> bool:
    control = any(c < " " and c != "\n" for c in text) or _UNPRINTABLE.search(text)
    return not text or text != text.strip() or bool(control)


def _value_lines(value: Value, indent: int) -> list[str]:
    """The first line goes behind the key or the dash, the others stand as they are."""
    if isinstance(value.data, str) and "\n" in value.data and not _needs_quotes(value.data.rstrip("\n")):
        return _literal(value.data, indent)
    scalar = _scalar(value)
    if scalar is not None:
        return [scalar]
    return ["", *_lines(value, indent)]


def _lines(value: Value, indent: int) -> list[str]:
    scalar = _scalar(value)
    pad = " " * indent
    if scalar is not None:
        return [pad + scalar]
    result: list[str] = []
    if is_mapping(value.type):
        fields = value.fields()
        for name in sorted(fields):
            item = fields[name]
            nested_list = not is_mapping(item.type)
            first, *rest = _value_lines(item, indent if nested_list and _scalar(item) is None else indent + 2)
            if first and isinstance(item.data, str):
                first, *rest = _value_lines(item, indent)
            result.append(f"{pad}{_quoted(name)}:{' ' + first if first else ''}")
            result.extend(rest)
        return result
    for item in value.items():
        if _scalar(item) is None:
            inner = _lines(item, indent + 2)
            result.append(pad + "- " + inner[0][indent + 2 :])
            result.extend(inner[1:])
        else:
            first, *rest = _value_lines(item, indent)
            result.append(f"{pad}- {first}")
            result.extend(rest)
    return result
