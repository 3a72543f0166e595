"""Secrets as a type, and the redactor that keeps them out of everything that is written.

A ``Secret`` never shows its value by accident: ``str``, ``repr``, ``format`` and JSON give ``********``. A
``Redactor`` knows every secret of a build and replaces it in each encoding in which it may leak: plain, shell-quoted,
JSON-escaped (also for HTML), XML-escaped, URL-encoded, base64 (at each of the three alignments, of UTF-16 too, and any
piece of it that is worth mentioning), hex, as shells and QEMU's options spell it, line by line, and broken in two by a
console, or by a program that wraps its lines, marks that and draws a frame around them.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
MASK = "********"
SHORTEST = 4
"""Values shorter than this many characters are not masked: replacing every 'a' would destroy the log."""

_GRAM = 16
"""Characters of base64 or hex that are a piece of a secret: eight bytes or more of it, in a row."""
_CODE_RUN = re.compile(r"[A-Za-z0-9+/=_-]{16,}")
_MARKS = r" \\│|┃║*"
"""What stands at a break: GRUB's backslash, the sides of a frame, and the blanks beside them."""
_ORDER = r"\x1b\[[0-?]*[ -/]*[@-~]"
"""To a terminal: a program that fills the screen writes no line's end, it goes to another place."""
_BREAK = f"(?:[{_MARKS}]*(?:[\\r\\n]|{_ORDER})[{_MARKS}\\r\\n]*(?:{_ORDER}[{_MARKS}\\r\\n]*)*)?"
_BROKEN = re.compile(r"[\r\n\x1b]")
_BREAKING = re.compile(f"{_ORDER}|[{_MARKS}\\r\\n]+")
_AROUND = 1024
"""More than the characters beside a spelling that a pattern takes or looks at, and those of a few breaks."""


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


_JSON_IN_HTML: tuple[Mapping[str, str], ...] = (
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"},
    {"<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "'": "\\u0027", "+": "\\u002B", "`": "\\u0060", '\\"': "\\u0022"},
)
"""What Jinja's ``tojson`` and .NET's ``System.Text.Json`` write beyond JSON's own escapes."""
_XML: Mapping[str, str] = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_XML_QUOTES: tuple[Mapping[str, str], ...] = (
    {},
    {'"': "&quot;"},
    {'"': "&quot;", "'": "&apos;"},
    {'"': "&quot;", "'": "&#x27;"},
    {'"': "&#34;", "'": "&#39;"},
    {'"': "&#34;", "'": "&#39;", "+": "&#43;"},
)
"""As writers of XML and HTML differ in it."""


def _replaced(text: str, characters: Mapping[str, str]) -> str:
    return re.sub("|".join(map(re.escape, characters)), lambda found: characters[found[0]], text)


def encodings(value: str) -> Iterator[str]:
    """Yields every spelling under which *value* may appear in a log or a file, the plain one first."""
    yield value
    yield shlex.quote(value)
    yield value.replace("'", "'\\''")
    yield re.sub(r"([^\w@%+=:,./-])", r"\\\1", value)  # printf %q
    yield re.sub(r'(["$`\\])', r"\\\1", value)  # inside of double quotes
    yield from _in_argv(value)
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
        yield text.replace("/", "\\/")  # PHP
    for characters in _JSON_IN_HTML:
        yield _replaced(json.dumps(value)[1:-1], characters)
    for quotes in _XML_QUOTES:
        yield _replaced(value, {**_XML, **quotes})
    for spelling in ("&#{0};", "&#x{0:x};", "&#x{0:X};"):
        yield re.sub(r"[^\w\s.,-]", lambda found, form=spelling: form.format(ord(found[0])), value)  # type: ignore[misc]
    for quoted in (
        *(urllib.parse.quote(value, safe=safe) for safe in ("", "/", "!'()*")),  # the last is JavaScript's
        *(urllib.parse.quote_plus(value, safe=safe) for safe in ("", "!()*")),  # and .NET's
    ):
        yield quoted
        yield re.sub(r"%..", lambda found: found[0].lower(), quoted)
    yield from codes(value)
    for line in value.splitlines():
        if line.strip() and line != value:
            yield line.strip()


def codes(value: str) -> Iterator[str]:
    """The spellings of *value* of which any piece gives a part of it away: programs wrap them as they like."""
    raw = value.encode()
    for spelling in (*_base64(raw), *_base64(value.encode("utf-16-le"))):
        yield spelling.text
    yield raw.hex()
    yield raw.hex().upper()


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


_RUN = re.compile(r"(.)\1*", re.DOTALL)
_REPEATED = re.compile(r"(.)\1+", re.DOTALL)


def _single(text: str) -> str:
    """With each character once where it stands several times in a row."""
    return _REPEATED.sub(r"\1", text)


def _bare(text: str) -> str:
    """Without all that may stand at a break, wherever it stands: what is not in this is nowhere in *text*."""
    return _BREAKING.sub("", text)


def _stuttered(spelling: str) -> str:
    """A pattern for *spelling* in which any character may stand more often than it should, and lines may break."""
    runs = ((re.escape(found[1]), len(found[0])) for found in _RUN.finditer(spelling))
    each = (c if more else f"{c}+" for c, n in runs for more in range(n - 1, -1, -1))
    return _BREAK.join(each)


class Redactor:
    """Replaces known secrets in text. Cheap when it knows none, and where there is none."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._around: dict[str, tuple[str, str]] = {}  # spelling → patterns for what is masked with it
        self._pattern: re.Pattern[str] | None = None
        self._grams: set[str] = set()  # pieces of base64 and hex
        self._plain: set[str] = set()  # as it is typed
        self._bare: dict[str, str] = {}  # spelling → without what may stand at a break, the longest spelling first
        self._single: dict[str, str] = {}  # the same, with each character once
        self._reach = 0
        for value in secrets:
            self.add(value)

    def add(self, value: str | Secret[str]) -> None:
        """Makes *value* known, in every encoding."""
        text = value.reveal() if isinstance(value, Secret) else value
        if len(text) < SHORTEST:
            return
        self._around.update((s, ("", "")) for s in encodings(text) if len(s) >= SHORTEST)
        self._around.update((found.text, (found.before, found.after)) for found in _base64(text.encode()))
        for code in codes(text):
            self._grams.update(code[i : i + _GRAM] for i in range(len(code) - _GRAM + 1))
        self._plain.add(text)
        # Longest first, so that a secret which contains another is masked whole.
        ordered = sorted(self._around, key=len, reverse=True)
        self._pattern = self._any_of(ordered, re.escape)
        self._bare = {spelling: _bare(spelling) for spelling in ordered}
        self._single = {spelling: _single(bare) for spelling, bare in self._bare.items()}
        self._reach = 2 * len(ordered[0]) + _AROUND

    def __call__(self, text: str) -> str:
        if self._pattern is None:
            return text
        if self._in(text):
            text = self._pattern.sub(MASK, text)
        if _BROKEN.search(text) and (broken := self._broken_in(text)):
            text = broken.sub(MASK, text)
        return _CODE_RUN.sub(self._without_pieces, text)

    @property
    def values(self) -> frozenset[str]:
        """What is known, in clear: for those who look for it where no spelling of it stands."""
        return frozenset(self._plain)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """From where to where *text*, which nothing breaks, shows a secret in any encoding: begin and end."""
        if self._pattern is None or not self._in(text):
            return []
        return [found.span() for found in self._pattern.finditer(text)]

    def _broken_in(self, text: str) -> re.Pattern[str] | None:
        whole = _bare(text)
        may = [spelling for spelling, bare in self._bare.items() if bare in whole]
        return self._any_of(may, lambda spelling: _BREAK.join(map(re.escape, spelling))) if may else None

    def _without_pieces(self, run: re.Match[str]) -> str:
        text, end = run[0], 0  # up to *end* it is told or masked
        kept: list[str] = []
        for i in range(len(text) - _GRAM + 1):
            if text[i : i + _GRAM] in self._grams:
                if i > end or not kept:
                    kept += [text[end:i], MASK]
                end = i + _GRAM
        return "".join([*kept, text[end:]]) if kept else text

    def finds(self, pieces: Iterable[str]) -> bool:
        """Whether ``masked`` has something to mask."""
        kept = ""
        for piece in pieces:
            kept = kept[-self._reach :] + piece if self._reach else ""
            if (pattern := self._pattern_for(kept)) and pattern.search(kept):
                return True
        return False

    def masked(self, pieces: Iterable[str]) -> Iterator[str]:
        """Masks a log that comes in *pieces*, also a secret that two of them share. Holds little more than a piece.

        In a log of QEMU's a character may stand twice: it is written again for each time that the line was busy.
        """
        kept = ""
        for piece in pieces:
            done, kept = self._beginning(kept + piece)
            yield done
        pattern = self._pattern_for(kept)
        yield pattern.sub(MASK, kept) if pattern else kept

    def _in(self, text: str) -> bool:
        # Many times faster than the pattern, which is left with what has something to mask.
        return any(spelling in text for spelling in self._around)

    def _any_of(self, spellings: Iterable[str], pattern_of: Callable[[str], str]) -> re.Pattern[str]:
        around = ((spelling, *self._around[spelling]) for spelling in spellings)
        return re.compile("|".join(f"{before}{pattern_of(text)}{after}" for text, before, after in around))

    def _pattern_for(self, log: str) -> re.Pattern[str] | None:
        """Of what may be in *log*: a pattern of all spellings takes a hundred times as long."""
        once = _single(_bare(log))
        may = [spelling for spelling, single in self._single.items() if single in once]
        return self._any_of(may, _stuttered) if may else None

    def _beginning(self, text: str) -> tuple[str, str]:
        """What of *text* no further text can change, masked; and the rest as it is."""
        sure, position, parts = max(0, len(text) - self._reach), 0, []
        pattern = self._pattern_for(text)
        for found in pattern.finditer(text) if pattern else ():
            if found.start() >= sure:
                break
            parts += [text[position : found.start()], MASK]
            position = found.end()
        cut = max(position, sure)
        return "".join([*parts, text[position:cut]]), text[cut:]
