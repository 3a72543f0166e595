"""Secrets as a type, and the redactor that keeps them out of everything that is written.

A ``Secret`` never shows its value by accident: ``str``, ``repr``, ``format`` and JSON give ``********``. A
``Redactor`` knows every secret of a build and replaces it in each encoding in which it may leak: plain, shell-quoted,
JSON-escaped (also for HTML), XML-escaped, URL-encoded, base64 (at each of the three alignments), hex, as QEMU's options
spell it, and line by line.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
MASK = "********"
SHORTEST = 4
"""Values shorter than this many characters are not masked: replacing every 'a' would destroy the log."""

_AROUND = 8
"""More than the characters beside a spelling that a pattern takes or looks at."""


@dataclass(frozen=True, slots=True, eq=True)
class Secret(Generic[T]):
    """A value that must not be shown. ``reveal()`` is the only way to it, so that uses can be searched for."""

    _value: T

    def reveal(self) -> T:
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, spec: str) -> str:
        return MASK


_JSON_IN_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}
"""What Jinja's ``tojson`` writes beyond JSON's own escapes."""
_XML: Mapping[str, str] = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_XML_QUOTES: tuple[Mapping[str, str], ...] = (
    {},
    {'"': "&quot;"},
    {'"': "&quot;", "'": "&apos;"},
    {'"': "&quot;", "'": "&#x27;"},
    {'"': "&#34;", "'": "&#39;"},
)
"""As writers of XML and HTML differ in it."""


def _replaced(text: str, characters: Mapping[str, str]) -> str:
    return "".join(characters.get(c, c) for c in text)


def encodings(value: str) -> Iterator[str]:
    """Yields every spelling under which *value* may appear in a log or a file, the plain one first."""
    yield value
    yield shlex.quote(value)
    yield value.replace("'", "'\\''")
    yield from _in_argv(value)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield _replaced(json.dumps(value)[1:-1], _JSON_IN_HTML)
    for quotes in _XML_QUOTES:
        yield _replaced(value, {**_XML, **quotes})
    yield urllib.parse.quote(value, safe="")
    yield urllib.parse.quote(value)
    yield urllib.parse.quote_plus(value)
    raw = value.encode()
    for spelling in _base64(raw):
        yield spelling.text
    yield raw.hex()
    yield raw.hex().upper()
    for line in value.splitlines():
        if line.strip() and line != value:
            yield line.strip()


def _in_argv(value: str) -> Iterator[str]:
    """Inside a longer argument: as QEMU wants it in an option's value, and as ``shlex.join`` shows a command."""
    doubled = value.replace(",", ",,")
    yield doubled
    for text in (value, doubled):
        yield text.replace("'", "'\"'\"'")


@dataclass(frozen=True, slots=True)
class _Base64:
    """What of a base64 text depends on a secret alone, and the patterns for what shows a few of its bits on both sides.

    ``after`` takes the rest of the last group of four too, where the whole base64 text ends with that group: what is
    there is a line's end. Other text behind a secret is nobody's secret, and stays.
    """

    text: str
    before: str
    after: str

    @property
    def pattern(self) -> str:
        return f"{self.before}{re.escape(self.text)}{self.after}"


def _base64(raw: bytes) -> Iterator[_Base64]:
    """At each of the three alignments, in both alphabets."""
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + raw).decode().rstrip("=")
        start, used = (0, 2, 3)[lead], (lead + len(raw)) % 3
        end = len(encoded) if used == 0 else len(encoded) - 1
        if end - start < 8:
            continue
        firsts = {base64.b64encode(bytes([other] * lead) + raw)[start - 1] for other in range(256)} if lead else set()
        lasts = {base64.b64encode(b"\0" * lead + raw + bytes([other]))[end] for other in range(256)} if used else set()
        for code in (str, _url_safe):
            letters = code("A-Za-z0-9+/")
            before = f"[{re.escape(code(_letters(firsts)))}]?" if lead else ""
            rest = f"[{letters}]{{2}}==|[{letters}]{{3}}="
            if used:
                left = 3 - used
                last = f"[{re.escape(code(_letters(lasts)))}]"
                rest = f"{last}(?:[{letters}=]{{{left}}}(?![{letters}=]))?"
            yield _Base64(code(encoded[start:end]), before, f"(?:{rest})?")


def _letters(codes: Iterable[int]) -> str:
    return "".join(sorted(map(chr, codes)))


def _url_safe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")


class Redactor:
    """Replaces known secrets in text. Cheap when it knows none, and where there is none."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._patterns: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._reach = 0
        for value in secrets:
            self.add(value)

    def add(self, value: str | Secret[str]) -> None:
        """Makes *value* known, in every encoding."""
        text = value.reveal() if isinstance(value, Secret) else value
        if len(text) < SHORTEST:
            return
        self._patterns.update((s, re.escape(s)) for s in encodings(text) if len(s) >= SHORTEST)
        self._patterns.update((found.text, found.pattern) for found in _base64(text.encode()))
        # Longest first, so that a secret which contains another is masked whole.
        ordered = sorted(self._patterns, key=len, reverse=True)
        self._pattern = re.compile("|".join(self._patterns[spelling] for spelling in ordered))
        self._reach = len(ordered[0]) + _AROUND

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern and self._in(text) else text

    def finds(self, pieces: Iterable[str]) -> bool:
        """Whether a secret is in a text that comes in *pieces*."""
        kept = ""
        for piece in pieces:
            kept = kept[-self._reach :] + piece if self._reach else ""
            if self._in(kept):
                return True
        return False

    def masked(self, pieces: Iterable[str]) -> Iterator[str]:
        """Masks a text that comes in *pieces*, also a secret that two of them share. Holds little more than a piece."""
        kept = ""
        for piece in pieces:
            done, kept = self._beginning(kept + piece)
            yield done
        yield self(kept)

    def _in(self, text: str) -> bool:
        # Many times faster than the pattern, which is left with what has something to mask.
        return any(spelling in text for spelling in self._patterns)

    def _beginning(self, text: str) -> tuple[str, str]:
        """What of *text* no further text can change, masked; and the rest as it is."""
        sure, position, parts = max(0, len(text) - self._reach), 0, []
        for found in self._pattern.finditer(text) if self._pattern and self._in(text) else ():
            if found.start() >= sure:
                break
            parts += [text[position : found.start()], MASK]
            position = found.end()
        cut = max(position, sure)
        return "".join([*parts, text[position:cut]]), text[cut:]
