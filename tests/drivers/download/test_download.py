"""What is downloaded, from where, and how it is checked."""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from factory.drivers.download import remove_set_aside
from factory.errors import StepError, StoreError
from factory.events import Progress
from tests.drivers.download.conftest import CONTENT, DIGEST, Store, run, serving
from tests.drivers.file_server import file_server
from tests.drivers.ssh_server import unused_address

pytestmark = pytest.mark.machine


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
