"""Texts as what people see as characters."""

from __future__ import annotations

import unicodedata


def clusters(text: str) -> list[str]:
    """Splits into what people see as characters: a base and its combining marks, or a joined emoji."""
    result: list[str] = []
    joined = False
    for c in text:
        extends = unicodedata.combining(c) or c in "\u200d\ufe0e\ufe0f" or "\U0001f3fb" <= c <= "\U0001f3ff"
        if result and (extends or joined or (c == "\n" and result[-1] == "\r")):
            result[-1] += c
        else:
            result.append(c)
        joined = c == "\u200d"
    return result
