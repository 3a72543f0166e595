"""Dates in Go's notation, where the layout is an example date: ``2006-01-02 15:04:05``; and in strftime's."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PIECE = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|01|02|03|04|05|06|002|15|__2|_2(?!006)|PM|pm"
    r"|-07:00:00|-07:00|-070000|-0700|-07|Z07:00:00|Z07:00|Z070000|Z0700|Z07|[.,]0+(?!\d)|[.,]9+(?!\d)|1|2|3|4|5"
)
UNIX_LAYOUTS = {"ANSIC": "Mon Jan _2 15:04:05 2006", "RFC3339": "2006-01-02T15:04:05Z07:00"}


def english_month(moment: datetime) -> str:
    return MONTHS[moment.month - 1]


def english_weekday(moment: datetime) -> str:
    return WEEKDAYS[moment.weekday()]


def offset_text(moment: datetime, colon: str, *, zulu: bool = False) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    if zulu and minutes == 0:
        return "Z"
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{colon}{abs(minutes) % 60:02}"


def format_go(moment: datetime, layout: str) -> str:
    """*moment* in Go's *layout*."""
    return _PIECE.sub(lambda m: _piece(m[0], moment), layout)


def _piece(piece: str, t: datetime) -> str:
    hour12 = t.hour % 12 or 12
    day_of_year = t.timetuple().tm_yday
    simple = {
        "January": english_month(t), "Jan": english_month(t)[:3], "Monday": english_weekday(t),
        "Mon": english_weekday(t)[:3], "MST": t.tzname() or "UTC", "2006": f"{t.year:04}", "06": f"{t.year % 100:02}",
        "01": f"{t.month:02}", "1": str(t.month), "02": f"{t.day:02}", "_2": f"{t.day:2}", "2": str(t.day),
        "002": f"{day_of_year:03}", "__2": f"{day_of_year:3}", "15": f"{t.hour:02}", "03": f"{hour12:02}",
        "3": str(hour12), "04": f"{t.minute:02}", "4": str(t.minute), "05": f"{t.second:02}", "5": str(t.second),
        "PM": "PM" if t.hour >= 12 else "AM", "pm": "pm" if t.hour >= 12 else "am",
    }  # fmt: skip
    if piece in simple:
        return simple[piece]
    if piece[0] in ".,":
        digits = f"{t.microsecond:06}000"[: len(piece) - 1].ljust(len(piece) - 1, "0")
        if piece[1] == "9":
            digits = digits.rstrip("0")
            return piece[0] + digits if digits else ""
        return piece[0] + digits
    zulu = piece.startswith("Z")
    if len(piece) == 3:
        return offset_text(t, "", zulu=zulu)[:3]
    text = offset_text(t, ":" if ":" in piece else "", zulu=zulu)
    if text != "Z" and piece.endswith(("00:00", "0000")) and len(piece) > 6:
        return text + (":00" if ":" in piece else "00")
    return text


def format_strftime(moment: datetime, layout: str) -> str:
    """The directives of strftime, in English whatever the locale is; an unknown one stays as it is."""
    t = moment
    table = {
        "A": english_weekday(t), "a": english_weekday(t)[:3], "B": english_month(t), "b": english_month(t)[:3],
        "h": english_month(t)[:3], "C": f"{t.year // 100:02}", "c": format_go(t, "Mon Jan _2 15:04:05 2006"),
        "D": format_go(t, "01/02/06"), "d": f"{t.day:02}", "e": f"{t.day:2}", "F": format_go(t, "2006-01-02"),
        "H": f"{t.hour:02}", "I": f"{t.hour % 12 or 12:02}", "j": f"{t.timetuple().tm_yday:03}", "k": f"{t.hour:2}",
        "l": f"{t.hour % 12 or 12:2}", "M": f"{t.minute:02}", "m": f"{t.month:02}", "n": "\n",
        "p": "PM" if t.hour >= 12 else "AM", "R": f"{t.hour:02}:{t.minute:02}", "r": format_go(t, "03:04:05 PM"),
        "S": f"{t.second:02}", "T": format_go(t, "15:04:05"),
        "t": "\t", "U": t.strftime("%U"),
        "u": str(t.isoweekday()), "V": f"{t.isocalendar().week:02}",
        "v": format_go(t, "_2-Jan-2006"), "W": t.strftime("%W"),
        "w": str(t.isoweekday() % 7), "X": format_go(t, "15:04:05"), "x": format_go(t, "01/02/06"),
        "Y": f"{t.year:04}", "y": f"{t.year % 100:02}", "Z": t.tzname() or "UTC", "z": offset_text(t, ""), "%": "%",
        "s": str(int(t.timestamp())), "f": f"{t.microsecond:06}", "L": f"{t.microsecond // 1000:03}",
    }  # fmt: skip
    return re.sub(r"%(.)", lambda m: table.get(m[1], m[0]), layout, flags=re.DOTALL)


_TEMPLATE_DIRECTIVES = "aAbBdHImMpSyYzZ%"


def format_template_strftime(moment: datetime, layout: str) -> str:
    """As ``strftime`` of Go templates, whose library (github.com/jehiah/go-strftime) knows fewer directives."""

    def directive(found: re.Match[str]) -> str:
        if found[1] == "L":
            return f".{moment.microsecond // 1000:03}"
        return format_strftime(moment, found[0]) if found[1] in _TEMPLATE_DIRECTIVES else found[0]

    return re.sub(r"%(.)", directive, layout, flags=re.DOTALL)
