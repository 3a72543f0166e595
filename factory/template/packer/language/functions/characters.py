"""Texts as what people see as characters."""

from __future__ import annotations

import unicodedata

_MARKS = ("Mn", "Me", "Mc")


def _is_flag(c: str) -> bool:
    """Two of these letters make one flag."""
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def clusters(text: str) -> list[str]:
    """Splits into what people see as characters: a base and its combining marks, a joined emoji, a flag."""
    result: list[str] = []
    joined = False
    for c in text:
        extends = unicodedata.category(c) in _MARKS or c == "\u200d" or "\U0001f3fb" <= c <= "\U0001f3ff"
        extends = extends or (_is_flag(c) and bool(result) and len(result[-1]) == 1 and _is_flag(result[-1]))
        stands_alone = bool(result) and unicodedata.category(result[-1][-1]) in ("Cc", "Zl", "Zp")
        if result and (((extends or joined) and not stands_alone) or (c == "\n" and result[-1] == "\r")):
            result[-1] += c
        else:
            result.append(c)
        joined = c == "\u200d"
    return result
