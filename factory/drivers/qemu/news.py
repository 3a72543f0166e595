"""Tells what a guest says for the first time from what it says again: a kernel that hangs repeats itself for ever.

A kernel's lines are compared without what differs from one report of the same thing to the next: the time, counters,
addresses, registers. Of all others only times and addresses are left out, so that a number that grows is progress, as
words are, and a line that becomes longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from factory.control_sequences import plain

_BREAK = re.compile(r"\x1b\[[0-?]*[ -/]*[@-gi-kn-~]|\x1b[78DEMc]|[\r\n\b\f]")
"""Where another line begins, or an old one is written over: ECMA-48's sequences but those that set a colour or mode."""
_VARIES = re.compile(
    r"(?P<share>\d{1,3})(?:[.,]\d+)? ?(?P<of>%)|(?P<count>[\[(]\d+/\d+[\])])"
    r"|=[0-9a-f]+\b|0x[0-9a-f]*|\b(?=[a-f]*\d)[0-9a-f]+\b|\b[0-9a-f]{8,}\b|\b[0-9a-f]{2}\b|[\d\s\x00-\x1f]",
    re.IGNORECASE,
)
"""In a kernel's report: every number but a share of a hundred and ``[12/345]``."""
_PASSES = re.compile(
    r"\b\d+(?::\d\d)+(?:[.,]\d+)?|\b\d{4}-\d\d-\d\d|\b1\d{9}(?:\.\d+)?\b|\[\d+\](?=:)"
    r"|\d+(?:[.,]\d+)? ?(?:[mun]?s|secs?|seconds?|mins?|minutes?|h|hours?)\b"
    r"|0x[0-9a-f]*|\b(?=\d*[a-f])[0-9a-f]{8,}\b|[\s\x00-\x1f]",
    re.IGNORECASE,
)
"""In anybody else's words: clocks, dates, numbers of processes, how long something takes, and addresses."""
_KERNEL = re.compile(
    r"^\W*\[ *\d+\.\d{6}\]|\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? |^<\d>|\brcu\b|INFO: task |\bblocked for more than \d"
    r"|hung_task|\b(?:soft|hard) lockup|\bself-detected stall|\bjiffies\b|\bCPU: \d+ |\bPID: \d+ |</?(?:TASK|IRQ|NMI)>"
    r"|\bCall Trace:|\bNMI (?:backtrace|watchdog)",
    re.IGNORECASE,
)
"""A line of a Linux kernel's: with its time, or of a report on what is stuck."""
_WORD = re.compile(r"[g-z][a-z]|[a-z][g-z]", re.IGNORECASE)
"""Two letters that are no hexadecimal number: registers and code run on in a line without any."""
_WIDE = 78
"""A line of a screen that is as long goes on in the next one."""
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
        before, self._open = _start(self._open), rest[-_LONGEST:]
        new = self._learn(map(plain, whole))
        start = _start(self._open)
        if not start or self._has_begun_so(start) or _TRACE.search(plain(self._open)):
            return new
        if start.startswith(before):
            self._known.discard(before)  # the same line, grown
        self._known.add(start)
        return True

    def see(self, lines: Iterable[str]) -> bool:
        """Takes a screen's lines. True when they say anything new; the last one may not be whole yet."""
        said = [line for line in _unwrapped(lines) if _gist(line)]
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


def _unwrapped(lines: Iterable[str]) -> Iterator[str]:
    """A screen's lines, a kernel's in one piece where they were longer than the screen is wide."""
    kernels, goes_on = "", False
    rows = list(lines)
    if len(rows) > 1 and _KERNEL.match(rows[1]) and not _KERNEL.match(rows[0]):
        del rows[0]  # the rest of a line that has gone off the screen
    for line in rows:
        if goes_on and not _KERNEL.match(line):
            kernels += line
        else:
            if kernels:
                yield kernels
            kernels = line if _KERNEL.search(line) else ""
            if not kernels:
                yield line
        goes_on = bool(kernels) and len(line.rstrip()) >= _WIDE
    if kernels:
        yield kernels


def _start(line: str) -> str:
    """What is compared of a line that is not whole yet, as the serial line carried it."""
    return _gist(_HALF.sub("", plain(line)))


def _gist(line: str) -> str:
    """What is compared of a line."""
    if _WORD.search(line) and not _KERNEL.search(line) and not _TRACE.search(line):
        return _PASSES.sub("", line)
    return _VARIES.sub(lambda found: found["count"] or f"{found['share'] or ''}{found['of'] or ''}", line)
