"""What a request to the seed server asks for: names, ranges, and the nearest name to a wrong one.

Pure functions over texts from the network, kept apart from the server so that they can be tested exhaustively.
"""

from __future__ import annotations

import difflib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

MARKS = "_events"
"""A request to ``/<token>/_events/<word>`` is a guest's way to say that something happened."""

_AUTHORITY = re.compile(r"\A[Hh][Tt][Tt][Pp]://[^/]*")
_MARK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RANGE = re.compile(r"bytes=([0-9]{0,20})-([0-9]{0,20})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``start`` to ``end``, ``end`` not included."""

    start: int
    end: int


class RangeNotSatisfiable(ValueError):
    """The range begins after the end of the file (HTTP 416)."""


def origin_form(path: str) -> str:
    """A URL path without the ``http://host:port`` that a client may write before it, as to a proxy.

    RFC 9112 §3.2.2: a server must take this form, too.

    >>> origin_form("http://10.0.2.2:8000/token/seed")
    '/token/seed'
    """
    return _AUTHORITY.sub("", path)


def split_token(path: str, token: str) -> str | None:
    """The part of a decoded URL path behind its token, or None when the token is another one or missing.

    The comparison takes the same time wherever they differ.
    """
    first, _, rest = path.lstrip("/").partition("/")
    return rest if hmac.compare_digest(first.encode("utf-8", "surrogatepass"), token.encode()) else None


def clean_name(rest: str) -> str | None:
    """A decoded path as a relative name, or None for one that could lead out of a folder.

    Doubled slashes collapse, because installers join ``url/`` and ``/name``; a trailing slash is a folder, and
    folders are never listed.

    >>> clean_name("a//b.cfg")
    'a/b.cfg'
    >>> clean_name("../etc/passwd") is None
    True
    """
    parts = [part for part in rest.split("/") if part]
    if not parts or rest.endswith("/") or any(part in (".", "..") for part in parts):
        return None
    if "\\" in rest or any(ord(character) < 32 or ord(character) == 127 for character in rest):
        return None
    return "/".join(parts)


def mark_of(name: str) -> str | None:
    """The word of a phone-home mark, None when *name* is an ordinary file."""
    folder, _, word = name.partition("/")
    return word if folder == MARKS and _MARK.fullmatch(word) else None


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The one range asked for, None when the whole file is to be sent.

    Several ranges, another unit or a malformed header mean the whole file (RFC 9110 §14.2 allows to ignore them).
    Raises: RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise RangeNotSatisfiable(f"an empty end of {size} bytes")
        return ByteRange(size - length, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable(f"byte {start} of {size}")
    return ByteRange(start, min(int(last) + 1, size) if last else size)


def closest(name: str, names: Iterable[str]) -> Sequence[str]:
    """Up to three of *names* that *name* may have meant, the best first."""
    known = sorted(names)
    same_file = [k for k in known if k.rsplit("/", 1)[-1].lower() == name.rsplit("/", 1)[-1].lower()]
    similar = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return list(dict.fromkeys([*same_file, *similar]))[:3]


def file_below(root: Path, name: str) -> Path | None:
    """The regular file *name* below *root*, None when there is none or when a link leads out of *root*."""
    cleaned = clean_name(name)
    if cleaned is None or name.startswith("/"):
        return None
    try:
        resolved = (root / cleaned).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # missing, a loop of links, a name the system can't hold
        return None
    return resolved if resolved.is_relative_to(root.resolve()) and resolved.is_file() else None
