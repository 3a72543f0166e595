"""Downloads that broke off go on where they ended, and never with something else."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from factory.errors import StepError
from factory.events import Event, Progress
from tests.drivers.download.conftest import CONTENT, DIGEST, Store, run, serving
from tests.drivers.file_server import file_server

pytestmark = pytest.mark.machine


def test_a_broken_download_goes_on_where_it_ended(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [1_000_000, 700_000]
            path, _ = await store.fetch(DIGEST, url)
            assert path.read_bytes() == CONTENT
            starts = [wanted for _, wanted in server.requests]
            assert starts[0] == ""
            assert all(wanted.startswith("bytes=") for wanted in starts[1:])
            assert "going on after" in store.notes()[0]

    run(body())


def test_only_tries_that_bring_nothing_count(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [300_000, 503, 503] * 8
            path, _ = await store.fetch(DIGEST, url)
            assert path.read_bytes() == CONTENT
            server.files["/d/b.iso"] = CONTENT[1:]
            server.requests.clear()
            server.trouble = [300_000, *[503] * 8]
            with pytest.raises(StepError):
                await store.fetch("none", server.url("/d/b.iso"))
            assert len(server.requests) == 1 + 4
            server.files["/d/c.iso"] = CONTENT[2:]
            server.trouble, server.ranges = [300_000] * 9, False
            server.requests.clear()
            with pytest.raises(StepError):  # each time the same beginning is no progress
                await store.fetch("none", server.url("/d/c.iso"))
            assert len(server.requests) == 1 + 4

    run(body())


def test_an_interrupted_download_goes_on_in_the_next_process(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [1_000_000] + [503] * 20
            with pytest.raises(StepError, match="the server says 503"):
                await store.fetch(DIGEST, url)
            server.trouble = []
            asked = len(server.requests)
            again = Store(store.folder)
            path, _ = await again.fetch(DIGEST, url)
            assert path.read_bytes() == CONTENT
            assert len(server.requests) == asked + 1
            assert server.requests[-1][1].startswith("bytes=")

    run(body())


def test_a_cancelled_download_goes_on_later(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.files["/d/a.iso"] = CONTENT * 10
            digest = hashlib.sha256(CONTENT * 10).hexdigest()
            some = asyncio.Event()

            def note(event: Event) -> None:
                if isinstance(event, Progress) and event.done > 2_000_000:
                    some.set()

            async with asyncio.TaskGroup() as group:
                task = group.create_task(store.downloads.fetch([url], digest, emit=note))
                await some.wait()
                task.cancel()
            path, _ = await store.fetch(digest, url)
            assert path.read_bytes() == CONTENT * 10
            assert server.requests[-1][1].startswith("bytes=")

    run(body())


@pytest.mark.parametrize(("etags", "ranges"), [(False, True), (True, False)])
def test_servers_that_cannot_go_on_begin_again(store: Store, etags: bool, ranges: bool) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.etags, server.ranges = etags, ranges
            server.trouble = [1_000_000]
            path, _ = await store.fetch(DIGEST, url)
            assert path.read_bytes() == CONTENT

    run(body())


def test_a_file_that_changed_meanwhile_is_not_patched_together(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [1_000_000] + [503] * 20
            with pytest.raises(StepError):
                await store.fetch("none", url)
            server.trouble = []
            newer = os.urandom(2_000_000)
            server.files["/d/a.iso"] = newer
            path, _ = await store.fetch(hashlib.sha256(newer).hexdigest(), url)
            assert path.read_bytes() == newer

    run(body())


@pytest.mark.parametrize("wrong", ["skew", "of_length"])
def test_a_server_that_goes_on_with_something_else_sends_all_again(store: Store, wrong: str) -> None:
    """Without a checksum nobody else would see that the file is put together from two."""

    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [1_000_000]
            setattr(server, wrong, [-500])
            path, _ = await store.fetch("none", url)
            assert path.read_bytes() == CONTENT
            assert [wanted != "" for _, wanted in server.requests] == [False, True, False]
            assert any("goes on with something else" in note for note in store.notes())

    run(body())


def test_a_file_that_stays_shorter_than_announced_is_not_taken(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [1_000_000, *[10] * 20]
            with pytest.raises(StepError, match="can't download"):
                await store.fetch("none", url)
            assert not list((store.folder / "by-digest").iterdir())

    run(body())


def test_a_part_that_is_longer_than_the_file_begins_again(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [2_900_000] + [503] * 20
            with pytest.raises(StepError):
                await store.fetch(DIGEST, url)
            server.trouble = []
            part = next((store.folder / "parts").glob("*.part"))
            with part.open("ab") as stream:
                stream.write(bytes(len(CONTENT)))
            path, _ = await store.fetch(DIGEST, url)
            assert path.read_bytes() == CONTENT

    run(body())


def test_a_part_that_is_whole_already_is_only_hashed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process leaves it that is killed while it hashes what it has downloaded."""

    class Killed(BaseException):
        pass

    def killed(path: Path) -> str:
        raise Killed

    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            with monkeypatch.context() as patch:
                patch.setattr("factory.drivers.download.file_digest", killed)
                with pytest.raises(Killed):
                    await store.fetch(DIGEST, url)
            again = Store(store.folder)
            path, digest = await again.fetch(DIGEST, url)
            assert (path.read_bytes(), digest) == (CONTENT, DIGEST)
            assert [wanted for _, wanted in server.requests] == ["", f"bytes={len(CONTENT)}-"]
            assert again.notes() == []

    run(body())


def test_a_part_that_was_damaged_meanwhile_is_downloaded_anew(store: Store) -> None:
    """A power cut may leave a part of the right length with holes in it."""

    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [1_000_000] + [503] * 20
            with pytest.raises(StepError):
                await store.fetch(DIGEST, url)
            server.trouble = []
            part = next((store.folder / "parts").glob("*.part"))
            with part.open("r+b") as stream:
                stream.write(bytes(4096))
            path, _ = await store.fetch(DIGEST, url)
            assert path.read_bytes() == CONTENT
            assert any("is damaged" in note for note in store.notes())
            assert [wanted != "" for _, wanted in server.requests[-2:]] == [True, False]

    run(body())
