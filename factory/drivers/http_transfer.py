"""One try of a download over HTTP: going on where the part before it ends, if the server still has that very file."""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import StepError
from factory.events import Emit, Note, Progress
from factory.quantity import Size

if TYPE_CHECKING:
    import httpx

_REPORT_EVERY = Size(2**20)
_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Begun:
    """What the part was begun with: the file's ETag or date, and its length; empty and 0 where it was not said."""

    version: str = ""
    total: int = 0

    @classmethod
    def of(cls, part: Path) -> _Begun:
        try:
            version, total = json.loads(_note(part).read_text())
            return cls(str(version), int(total))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, part: Path) -> None:
        _note(part).write_text(json.dumps([self.version, self.total]))

    def fits(self, answer: httpx.Response, total: int) -> bool:
        """Whether *answer* is of the same file. What the server does not say is not held against it."""
        header = "ETag" if self.version.startswith('"') else "Last-Modified"
        if self.version and answer.headers.get(header, self.version) != self.version:
            return False
        return not (self.total and total) or self.total == total


async def transfer(connection: httpx.AsyncClient, url: str, part: Path, emit: Emit) -> bool:
    """One try. True when the file is whole. Raises: httpx.HTTPError, OSError, StepError."""
    begun = _Begun.of(part)
    have = part.stat().st_size if part.exists() and begun.version else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.version}
    async with connection.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416:
            if _is_all_there(answer, have, begun):  # the process before ended while it was hashing
                emit(Progress(_shown_name(url), have, have))
                return True
            forget(part)  # longer than the file: begin again
            part.unlink(missing_ok=True)
            return False
        answer.raise_for_status()
        if (coding := answer.headers.get("Content-Encoding", "identity").strip().lower()) not in ("", "identity"):
            # Whether the vendor's file is what was packed or what is inside can't be told, nor can it be gone on with.
            message = f"can't download {url}: the server packs it for the way ({coding}), though it was asked not to"
            raise StepError(message, hint="name another mirror, or download it yourself and use `path`")
        if answer.status_code == 206:
            start, total = _place(answer)
            if start != have or not begun.fits(answer, total):
                emit(Note(f"{url}: the server goes on with something else: downloading all of it", "warning"))
                forget(part)
                part.unlink(missing_ok=True)
                return False
            total = total or begun.total
        else:
            have, total = 0, int(answer.headers.get("Content-Length", 0))
        if not have:
            version = answer.headers.get("ETag", "") or answer.headers.get("Last-Modified", "")
            _Begun("" if version.startswith("W/") else version, total).write(part)
        have = await _write(answer, part, have, Progress(_shown_name(url), have, total), emit)
    return not total or have == total


async def _write(answer: httpx.Response, part: Path, have: int, bar: Progress, emit: Emit) -> int:
    """Adds what comes to *part*, after the *have* bytes that it has. Returns how many it has then."""
    told = have
    with part.open("ab" if have else "wb") as stream:
        # As it comes: pieces of a given size would be lost with the connection, and the next try begin before them.
        async for chunk in answer.aiter_bytes():
            stream.write(chunk)
            have += len(chunk)
            if have - told >= _REPORT_EVERY:
                told = have
                emit(Progress(bar.task, have, bar.total))
    emit(Progress(bar.task, have, have))
    return have


def _place(answer: httpx.Response) -> tuple[int, int]:
    """Where a 206 begins, and the length of the whole file (0 for unknown); -1 when it does not say."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if match is None:
        return -1, 0
    return int(match[1]), 0 if match[3] == "*" else int(match[3])


def _is_all_there(answer: httpx.Response, have: int, begun: _Begun) -> bool:
    """Whether a 416 says that the file ends where our part does (RFC 9110, 15.5.17: ``Content-Range: bytes */N``).

    ``If-Range`` was sent with it, so the file is the one that the part is of, unless the answer says otherwise.
    """
    unit, _, size = answer.headers.get("Content-Range", "").partition("*/")
    return unit.strip() == "bytes" and size.strip() == str(have) and begun.fits(answer, have)


def _shown_name(url: str) -> str:
    return Path(urllib.parse.urlsplit(url).path).name or url


def _note(part: Path) -> Path:
    return part.with_suffix(".etag")


def forget(part: Path) -> None:
    """Removes what was noted about *part*: it is whole, wrong, or to begin again."""
    _note(part).unlink(missing_ok=True)


def client() -> httpx.AsyncClient:
    """Follows redirects, and uses the proxy that the environment names."""
    import httpx

    return httpx.AsyncClient(follow_redirects=True, timeout=httpx.Timeout(60, connect=20), trust_env=True)


def network_errors() -> tuple[type[Exception], ...]:
    """What a try may end with that is the server's or the network's doing."""
    import httpx

    return (httpx.HTTPError, httpx.InvalidURL)


def is_final(error: Exception) -> bool:
    """Whether the next try could only end the same."""
    import httpx

    if isinstance(error, (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return True
    status = _status(error)
    return 300 <= status < 500 and status not in (408, 416, 429)


def what_it_says(error: Exception) -> str:
    """*error* in one line; of httpx' own words for a status and a redirect nothing."""
    import httpx

    if status := _status(error):
        return f"the server says {status}"
    if isinstance(error, httpx.TooManyRedirects):
        return "the server redirects again and again"
    if isinstance(error, httpx.UnsupportedProtocol):
        return f"it leads to {error.request.url}, which is neither http nor https"
    return str(error).partition("\n")[0] or type(error).__name__


def unreachable(url: str, error: Exception | None) -> StepError:
    """The error of a download whose last try ended with *error*, or with less than the whole file."""
    import httpx

    if error is None:
        hint = "is there a proxy between, or a mirror that is being updated?"
        return StepError(f"can't download {url}: what the server sends is not the whole file", hint=hint)
    status = _status(error)
    if isinstance(error, (httpx.TooManyRedirects, httpx.UnsupportedProtocol)):
        hint = "open it in a browser to see where it leads; name the file's own address, or another mirror"
    elif status in (408, 429) or status >= 500:
        hint = "the server is busy or out of order: try again later, or name a mirror under `urls`"
    elif status:
        hint = "is the URL right? vendors remove old releases"
    else:
        hint = "is there a network, or a proxy to be set?"
    return StepError(f"can't download {url}: {what_it_says(error)}", hint=hint)


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0))
