"""Media that lie on this computer."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from factory.errors import StepError
from tests.drivers.download.conftest import CONTENT, DIGEST, Store, run, serving
from tests.drivers.file_server import file_server

pytestmark = pytest.mark.machine


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
