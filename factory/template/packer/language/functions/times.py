"""Functions about time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.go_time import (
    english_month,
    english_weekday,
    format_go,
    format_strftime,
    offset_text,
)
from factory.template.packer.language.scope import World
from factory.template.packer.language.values import Value, from_python

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z",
)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}


def parse_rfc3339(text: str) -> datetime:
    """Raises: FunctionError when *text* is not a time such as ``2024-01-31T12:00:00Z``."""
    match = _RFC3339.match(text)
    if not match:
        raise FunctionError(f"“{text}” is not a time such as 2024-01-31T12:00:00Z")
    zone = match[8].replace("Z", "+00:00")
    fraction = (match[7] or "0")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{text[:19]}.{fraction}{zone}")
    except ValueError as error:
        raise FunctionError(f"“{text}” is not a time: {error}") from None


def parse_go_duration(text: str) -> Decimal:
    """Seconds of a Go duration with its sign.

    Raises: ValueError when *text* is none.
    """
    body = text[1:] if text[:1] in ("-", "+") else text
    total, position = Decimal(0), 0
    if body == "0":
        return total
    while position < len(body):
        match = _DURATION.match(body, position)
        if not match:
            break
        total += Decimal(match[1]) * Decimal(_UNITS[match[2]])
        position = match.end()
    if not body or position < len(body):
        raise ValueError(f"“{text}” is not a duration such as 90s, 5m or 1h30m")
    return -total if text.startswith("-") else total


def rfc3339(moment: datetime) -> str:
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}{offset_text(moment, ':', zulu=True)}"


@define("timestamp", world=True)
def timestamp(world: World) -> str:
    return rfc3339(world.clock().astimezone(UTC))


@define("timeadd", "timestamp:s duration:s")
def timeadd(moment: str, duration: str) -> str:
    try:
        seconds = parse_go_duration(duration)
    except ValueError as error:
        raise FunctionError(str(error), 1) from None
    try:
        return rfc3339(parse_rfc3339(moment) + timedelta(seconds=float(seconds)))
    except OverflowError:
        raise FunctionError(f"“{duration}” leads out of the years 1 to 9999", 1) from None


_FORMAT = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'", re.DOTALL)


@define("formatdate", "format:s time:s")
def formatdate(pattern: str, time: str) -> str:
    moment = parse_rfc3339(time)
    return _FORMAT.sub(lambda m: _date_piece(m, moment), pattern)


def _date_piece(match: re.Match[str], t: datetime) -> str:
    piece = match[0]
    if match[1] is not None:
        return "'" if not match[1] else match[1].replace("''", "'")
    if piece == "'":
        raise FunctionError("a single quote opens a text that is never closed", 0)
    if not match[2]:
        return piece
    hour12 = t.hour % 12 or 12
    table = {
        "YY": f"{t.year % 100:02}", "YYYY": f"{t.year:04}", "M": str(t.month), "MM": f"{t.month:02}",
        "MMM": english_month(t)[:3], "MMMM": english_month(t), "D": str(t.day), "DD": f"{t.day:02}",
        "EEE": english_weekday(t)[:3], "EEEE": english_weekday(t), "h": str(t.hour), "hh": f"{t.hour:02}",
        "H": str(hour12), "HH": f"{hour12:02}", "AA": "PM" if t.hour >= 12 else "AM",
        "aa": "pm" if t.hour >= 12 else "am", "m": str(t.minute), "mm": f"{t.minute:02}", "s": str(t.second),
        "ss": f"{t.second:02}", "Z": offset_text(t, ":", zulu=True),
        "ZZZ": "UTC" if offset_text(t, "", zulu=True) == "Z" else offset_text(t, ""),
        "ZZZZ": offset_text(t, ""), "ZZZZZ": offset_text(t, ":"),
    }  # fmt: skip
    if piece not in table:
        raise FunctionError(
            f"“{piece}” is not a part of a date", 0, hint=f"a literal text stands in single quotes: '{piece}'"
        )
    return table[piece]


@define("legacy_isotime", "*format:s", world=True)
def legacy_isotime(world: World, *layout: str) -> str:
    moment = world.clock().astimezone(UTC)
    if len(layout) > 1:
        raise FunctionError("one format is enough", 1)
    return format_go(moment, layout[0]) if layout else rfc3339(moment)


@define("legacy_strftime", "format:s", world=True)
def legacy_strftime(world: World, layout: str) -> str:
    return format_strftime(world.clock().astimezone(UTC), layout)


@define("rfc3339_parse", "timestamp:s")
def rfc3339_parse(text: str) -> Value:
    return _parts(parse_rfc3339(text))


@define("unix_timestamp_parse", "unix_timestamp:n")
def unix_timestamp_parse(seconds: Decimal) -> Value:
    try:
        return _parts(datetime.fromtimestamp(int(seconds), UTC))
    except (ValueError, OverflowError, OSError):
        raise FunctionError("the number is no time that can be shown", 0) from None


def _parts(t: datetime) -> Value:
    iso = t.isocalendar()
    return from_python(
        {
            "year": t.year, "year_day": t.timetuple().tm_yday, "day": t.day, "month": t.month,
            "month_name": english_month(t), "weekday": t.isoweekday() % 7, "weekday_name": english_weekday(t),
            "hour": t.hour, "minute": t.minute, "second": t.second, "unix": int(t.timestamp()),
            "iso_year": iso.year, "iso_week": iso.week, "rfc3339": rfc3339(t),
        }
    )  # fmt: skip
