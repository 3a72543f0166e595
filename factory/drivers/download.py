"""Media from elsewhere: downloads that go on where they ended, are checked, and are kept by their content.

Layout of the store::

    by-digest/<sha256>           a file that was downloaded and checked
    parts/<sha256 of URL>.part   one that is on its way (``.etag`` beside it says of which version and length)
    parts/<sha256 of URL>.wrong  the newest that had the wrong checksum, to be looked at until it is fetched again
    sums/<sha256 of URL>         the newest copy of a SUMS file, for when there is no network
    index.json                   URL + checksum → sha256; path → stamp and sha256 of local files
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import itertools
import os
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from factory.deadline import Deadline, pause
from factory.digest import file_digest
from factory.drivers.checksums import Checksum, find_in_sums, parse_checksum
from factory.drivers.download_index import Index, lock
from factory.drivers.http_transfer import client, forget, is_final, network_errors, transfer, unreachable, what_it_says
from factory.errors import StepError, StoreError
from factory.events import Emit, Note
from factory.opening import open_content, require_content
from factory.quantity import Duration, Size

ATTEMPTS = 4
"""Tries per URL that bring nothing new, one after the other; each goes on where the last one ended."""
LARGEST_SUMS = Size(8 * 2**20)
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
            return await self._first_of(urls, lambda url: self.local(_local_path(url), checksum, emit=emit), emit)
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
            nearer = expected is None and _local_first(urls) is not None
            known = None if nearer else await self._known(name, expected)
            return known or await self._first_of(urls, lambda url: self._from_mirror(url, expected, name, emit), emit)

    async def local(self, path: Path, checksum: str, *, emit: Emit) -> tuple[Path, str]:
        """See the Protocol. A local file is used where it lies."""
        _expect_file(path)
        return await self._checked(path, await self._expected([path.as_uri()], checksum, emit))

    async def _checked(self, path: Path, expected: Checksum | None) -> tuple[Path, str]:
        _expect_file(path)
        digest = await asyncio.to_thread(self._index.digest_of_local, path)
        if expected is not None:
            actual = Checksum("sha256", digest)
            if expected.algorithm != "sha256":
                actual = await asyncio.to_thread(expected.of, path)
            if actual != expected:
                raise _wrong(str(path), expected, actual)
        return path, digest

    async def identity(self, urls: Sequence[str], checksum: str) -> str:
        """See the Protocol."""
        expected = await self._expected(urls, checksum, lambda event: None)
        if expected is None and (path := _local_first(urls)):
            return f"sha256:{await asyncio.to_thread(self._index.digest_of_local, path)}"
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
            async with client() as connection:
                answer = await connection.get(origin)
                answer.raise_for_status()
            if len(answer.content) > LARGEST_SUMS:
                raise StepError(f"{origin} is too large for a SUMS file ({Size(len(answer.content))})")
            text = answer.text
        except network_errors() as error:
            if copy.exists():
                why = what_it_says(error)
                emit(Note(f"{origin} can't be had now ({why}): using the copy from before", "warning"))
                return copy.read_text(errors="replace")
            raise unreachable(origin, error) from error
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

    async def _first_of(
        self, urls: Sequence[str], get: Callable[[str], Awaitable[tuple[Path, str]]], emit: Emit
    ) -> tuple[Path, str]:
        """What the first of *urls* gives that can be had. Raises: StepError that names what is wrong with each."""
        failures: list[StepError] = []
        for number, url in enumerate(urls, 1):
            try:
                return await get(url)
            except StepError as error:
                failures.append(error)
                if number < len(urls):
                    emit(Note(f"{error.message}: trying the next mirror", "warning"))
        if len(failures) == 1:
            raise failures[0]
        message = f"none of {len(urls)} mirrors has it: {'; '.join(dict.fromkeys(e.message for e in failures))}"
        raise StepError(message, hint="; ".join(dict.fromkeys(e.hint for e in failures if e.hint)))

    async def _from_mirror(self, url: str, expected: Checksum | None, name: str, emit: Emit) -> tuple[Path, str]:
        if _is_local(url):
            return await self._checked(_local_path(url), expected)
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
        tries, furthest = 0, _length(part)
        while tries < ATTEMPTS:
            last, said = None, ""
            try:
                with _disk_errors(self._store):
                    async with client() as connection:
                        if await transfer(connection, url, part, emit):
                            return
            except network_errors() as error:
                last, said = error, what_it_says(error)
                if is_final(error):
                    break
            # Where each try brings something, a line that is cut again and again carries the whole file in the end.
            come = _length(part)
            tries, furthest = (0, come) if come > furthest else (tries + 1, furthest)
            if said:
                count = f"try {tries} of {ATTEMPTS}" if tries else f"going on after {Size(come)}"
                emit(Note(f"{url}: {said} ({count})", "warning"))
                await pause(Duration(_WAIT_BEFORE_RETRY * 2 ** max(0, tries - 1) if tries < ATTEMPTS else 0))
        raise unreachable(url, last)

    def _accept(self, url: str, part: Path, expected: Checksum | None, name: str) -> tuple[Path, str]:
        digest = file_digest(part)
        if expected:
            actual = Checksum("sha256", digest) if expected.algorithm == "sha256" else expected.of(part)
            if actual != expected:
                part.rename(part.with_suffix(".wrong"))
                forget(part)
                raise _wrong(url, expected, actual)
        path = self._store / "by-digest" / digest
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.rename(path)
        forget(part)
        self._index.remember_download(name, digest, path)
        return path, digest


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


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


def _wrong(origin: str, expected: Checksum, actual: Checksum) -> StepError:
    return StepError(
        f"{origin} has the wrong checksum: expected {expected}, got {actual}",
        hint="the file was not used; has the vendor released a new one under the same name?",
    )


def _expect_file(path: Path) -> None:
    try:
        require_content(path)
    except FileNotFoundError as error:
        raise StepError(f"there is no file {path}", hint="is the path right, and is the disk mounted?") from error
    except OSError as error:
        raise StepError(f"{path} can't be used: {error.strerror}") from error


def _is_local(origin: str) -> bool:
    try:
        return urllib.parse.urlsplit(origin).scheme in ("", "file")
    except ValueError:
        return False  # it has a host, and downloading from there says what is wrong


def _local_first(urls: Sequence[str]) -> Path | None:
    """The local file that is used before anything is downloaded, if it is there."""
    local = itertools.takewhile(_is_local, urls)
    return next((path for url in local if (path := _local_path(url)).is_file()), None)


def _local_path(origin: str) -> Path:
    split = urllib.parse.urlsplit(origin)
    return Path(urllib.parse.unquote(split.path)) if split.scheme == "file" else Path(origin).expanduser()


def _read_local_sums(path: Path) -> str:
    try:
        with open_content(path) as stream:
            return stream.read().decode(errors="replace")
    except OSError as error:
        raise StepError(f"can't read the SUMS file {path}: {error.strerror}") from error


def _name_of(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def remove_set_aside(store: Path) -> list[Path]:
    """Removes what downloads have put aside to be looked at: files with a wrong checksum, and damaged copies."""
    found = [*(store / "parts").glob("*.wrong"), *(store / "by-digest").glob("*.damaged")]
    for path in found:
        path.unlink(missing_ok=True)
    return found
