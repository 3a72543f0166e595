"""The classes of characters that Go's regular expressions have and Python's have not, as ranges for a bracket."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable

Ranges = tuple[tuple[int, int], ...]

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\x00-\x7f", "blank": "\t\t  ", "cntrl": "\x00-\x1f\x7f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@[-`{-~", "space": "\t-\r  ",
    "upper": "A-Z", "word": "0-9A-Z__a-z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
SPACE: Ranges = ((9, 10), (12, 13), (32, 32))
"""``\\s`` of RE2: without the vertical tab."""
_CATEGORY = re.compile(r"[LMNPSZC][a-z]?")
_NAMES = {"Han": ("CJK UNIFIED", "CJK COMPATIBILITY", "CJK RADICAL", "KANGXI")}
"""How the names of a script's characters begin, where not with the script's own name."""
_SCRIPTS = frozenset(
    {
        "Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Syriac", "Thaana", "Devanagari", "Bengali",
        "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan",
        "Myanmar", "Georgian", "Hangul", "Ethiopic", "Cherokee", "Ogham", "Runic", "Khmer", "Mongolian", "Hiragana",
        "Katakana", "Bopomofo", "Han", "Braille", "Coptic", "Gothic",
    }
)  # fmt: skip


def posix_class(name: str) -> Ranges | None:
    """``[:alpha:]`` and its like, or ``^alpha`` for the others; None when there is no such class."""
    written = _POSIX.get(name.removeprefix("^"))
    if written is None:
        return None
    found = tuple((ord(a), ord(b)) for a, b in re.findall("(.)-(.)", written, re.DOTALL))
    singles = re.sub(r".-.", "", written, flags=re.DOTALL)
    found += tuple((ord(singles[i]), ord(singles[i + 1])) for i in range(0, len(singles), 2))
    ranges = tuple(sorted(found))
    return complement(ranges) if name.startswith("^") else ranges


@functools.lru_cache(maxsize=64)
def unicode_class(name: str) -> Ranges | None:
    """``\\p{Lu}``, ``\\p{L}``, ``\\p{Greek}``: a general category, or a script by the names of its characters."""
    if name == "Any":
        return ((0, sys.maxunicode),)
    if _CATEGORY.fullmatch(name):
        return _ranges(lambda c: unicodedata.category(c).startswith(name)) or None
    if name not in _SCRIPTS:
        return None
    beginnings = _NAMES.get(name, (name.upper() + " ",))

    def belongs(c: str) -> bool:
        return unicodedata.category(c)[0] in "LMNS" and unicodedata.name(c, "").startswith(beginnings)

    return _ranges(belongs)


def _ranges(belongs: Callable[[str], bool]) -> Ranges:
    found: list[tuple[int, int]] = []
    for code in range(sys.maxunicode + 1):
        if belongs(chr(code)):
            if found and found[-1][1] == code - 1:
                found[-1] = (found[-1][0], code)
            else:
                found.append((code, code))
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """All characters that are not in *ranges*, which are in order."""
    found, start = [], 0
    for first, last in ranges:
        if first > start:
            found.append((start, first - 1))
        start = last + 1
    return (*found, (start, sys.maxunicode)) if start <= sys.maxunicode else tuple(found)


def in_bracket(ranges: Iterable[tuple[int, int]]) -> str:
    """*ranges* as they stand between brackets."""
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
