"""Media from elsewhere: downloads that go on where they ended, are checked, and are kept by their content.

Layout of the store::

    by-digest/<sha256>           a file that was downloaded and checked
    parts/<sha256 of URL>.part   one that is on its way (``.etag`` beside it says of which version)
    parts/<sha256 of URL>.wrong  the newest that had the wrong checksum, to be looked at until it is fetched again
    sums/<sha256 of URL>         the newest copy of a SUMS file, for when there is no network
    index.json                   URL + checksum → sha256; path → stamp and sha256 of local files
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from factory.deadline import Deadline, pause
from factory.digest import file_digest
from factory.drivers.checksums import Checksum, find_in_sums, parse_checksum
from factory.drivers.download_index import Index, lock
from factory.errors import StepError, StoreError
from factory.events import Emit, Note, Progress
from factory.quantity import Duration, Size

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 4
"""Tries per URL, each going on where the last one ended."""
LARGEST_SUMS = Size(8 * 2**20)
_REPORT_EVERY = Size(2**20)
_WAIT_BEFORE_RETRY = Duration(0.5)
"""Doubled with each try."""
_WAIT_FOR_OTHER = Duration(6 * 3600)


class MediaDownloads:
    """``protocols.Downloader``."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._index = Index(store / "index.json")

    async def fetch(self, urls: Sequence[str], checksum: str, *, emit: Emit) -> tuple[Path, str]:
        """See the Protocol. Two builds that want the same file download it once."""
        if all(_is_local(url) for url in urls):
            return await self.local(_local_path(urls[0]), checksum, emit=emit)
        for folder in ("by-digest", "parts", "sums"):
            (self._store / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        expected = await self._expected(urls, checksum, emit)
        if expected is None:
            emit(Note(f"{urls[0]} is not checked: its checksum is `none`", "warning"))
        name = f"{urls[0]} {expected or ''}"
        async with lock(
            self._store / "parts" / f"{_name_of(urls[0])}.lock", Deadline.after(_WAIT_FOR_OTHER, "a download")
        ):
            for url in urls:
                (self._store / "parts" / f"{_name_of(url)}.wrong").unlink(missing_ok=True)
            known = await self._known(name, expected)
            return known or await self._download(urls, expected, name, emit)

    async def local(self, path: Path, checksum: str, *, emit: Emit) -> tuple[Path, str]:
        """See the Protocol. A local file is used where it lies."""
        if not path.is_file():
            raise StepError(f"there is no file {path}", hint="is the path right, and is the disk mounted?")
        digest = await asyncio.to_thread(self._index.digest_of_local, path)
        if checksum and checksum != "none":
            expected = await self._expected([path.as_uri()], checksum, emit)
            assert expected is not None
            actual = Checksum("sha256", digest)
            if expected.algorithm != "sha256":
                actual = await asyncio.to_thread(expected.of, path)
            if actual != expected:
                raise _wrong(str(path), expected, actual)
        return path, digest

    async def identity(self, urls: Sequence[str], checksum: str) -> str:
        """See the Protocol."""
        expected = await self._expected(urls, checksum, lambda event: None)
        return str(expected) if expected else f"unchecked:{urls[0]}"

    # --- checksums -------------------------------------------------------------------------------------------------

    async def _expected(self, urls: Sequence[str], checksum: str, emit: Emit) -> Checksum | None:
        if checksum in ("", "none"):
            return None
        if not checksum.startswith("file:"):
            return parse_checksum(checksum)
        origin = checksum.removeprefix("file:")
        names = [_file_name(url) for url in urls]
        return find_in_sums(await self._sums(origin, emit), names, origin)

    async def _sums(self, origin: str, emit: Emit) -> str:
        """A SUMS file; from memory, with a warning, when it can't be had now."""
        _expect_url(origin)
        if _is_local(origin):
            return await asyncio.to_thread(_read_local_sums, _local_path(origin))
        copy = self._store / "sums" / _name_of(origin)
        try:
            async with _client() as client:
                answer = await client.get(origin)
                answer.raise_for_status()
            if len(answer.content) > LARGEST_SUMS:
                raise StepError(f"{origin} is too large for a SUMS file ({Size(len(answer.content))})")
            text = answer.text
        except _network_errors() as error:
            if copy.exists():
                emit(Note(f"{origin} can't be had now ({error}): using the copy from before", "warning"))
                return copy.read_text(errors="replace")
            raise _unreachable(origin, error) from error
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy.write_text(text)
        return text

    async def _known(self, name: str, expected: Checksum | None) -> tuple[Path, str] | None:
        digest = expected.hex if expected and expected.algorithm == "sha256" else self._index.downloaded(name)
        if not digest:
            return None
        path = self._store / "by-digest" / digest
        if not path.is_file():
            return None
        if await asyncio.to_thread(self._index.digest_of_local, path) != digest:
            path.rename(path.with_suffix(".damaged"))
            return None
        return path, digest

    # --- downloading -----------------------------------------------------------------------------------------------

    async def _download(
        self, urls: Sequence[str], expected: Checksum | None, name: str, emit: Emit
    ) -> tuple[Path, str]:
        failures: list[StepError] = []
        for number, url in enumerate(urls, 1):
            try:
                return await self._from_mirror(url, expected, name, emit)
            except StepError as error:
                failures.append(error)
                if number < len(urls):
                    emit(Note(f"{error.message}: trying the next mirror", "warning"))
        if len(failures) == 1:
            raise failures[0]
        message = f"none of {len(urls)} mirrors has it: {'; '.join(dict.fromkeys(e.message for e in failures))}"
        raise StepError(message, hint="; ".join(dict.fromkeys(e.hint for e in failures if e.hint)))

    async def _from_mirror(self, url: str, expected: Checksum | None, name: str, emit: Emit) -> tuple[Path, str]:
        part = self._store / "parts" / f"{_name_of(url)}.part"
        begun = part.exists()
        await self._whole(url, part, emit)
        if begun and not await self._is_right(url, part, expected, emit):
            await self._whole(url, part, emit)
        return await asyncio.to_thread(self._accept, url, part, expected, name)

    async def _is_right(self, url: str, part: Path, expected: Checksum | None, emit: Emit) -> bool:
        """False, and the part is gone, where what an earlier build began does not fit, as after a power cut."""
        if expected is None or await asyncio.to_thread(expected.of, part) == expected:
            return True
        emit(Note(f"{url}: what was there of it from before is damaged: downloading all of it", "warning"))
        part.unlink()
        return False

    async def _whole(self, url: str, part: Path, emit: Emit) -> None:
        """Downloads *url* into *part*, going on where an earlier try ended. Raises: StepError, StoreError."""
        last: Exception | None = None
        _expect_url(url)
        for attempt in range(ATTEMPTS):
            try:
                with _disk_errors(self._store):
                    async with _client() as client:
                        if await _transfer(client, url, part, emit):
                            return
            except _network_errors() as error:
                last = error
                status = getattr(getattr(error, "response", None), "status_code", 0)
                if 400 <= status < 500 and status not in (408, 416, 429):
                    break
                emit(Note(f"{url}: {error or type(error).__name__} (try {attempt + 1} of {ATTEMPTS})", "warning"))
                if attempt + 1 < ATTEMPTS:
                    await pause(Duration(_WAIT_BEFORE_RETRY * 2**attempt))
        raise _unreachable(url, last)

    def _accept(self, url: str, part: Path, expected: Checksum | None, name: str) -> tuple[Path, str]:
        digest = file_digest(part)
        if expected:
            actual = Checksum("sha256", digest) if expected.algorithm == "sha256" else expected.of(part)
            if actual != expected:
                part.rename(part.with_suffix(".wrong"))
                _etag(part).unlink(missing_ok=True)
                raise _wrong(url, expected, actual)
        path = self._store / "by-digest" / digest
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.rename(path)
        _etag(part).unlink(missing_ok=True)
        self._index.remember_download(name, digest, path)
        return path, digest


async def _transfer(client: httpx.AsyncClient, url: str, part: Path, emit: Emit) -> bool:
    """One try. True when the file is whole. Raises: httpx.HTTPError, OSError."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    known = _etag(part).read_text() if _etag(part).exists() else ""
    if have and known:
        headers |= {"Range": f"bytes={have}-", "If-Range": known}
    else:
        have = 0
    async with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416:
            if _is_all_there(answer, have, known):  # the process before ended while it was hashing
                emit(Progress(_shown_name(url), have, have))
                return True
            part.unlink(missing_ok=True)  # longer than the file: begin again
            return False
        answer.raise_for_status()
        if (coding := answer.headers.get("Content-Encoding", "identity").strip().lower()) not in ("", "identity"):
            # Whether the vendor's file is what was packed or what is inside can't be told, nor can it be gone on with.
            message = f"can't download {url}: the server packs it for the way ({coding}), though it was asked not to"
            raise StepError(message, hint="name another mirror, or download it yourself and use `path`")
        if answer.status_code != 206:
            have = 0
        length = int(answer.headers.get("Content-Length", 0))
        total = have + length if length else 0
        version = answer.headers.get("ETag", "") or answer.headers.get("Last-Modified", "")
        _etag(part).write_text("" if version.startswith("W/") else version)
        task = _shown_name(url)
        told = have
        with part.open("ab" if have else "wb") as stream:
            # As it comes: pieces of a given size would be lost with the connection, and the next try begin before them.
            async for chunk in answer.aiter_bytes():
                stream.write(chunk)
                have += len(chunk)
                if have - told >= _REPORT_EVERY:
                    told = have
                    emit(Progress(task, have, total))
    emit(Progress(task, have, have))
    return not total or have == total


def _is_all_there(answer: httpx.Response, have: int, known: str) -> bool:
    """Whether a 416 says that the file ends where our part does (RFC 9110, 15.5.17: ``Content-Range: bytes */N``).

    ``If-Range`` was sent with it, so the file is the one that the part is of, unless the answer says otherwise.
    """
    unit, _, size = answer.headers.get("Content-Range", "").partition("*/")
    version = answer.headers.get("ETag", known) if known.startswith('"') else known
    return unit.strip() == "bytes" and size.strip() == str(have) and version == known


def _shown_name(url: str) -> str:
    return Path(urllib.parse.urlsplit(url).path).name or url


def _file_name(url: str) -> str:
    """The name that a SUMS file would list; empty for what is no URL."""
    try:
        return Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    except ValueError:
        return ""


def _expect_url(url: str) -> None:
    """Raises: StepError for what is no URL."""
    try:
        urllib.parse.urlsplit(url)
    except ValueError as error:
        raise StepError(f"{url} is no URL: {error}", hint="an IPv6 address stands in [ ]") from error


def _client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(follow_redirects=True, timeout=httpx.Timeout(60, connect=20), trust_env=True)


def _network_errors() -> tuple[type[Exception], ...]:
    import httpx

    return (httpx.HTTPError, httpx.InvalidURL)


@contextmanager
def _disk_errors(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"no space left in {store} for the download",
                hint="free space there or set FACTORY_CACHE to a larger disk: the download goes on where it ended",
            ) from error
        raise


def _unreachable(url: str, error: Exception | None) -> StepError:
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if error is None:
        hint = "is there a proxy between, or a mirror that is being updated?"
        return StepError(f"can't download {url}: what the server sends is not the whole file", hint=hint)
    why = f"the server says {status}" if status else (str(error) or type(error).__name__)
    if status in (408, 429) or status >= 500:
        hint = "the server is busy or out of order: try again later, or name a mirror under `urls`"
    elif status:
        hint = "is the URL right? vendors remove old releases"
    else:
        hint = "is there a network, or a proxy to be set?"
    return StepError(f"can't download {url}: {why}", hint=hint)


def _wrong(origin: str, expected: Checksum, actual: Checksum) -> StepError:
    return StepError(
        f"{origin} has the wrong checksum: expected {expected}, got {actual}",
        hint="the file was not used; has the vendor released a new one under the same name?",
    )


def _is_local(origin: str) -> bool:
    try:
        return urllib.parse.urlsplit(origin).scheme in ("", "file")
    except ValueError:
        return False  # it has a host, and downloading from there says what is wrong


def _local_path(origin: str) -> Path:
    split = urllib.parse.urlsplit(origin)
    return Path(urllib.parse.unquote(split.path)) if split.scheme == "file" else Path(origin).expanduser()


def _read_local_sums(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise StepError(f"can't read the SUMS file {path}: {error.strerror}") from error


def _etag(part: Path) -> Path:
    return part.with_suffix(".etag")


def _name_of(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def remove_set_aside(store: Path) -> list[Path]:
    """Removes what downloads have put aside to be looked at: files with a wrong checksum, and damaged copies."""
    found = [*(store / "parts").glob("*.wrong"), *(store / "by-digest").glob("*.damaged")]
    for path in found:
        path.unlink(missing_ok=True)
    return found
