"""Checks a candidate: are the bytes around a trigger, as they are or decoded, a secret of a shape, or a known one?"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from factory.seal.secret_shapes import LINE_END, Shape

_BREAK = rb"(?:" + LINE_END + rb"){0,64}"
_CODE = rb"A-Za-z0-9+/_-"
_RUN = re.compile(rb"(?:" + LINE_END + rb"|[" + _CODE + rb"])++")
_ENDS = re.compile(rb"(?:" + LINE_END + rb")++")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class Check(Protocol):
    """What is done where a trigger was found."""

    @property
    def name(self) -> str: ...

    @property
    def reach(self) -> tuple[int, int]:
        """Bytes before and behind the begin of the trigger that ``find`` wants to see."""

    def find(self, window: bytes, at: int) -> tuple[int, bytes] | None:
        """Where the secret begins to which the trigger at *at* belongs, and itself; None where there is none."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A shape as it is."""

    shape: Shape

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def reach(self) -> tuple[int, int]:
        return self.shape.reach

    def find(self, window: bytes, at: int) -> tuple[int, bytes] | None:
        found = _match(self.shape, window, at)
        return (found.start(), found[0]) if found is not None else None


@dataclass(frozen=True, slots=True)
class InUtf16:
    """A shape as Windows' programs write text: PowerShell's ``>``, the registry."""

    shape: Shape

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def reach(self) -> tuple[int, int]:
        return 2 * self.shape.reach[0], 2 * self.shape.reach[1]

    def find(self, window: bytes, at: int) -> tuple[int, bytes] | None:
        odd = at % 2
        low, high = window[odd::2], window[odd + 1 :: 2]
        found = _match(self.shape, low, at // 2)
        if found is None or high[found.start() : found.end()].strip(b"\0"):
            return None
        return odd + 2 * found.start(), found[0]


@dataclass(frozen=True, slots=True)
class InBase64:
    """A shape in base64, in one line or wrapped, as text of either kind.

    ``lead``: how many characters of its group of four stand before the trigger.
    """

    shape: Shape
    lead: int
    reach: ClassVar[tuple[int, int]] = (1024, 8192)

    @property
    def name(self) -> str:
        return self.shape.name

    def find(self, window: bytes, at: int) -> tuple[int, bytes] | None:
        start = max((run.start() for run in _RUN.finditer(window, 0, at) if run.end() == at), default=at)
        behind = _RUN.match(window, at)
        head = _ENDS.sub(b"", window[start:at])
        tail = _ENDS.sub(b"", behind[0] if behind is not None else b"")
        cut = (len(head) - self.lead) % 4
        code = (head + tail)[cut:].translate(_URL_SAFE)
        raw = base64.b64decode(code[: len(code) // 4 * 4])
        text = raw.replace(b"\0", b"")  # of UTF-16
        before = raw[: (len(head) - cut) // 4 * 3].replace(b"\0", b"")
        found = _match(self.shape, text, len(before) + 2)  # somewhere in the trigger
        if found is None:
            return None
        # All triggers of one secret tell the same begin, so that it is one hit.
        first = next(itertools.islice((n for n, byte in enumerate(raw) if byte), found.start(), None))
        return _place(window, start, cut + first * 4 // 3), found[0]


def _place(window: bytes, start: int, number: int) -> int:
    """Where in *window* that character of base64 is, counted from *start* on without what ends lines."""
    for ends in _ENDS.finditer(window, start):
        if ends.start() - start > number:
            break
        number += len(ends[0])
    return start + number


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A known secret's code in lines, whatever a program has put between them."""

    name: str
    code: str
    reach: ClassVar[tuple[int, int]] = (512, 512)

    def find(self, window: bytes, at: int) -> tuple[int, bytes] | None:
        pattern = _BREAK.join(re.escape(c).encode() for c in self.code)
        for found in re.finditer(pattern, window):
            if found.start() <= at < found.end():
                return found.start(), b""
        return None


def _match(shape: Shape, window: bytes, at: int) -> re.Match[bytes] | None:
    for match in shape.pattern.finditer(window):
        if match.start() <= at < match.end() and shape.matches(match):
            return match
    return None


def checks_of(shape: Shape) -> Iterator[tuple[bytes, Check]]:
    """What to look for, and what to do there."""
    for trigger in shape.triggers:
        yield trigger, Plain(shape)
        yield trigger.decode().encode("utf-16-le"), InUtf16(shape)
    for trigger in shape.triggers if shape.is_in_base64 else ():
        for raw in (trigger, trigger.decode().encode("utf-16-le")):
            for lead in range(3):
                code, before = _in_base64(raw, lead), (0, 2, 3)[lead]
                # Any column may be the last of a line: of a code that is broken once at the most, one half is whole.
                middle = len(code) // 2
                yield code[:middle], InBase64(shape, before)
                yield code[middle:], InBase64(shape, (before + middle) % 4)


def _in_base64(raw: bytes, lead: int) -> bytes:
    """Of a base64 text, what *raw* with *lead* bytes before it in its group of three alone decides."""
    encoded = base64.b64encode(bytes(lead) + raw).rstrip(b"=")
    return encoded[(0, 2, 3)[lead] : None if (lead + len(raw)) % 3 == 0 else -1]


def checks_of_code(name: str, code: str) -> Iterator[tuple[bytes, Check]]:
    """Of a code that is broken once at the most, one half is whole."""
    middle = -(-len(code) // 2)
    for half in dict.fromkeys((code[:middle], code[middle:])):
        yield half.encode(), Wrapped(name, code)
