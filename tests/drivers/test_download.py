from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from factory.drivers.download import MediaDownloads, remove_set_aside
from factory.errors import StepError, StoreError
from factory.events import Event, Note, Progress
from factory.quantity import Duration
from tests.drivers.file_server import FileServer, file_server
from tests.drivers.ssh_server import unused_address

pytestmark = pytest.mark.machine

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


@pytest.fixture(autouse=True)
def straight_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proxy of this host, and without long waits between tries."""
    monkeypatch.setattr("factory.drivers.download._WAIT_BEFORE_RETRY", Duration(0.01))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Store:
    """A store under test, with what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloads = MediaDownloads(folder)
        self.events: list[Event] = []

    async def fetch(self, checksum: str, *urls: str) -> tuple[Path, str]:
        return await self.downloads.fetch(urls, checksum, emit=self.events.append)

    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "media")


def serving(server: FileServer) -> str:
    server.files["/d/a.iso"] = CONTENT
    return server.url("/d/a.iso")


@pytest.mark.parametrize("kind", ["sha256", "sha512", "sha1", "md5"])
def test_a_file_is_downloaded_once_and_checked(store: Store, kind: str) -> None:
    async def body() -> None:
        async with file_server() as server:
            url, checksum = serving(server), hashlib.new(kind, CONTENT).hexdigest()
            for spelling in (checksum, f"{kind}:{checksum}"):
                path, digest = await store.fetch(spelling, url)
                assert digest == DIGEST
                assert path.read_bytes() == CONTENT
            assert len(server.requests) == 1
            bars = [event for event in store.events if isinstance(event, Progress)]
            assert (bars[-1].task, bars[-1].done, bars[-1].total) == ("a.iso", len(CONTENT), len(CONTENT))
            assert [bar.done for bar in bars] == sorted(bar.done for bar in bars)
            assert store.notes() == []

    run(body())


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


def test_redirects_in_a_circle_are_told_at_once(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            server.redirects = {"/a.iso": "/b.iso", "/b.iso": "/a.iso"}
            with pytest.raises(StepError, match=r"/a\.iso: the server redirects again and again$") as caught:
                await store.fetch("none", server.url("/a.iso"))
            assert len(server.requests) < 30
            assert "where it leads" in caught.value.hint

    run(body())


@pytest.mark.parametrize("target", ["ftp://example.org/a.iso", "file:///etc/passwd"])
def test_a_redirect_out_of_the_web_is_told_at_once(store: Store, target: str) -> None:
    async def body() -> None:
        async with file_server() as server:
            server.redirects = {"/a.iso": target}
            with pytest.raises(StepError, match=r"neither http nor https") as caught:
                await store.fetch("none", server.url("/a.iso"))
            assert len(server.requests) == 1
            assert target.partition(":")[0] in caught.value.message

    run(body())


def test_no_words_of_the_library_are_shown(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [503]
            await store.fetch("none", url)
            assert f"{url}: the server says 503 (try 1 of 4)" in store.notes()

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


def test_a_wrong_file_is_set_aside_and_never_used(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            wrong = "0" * 64
            with pytest.raises(StepError) as caught:
                await store.fetch(wrong, url)
            assert f"expected sha256:{wrong}, got sha256:{DIGEST}" in caught.value.message
            assert not list((store.folder / "by-digest").iterdir())
            assert list((store.folder / "parts").glob("*.wrong"))
            with pytest.raises(StepError, match="wrong checksum"):
                await store.fetch(wrong, url)
            assert len(server.requests) == 2

    run(body())


def test_what_was_set_aside_goes_with_the_next_download(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            with pytest.raises(StepError, match="wrong checksum"):
                await store.fetch("0" * 64, url)
            server.trouble = [404]
            with pytest.raises(StepError, match="says 404"):
                await store.fetch("0" * 64, url)
            assert not list((store.folder / "parts").glob("*.wrong"))

    run(body())


def test_what_was_set_aside_can_be_removed(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            with pytest.raises(StepError, match="wrong checksum"):
                await store.fetch("0" * 64, url)
            server.files["/d/b.iso"] = CONTENT
            path, _ = await store.fetch(DIGEST, server.url("/d/b.iso"))
            path.rename(path.with_suffix(".damaged"))
            assert len(remove_set_aside(store.folder)) == 2
            assert not [*store.folder.rglob("*.wrong"), *store.folder.rglob("*.damaged")]
            assert remove_set_aside(store.folder / "none") == []

    run(body())


def test_a_damaged_copy_is_found_and_replaced(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            path, _ = await store.fetch(DIGEST, url)
            path.chmod(0o600)
            path.write_bytes(b"damaged")
            path, _ = await store.fetch(DIGEST, url)
            assert path.read_bytes() == CONTENT
            assert list((store.folder / "by-digest").glob("*.damaged"))

    run(body())


def test_without_a_checksum_there_is_a_warning(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            _, digest = await store.fetch("none", serving(server))
            assert digest == DIGEST
            assert any("is not checked" in note for note in store.notes())

    run(body())


def test_sums_files_are_followed_and_remembered(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.files["/d/SHA256SUMS"] = f"{'0' * 64}  b.iso\n{DIGEST} *sub/a.iso\n".encode()
            sums = f"file:{server.url('/d/SHA256SUMS')}"
            assert (await store.fetch(sums, url))[1] == DIGEST
            assert await store.downloads.identity([url], sums) == f"sha256:{DIGEST}"
            server.trouble = [503] * 20
            _, digest = await store.fetch(sums, url)  # from memory
            assert digest == DIGEST
            assert any("using the copy from before" in note for note in store.notes())
            with pytest.raises(StepError, match=r"has no checksum of c\.iso; it has a\.iso, b\.iso"):
                await store.fetch(sums, server.url("/d/c.iso"))

    run(body())


def test_mirrors_are_tried_in_order(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            good, dead = serving(server), f"http://{unused_address()}/a.iso"
            path, _ = await store.fetch(DIGEST, dead, server.url("/gone.iso"), good)
            assert path.read_bytes() == CONTENT
            assert sum("trying the next mirror" in note for note in store.notes()) == 2
            assert [p for p, _ in server.requests] == ["/gone.iso", "/d/a.iso"]  # 404 is not tried again

    run(body())


def test_a_mirror_with_the_wrong_file_is_passed_over(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            good = serving(server)
            server.files["/old/a.iso"] = b"an older release"
            mirrors = server.url("/gone.iso"), server.url("/old/a.iso"), "http://[::1/a.iso"
            path, _ = await store.fetch(DIGEST, *mirrors, good)
            assert path.read_bytes() == CONTENT
            assert sum("trying the next mirror" in note for note in store.notes()) == 3
            await store.fetch(DIGEST, *mirrors, good)
            assert not list((store.folder / "parts").glob("*.wrong"))

    run(body())


def test_when_all_mirrors_fail_each_is_named(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            server.files["/old/a.iso"] = b"an older release"
            with pytest.raises(StepError) as caught:
                await store.fetch(DIGEST, server.url("/gone.iso"), server.url("/old/a.iso"), "http://[::1/a.iso")
            for part in ("none of 3 mirrors", "/gone.iso: the server says 404", "/old/a.iso has the wrong checksum"):
                assert part in caught.value.message
            assert "http://[::1/a.iso is no URL: Invalid IPv6 URL" in caught.value.message
            assert "vendors remove old releases" in caught.value.hint
            assert "released a new one" in caught.value.hint

    run(body())


def test_what_is_no_url_is_told(store: Store) -> None:
    async def body() -> None:
        with pytest.raises(StepError, match="is no URL"):
            await store.fetch(DIGEST, "http://[::1/a.iso")
        with pytest.raises(StepError, match="is no URL"):
            await store.fetch("file:http://[::1/SUMS", "http://127.0.0.1/a.iso")

    run(body())


def test_a_server_that_packs_what_it_sends_is_told(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.files["/d/a.iso"] = gzip.compress(CONTENT)
            server.coding = "gzip"
            with pytest.raises(StepError, match=r"packs it for the way \(gzip\), though it was asked not to"):
                await store.fetch(DIGEST, url)
            assert len(server.requests) == 1

    run(body())


def test_a_busy_server_is_not_blamed_on_the_url(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            server.trouble = [503] * 20
            with pytest.raises(StepError, match="the server says 503") as caught:
                await store.fetch(DIGEST, url)
            assert "busy" in caught.value.hint
            assert "URL right" not in caught.value.hint

    run(body())


def test_an_unreachable_server_is_told(store: Store) -> None:
    async def body() -> None:
        with pytest.raises(StepError, match="can't download http://127") as caught:
            await store.fetch(DIGEST, f"http://{unused_address()}/a.iso")
        assert "proxy" in caught.value.hint

    run(body())


def test_two_builds_download_it_once(store: Store) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            async with asyncio.TaskGroup() as group:
                for one in (store, Store(store.folder)):
                    group.create_task(one.fetch(DIGEST, url))
            assert len(server.requests) == 1

    run(body())


def test_a_full_disk_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            real = Path.open

            def full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
                if path.suffix == ".part" and mode in ("ab", "wb"):
                    return real(Path("/dev/full"), "wb", *arguments, **options)
                return real(path, mode, *arguments, **options)

            monkeypatch.setattr(Path, "open", full)
            with pytest.raises(StoreError, match="no space left in") as caught:
                await store.fetch(DIGEST, url)
            assert "FACTORY_CACHE" in caught.value.hint
            assert isinstance(caught.value.__cause__, OSError)
            assert caught.value.__cause__.errno == errno.ENOSPC

    run(body())


# --- local files -----------------------------------------------------------------------------------------------------


def test_a_local_file_is_used_where_it_lies(store: Store, tmp_path: Path) -> None:
    local = tmp_path / "my file.iso"
    local.write_bytes(CONTENT)
    (tmp_path / "SUMS").write_text(f"{DIGEST}  my file.iso\n")

    async def body() -> None:
        for url in (str(local), local.as_uri()):
            for checksum in ("none", DIGEST, f"sha512:{hashlib.sha512(CONTENT).hexdigest()}", f"file:{tmp_path}/SUMS"):
                assert await store.fetch(checksum, url) == (local, DIGEST)
        with pytest.raises(StepError, match=f"expected sha256:{'0' * 64}, got sha256:{DIGEST}"):
            await store.fetch("0" * 64, str(local))
        with pytest.raises(StepError, match="there is no file"):
            await store.fetch("none", str(tmp_path / "missing"))
        with pytest.raises(StepError, match="can't read the SUMS file"):
            await store.fetch(f"file:{tmp_path}/missing", str(local))

    run(body())


def test_local_files_and_servers_are_tried_in_order(store: Store, tmp_path: Path) -> None:
    local = tmp_path / "a.iso"

    async def body() -> None:
        async with file_server() as server:
            url = serving(server)
            missing = (tmp_path / "missing.iso").as_uri()
            path, _ = await store.fetch(DIGEST, missing, url)
            assert path.read_bytes() == CONTENT
            assert any("there is no file" in note and "trying the next" in note for note in store.notes())
            local.write_bytes(b"mine")
            assert (await store.fetch("none", missing, local.as_uri()))[0] == local
            assert (await store.fetch("none", local.as_uri(), url))[0] == local
            assert (await store.fetch("none", server.url("/gone.iso"), local.as_uri()))[0] == local
            assert (await store.fetch("none", local.as_uri(), server.url("/gone.iso")))[0] == local
            assert len(server.requests) == 2
            # What was downloaded for want of it gives way to it, as soon as it is there.
            late = tmp_path / "late.iso"
            assert (await store.fetch("none", late.as_uri(), url))[1] == DIGEST
            late.write_bytes(b"mine, too")
            assert (await store.fetch("none", late.as_uri(), url))[0] == late
            with pytest.raises(StepError, match="none of 2 mirrors has it"):
                await store.fetch("none", missing, (tmp_path / "other.iso").as_uri())
            # What the local file holds is what counts.
            mine = f"sha256:{hashlib.sha256(b'mine').hexdigest()}"
            assert await store.downloads.identity([local.as_uri(), url], "none") == mine

    run(body())


def test_a_changed_local_file_is_hashed_anew(store: Store, tmp_path: Path) -> None:
    local = tmp_path / "a.iso"
    local.write_bytes(b"one")

    async def body() -> None:
        first = await store.fetch("none", str(local))
        os.utime(local, ns=(1, 1))
        local.write_bytes(b"two")
        second = await store.fetch("none", str(local))
        assert first[1] == hashlib.sha256(b"one").hexdigest()
        assert second[1] == hashlib.sha256(b"two").hexdigest()

    run(body())


def test_an_unchanged_local_file_is_not_read_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "a.iso"
    local.write_bytes(CONTENT)
    run(_fetched(store, local))

    def never(path: Path) -> str:
        raise AssertionError(f"{path} was hashed again")

    monkeypatch.setattr("factory.drivers.download_index.file_digest", never)
    run(_fetched(Store(store.folder), local))


async def _fetched(store: Store, path: Path) -> None:
    assert (await store.fetch("none", str(path)))[1] == DIGEST


def test_a_damaged_index_costs_time_only(store: Store, tmp_path: Path) -> None:
    local = tmp_path / "a.iso"
    local.write_bytes(CONTENT)
    run(_fetched(store, local))
    (store.folder / "index.json").write_text('{"file')
    run(_fetched(store, local))
