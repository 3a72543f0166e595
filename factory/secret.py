"""Secrets as a type, and the redactor that keeps them out of everything that is written.

A ``Secret`` never shows its value by accident: ``str``, ``repr``, ``format`` and JSON give ``********``. A
``Redactor`` knows every secret of a build and replaces it in each encoding in which it may leak: plain, shell-quoted,
JSON-escaped (also for HTML), XML-escaped, URL-encoded, base64 (at each of the three alignments), hex, and line by line.
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
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield _replaced(json.dumps(value)[1:-1], _JSON_IN_HTML)
    for quotes in _XML_QUOTES:
        yield _replaced(value, {**_XML, **quotes})
    yield urllib.parse.quote(value, safe="")
    yield urllib.parse.quote(value)
    yield urllib.parse.quote_plus(value)
    raw = value.encode()
    for lead in range(3):
        # The middle of a base64 text depends only on the alignment: drop the characters that neighbours can change.
        encoded = base64.b64encode(b"\0" * lead + raw).decode().rstrip("=")
        start = (0, 2, 3)[lead]
        end = len(encoded) if (lead + len(raw)) % 3 == 0 else len(encoded) - 1
        if end - start >= 8:
            yield encoded[start:end]
            yield encoded[start:end].replace("+", "-").replace("/", "_")
    yield raw.hex()
    yield raw.hex().upper()
    for line in value.splitlines():
        if line.strip() and line != value:
            yield line.strip()


class Redactor:
    """Replaces known secrets in text. Cheap when it knows none."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for value in secrets:
            self.add(value)

    def add(self, value: str | Secret[str]) -> None:
        """Makes *value* known, in every encoding."""
        text = value.reveal() if isinstance(value, Secret) else value
        if len(text) < SHORTEST:
            return
        self._spellings.update(s for s in encodings(text) if len(s) >= SHORTEST)
        # Longest first, so that a secret which contains another is masked whole.
        ordered = sorted(self._spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text
