"""Values as the console shows them: a text bare at the top and in quotes inside, one element a line."""

from __future__ import annotations

import math
from decimal import Decimal

from factory.template.packer.language.functions.formatting import go_float
from factory.template.packer.language.go_quoting import go_quoted
from factory.template.packer.language.types import is_mapping
from factory.template.packer.language.values import Value, number_text

SENSITIVE, NOT_KNOWN = "<sensitive>", "<unknown>"
_WORD = 2**63


def console_text(value: Value) -> str:
    """*value* as ``console`` and ``inspect`` print it. A sensitive value is masked."""
    if isinstance(value.data, str) and not value.sensitive:
        return value.data
    return "\n".join(_lines(value))


def _lines(value: Value) -> list[str]:
    if value.sensitive:
        return [SENSITIVE]
    if value.is_unknown:
        return [NOT_KNOWN]
    if value.is_null:
        return ["null"]
    if isinstance(value.data, bool):
        return ["true" if value.data else "false"]
    if isinstance(value.data, Decimal):
        return [_number(value.data)]
    if isinstance(value.data, str):
        return [go_quoted(value.data)]
    if not value.items():
        return ["{}" if is_mapping(value.type) else "[]"]
    result: list[str] = []
    if is_mapping(value.type):
        fields = value.fields()
        for name in sorted(fields):
            first, *rest = _lines(fields[name])
            result.append(f"  {go_quoted(name)} = {first}")
            result.extend("  " + line for line in rest)
        return ["{", *result, "}"]
    for item in value.items():
        lines = _lines(item)
        lines[-1] += ","
        result.extend("  " + line for line in lines)
    return ["[", *result, "]"]


def _number(value: Decimal) -> str:
    """A whole number of 64 bits as it is, and any other as Go shows a float of 64 bits."""
    if value == value.to_integral_value() and -_WORD <= value < _WORD:
        return number_text(value)
    double = float(value)
    if math.isinf(double):
        return "+Inf" if double > 0 else "-Inf"
    return go_float(double)
