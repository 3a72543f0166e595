"""Sizes and durations as types: no bare number of bytes or seconds travels through factory.

``Size`` is an ``int`` of bytes, ``Duration`` a ``float`` of seconds; both parse what people write and print what
people read. IEC units are powers of 1024 (``GiB``, and ``G`` as qemu-img and Packer use it), SI units with ``B``
are powers of 1000 (``GB``), as IEC 80000-13 defines them.
"""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic_core import core_schema

_SIZE_UNITS = {
    "": 1, "b": 1,
    "k": 2**10, "kib": 2**10, "m": 2**20, "mib": 2**20, "g": 2**30, "gib": 2**30, "t": 2**40, "tib": 2**40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*\Z")
_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


class Size(int):
    """A number of bytes.

    >>> Size.parse("2 GiB") == 2 * 2**30
    True
    >>> str(Size(1536 * 2**20))
    '1.5 GiB'
    """

    @classmethod
    def parse(cls, text: str | int) -> Size:
        """Raises: ValueError when *text* is not a whole number of bytes, or negative."""
        if isinstance(text, bool):
            raise ValueError("a size is a number with a unit, such as '2 GiB'")
        if isinstance(text, int):
            if text < 0:
                raise ValueError(f"a size can't be negative: {text}")
            return cls(text)
        match = _SIZE.match(text)
        if not match or match[2].lower() not in _SIZE_UNITS:
            raise ValueError(f"{text!r} is not a size: write a number with B, KiB, MiB, GiB, TiB, KB, MB, GB or TB")
        value = float(match[1]) * _SIZE_UNITS[match[2].lower()]
        if not value.is_integer():
            raise ValueError(f"{text!r} is not a whole number of bytes")
        return cls(int(match[1]) * _SIZE_UNITS[match[2].lower()] if match[1].isdigit() else int(value))

    @property
    def mib(self) -> int:
        """Whole mebibytes, rounded up."""
        return -(-int(self) // 2**20)

    def __str__(self) -> str:
        power = min((max(int(self), 1).bit_length() - 1) // 10, 4)
        value, unit = int(self) / 1024**power, ("B", "KiB", "MiB", "GiB", "TiB")[power]
        return f"{int(value)} {unit}" if value.is_integer() else f"{value:.1f} {unit}"

    def __repr__(self) -> str:
        return f"Size({int(self)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _checked(cls.parse, (str, int)), serialization=core_schema.plain_serializer_function_ser_schema(int)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*[A-Za-z]*\s*$"}, {"type": "integer"}],
            "description": "A size: '8 GiB', '512 MiB', or a number of bytes.",
        }


class Duration(float):
    """A number of seconds.

    >>> Duration.parse("1m20s") == 80
    True
    >>> str(Duration(90))
    '1m30s'
    """

    @classmethod
    def parse(cls, text: str | int | float) -> Duration:
        """Reads Go's notation (``1h2m3.5s``, ``300ms``) or a plain number of seconds.

        Raises: ValueError when *text* is neither, or negative.
        """
        if isinstance(text, bool):
            raise ValueError("a duration is a number with a unit, such as '90s'")
        if isinstance(text, (int, float)):
            if not math.isfinite(text) or text < 0:
                raise ValueError(f"a duration can't be {text}")
            return cls(text)
        bare = text.replace(" ", "")
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", bare):
            return cls(float(bare))
        position, total = 0, 0.0
        while position < len(bare):
            match = _DURATION.match(bare, position)
            if not match:
                raise ValueError(f"{text!r} is not a duration: write '90s', '5m', '1h30m' or '300ms'")
            total += float(match[1]) * _DURATION_UNITS[match[2]]
            position = match.end()
        if not bare:
            raise ValueError("an empty text is not a duration: write '90s' or '5m'")
        return cls(total)

    def __str__(self) -> str:
        value = float(self)
        if value < 1:
            return f"{value * 1000:.0f}ms"
        if value < 60:
            return f"{value:.1f}s".replace(".0s", "s")
        minutes, seconds = divmod(round(value), 60)
        hours, minutes = divmod(minutes, 60)
        parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
        return "".join(f"{n}{u}" for n, u in parts if n) or "0s"

    def __repr__(self) -> str:
        return f"Duration({float(self)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _checked(cls.parse, (str, int, float)),
            serialization=core_schema.plain_serializer_function_ser_schema(float),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}],
            "description": "A duration: '90s', '5m', '1h30m', or a number of seconds.",
        }


def _checked(parse: Any, types: tuple[type, ...]) -> Any:
    def validate(value: object) -> object:
        if not isinstance(value, types):
            raise ValueError(f"expected a text or a number, got {type(value).__name__}")
        return parse(value)

    return validate
