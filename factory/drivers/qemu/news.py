"""Tells what a guest says for the first time from what it says again: a kernel that hangs repeats itself for ever.

Lines are compared without what differs from one report of the same thing to the next: the time, counters, addresses,
registers. What tells progress stays: words, a share of a hundred, ``[12/345]``, and a line that grows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_BREAK = re.compile(r"\x1b\[[0-?]*[ -/]*[@-gi-kn-~]|\x1b[78DEMc]|[\r\n\b\f]")
"""Where another line begins, or an old one is written over: ECMA-48's sequences but those that set a colour or mode."""
_VARIES = re.compile(
    r"(?P<share>\d{1,3})(?:[.,]\d+)? ?(?P<of>%)|(?P<count>[\[(]\d+/\d+[\])])"
    r"|\x1b(?:\[[0-?]*[ -/]*[@-~]?|[@-Z\\-_])?"
    r"|=[0-9a-f]+\b|0x[0-9a-f]*|\b(?=[a-f]*\d)[0-9a-f]+\b|\b[0-9a-f]{8,}\b|\b[0-9a-f]{2}\b|[\d\s\x00-\x1f]",
    re.IGNORECASE,
)
_TRACE = re.compile(
    r"\brcu(?:_\w+)?: |\+0x[0-9a-f]+/0x[0-9a-f]+|\bCode: (?:<?[0-9a-f]{2}>? ){4}"
    r"|\b(?:[RE][A-Z0-9]{2}|CR\d|[C-GS]S): *(?:[0-9a-f]{4}:)?[0-9a-f]{8}"
)
"""Lines of a Linux kernel's report on a processor that is stuck: where it was stuck tells of no progress."""
_HALF = re.compile(r"\b[0-9a-fx]+$", re.IGNORECASE)
"""The end of a line that may be a number cut in two."""
_LONGEST = 64 * 1024
_MOST = 100_000


class News:
    """Remembers what one guest has said."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._open = ""

    def hear(self, text: str) -> bool:
        """Takes what a stream carried next. True when it says anything new."""
        *whole, rest = _BREAK.split(self._open + text)
        before, self._open = _gist(_HALF.sub("", self._open)), rest[-_LONGEST:]
        new = self._learn(whole)
        start = _gist(_HALF.sub("", self._open))
        if not start or self._has_begun_so(start) or _TRACE.search(self._open):
            return new
        if start.startswith(before):
            self._known.discard(before)  # the same line, grown
        self._known.add(start)
        return True

    def see(self, lines: Iterable[str]) -> bool:
        """Takes a screen's lines. True when they say anything new; the last one may not be whole yet."""
        said = [line for line in lines if _gist(line)]
        *whole, last = said or [""]
        start = _gist(_HALF.sub("", last))
        new = self._learn(whole)
        if self._has_begun_so(start):
            return new
        return self._learn([last]) or new

    def _learn(self, lines: Iterable[str]) -> bool:
        if len(self._known) > _MOST:
            self._known.clear()
        new = False
        for line in lines:
            gist = _gist(line)
            if gist and gist not in self._known:
                self._known.add(gist)
                new = new or not _TRACE.search(line)
        return new

    def _has_begun_so(self, start: str) -> bool:
        return start in self._known or any(known.startswith(start) for known in self._known)


def _gist(line: str) -> str:
    """What is compared of a line."""
    return _VARIES.sub(lambda found: found["count"] or f"{found['share'] or ''}{found['of'] or ''}", line)
