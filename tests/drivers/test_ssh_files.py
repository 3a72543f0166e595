"""Files and trees over SSH, with and without an SFTP server."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest

from factory.deadline import poll
from factory.errors import GuestCommandFailed, GuestUnreachable
from factory.quantity import Duration
from tests.drivers.outcome import outcome
from tests.drivers.ssh_guest import connected, run, soon

pytestmark = pytest.mark.machine


@pytest.fixture(params=["sftp", "shell"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The guest's home; its name says whether the guest has an SFTP server."""
    return tmp_path / str(request.param)


def test_upload_and_download(home: Path) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            data = os.urandom(3 * 2**20 + 17)
            source = home.parent / "source"
            source.write_bytes(data)
            seen: list[tuple[int, int]] = []
            await connection.upload(source, "copy", progress=lambda done, total: seen.append((done, total)))
            assert (host.home / "copy").read_bytes() == data
            await asyncio.sleep(0)
            assert seen[-1] == (len(data), len(data))
            assert seen == sorted(seen)
            await connection.download("copy", home.parent / "back")
            assert (home.parent / "back").read_bytes() == data
            assert sorted(os.listdir(host.home)) == ["copy"]
            assert not [name for name in os.listdir(home.parent) if name.endswith(".part")]

    run(body())


@pytest.mark.parametrize("content", [b"", b"\0\xff\r\n'\"$(id)`\\", b"x" * 100_000])
def test_any_bytes_arrive(home: Path, content: bytes) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            name = 'it\'s a $(name) with "all" & sundry'
            await connection.upload(content, name)
            assert (host.home / name).read_bytes() == content
            await connection.download(name, home.parent / "back")
            assert (home.parent / "back").read_bytes() == content

    run(body())


def test_modes(home: Path) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            await connection.upload(b"1", "new")
            await connection.upload(b"1", "secret", mode=0o600)
            await connection.upload(b"1", "~/run", mode=0o755)
            assert [stat.S_IMODE((host.home / n).stat().st_mode) for n in ("new", "secret", "run")] == [
                0o644,
                0o600,
                0o755,
            ]
            await connection.upload(b"2", "secret")  # keeps what it had
            assert stat.S_IMODE((host.home / "secret").stat().st_mode) == 0o600
            await connection.upload(b"3", "run", mode=0o700)
            assert stat.S_IMODE((host.home / "run").stat().st_mode) == 0o700
            assert (host.home / "run").read_bytes() == b"3"

    run(body())


def test_a_link_is_written_through(home: Path) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            (host.home / "real").write_text("old")
            (host.home / "link").symlink_to("real")
            await connection.upload(b"new", "link")
            assert (host.home / "link").is_symlink()
            assert (host.home / "real").read_text() == "new"

    run(body())


@pytest.mark.parametrize(("target", "reason"), [("no/such/folder", "(?i)folder|directory"), ("folder", "is a folder")])
def test_refused_uploads_say_why_and_leave_nothing(home: Path, target: str, reason: str) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            (host.home / "folder").mkdir()
            with pytest.raises(GuestCommandFailed, match=reason) as caught:
                await connection.upload(b"x", target)
            assert target in caught.value.message
            assert os.listdir(host.home) == ["folder"]
            assert os.listdir(host.home / "folder") == []

    run(body())


def test_a_full_disk_is_told_and_leaves_the_old_file(home: Path) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            (host.home / "full").symlink_to("/dev/full")
            with pytest.raises(GuestCommandFailed):
                await connection.upload(b"x" * 10, "/dev/full/file")

    run(body())


def test_a_missing_source_in_the_guest(home: Path) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, _):
            target = home.parent / "back"
            target.write_text("old")
            with pytest.raises(GuestCommandFailed, match=r"can't read missing in the guest: .*(?i:no such file)"):
                await connection.download("missing", target)
            assert target.read_text() == "old"
            assert not [name for name in os.listdir(home.parent) if name.endswith(".part")]

    run(body())


def test_a_missing_source_here(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, _):
            with pytest.raises(FileNotFoundError):
                await connection.upload(tmp_path / "missing", "x")

    run(body())


def test_a_transfer_that_breaks_leaves_the_old_file(home: Path) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            (host.home / "file").write_text("old")

            def break_it(done: int, total: int) -> None:
                if done > total / 3:
                    host.hang_up()

            with pytest.raises(GuestUnreachable):
                await connection.upload(bytes(64 * 2**20), "file", progress=break_it)
            assert (host.home / "file").read_text() == "old"

    run(body())


def test_a_download_that_breaks_leaves_the_old_file_and_prints_nothing(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            (host.home / "big").write_bytes(bytes(256 * 2**20))
            target = home.parent / "back"
            target.write_text("old")

            async def begun() -> bool | None:
                parts = list(home.parent.glob(".back.*.part"))
                return bool(parts and parts[0].stat().st_size) or None

            async with asyncio.TaskGroup() as group:
                download = group.create_task(outcome(connection.download("big", target)))
                await poll(begun, soon(), every=Duration(0.01))
                host.hang_up()
            assert isinstance(download.result(), GuestUnreachable)
            assert target.read_text() == "old"
            assert not list(home.parent.glob(".back.*.part"))

    run(body())
    assert "Traceback" not in capfd.readouterr().err


def test_cancelling_a_transfer_returns_at_once(home: Path) -> None:
    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            started = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                task = group.create_task(
                    connection.upload(bytes(256 * 2**20), "file", progress=lambda done, total: started.set())
                )
                await started.wait()
                task.cancel()
            assert task.cancelled()
            assert not (host.home / "file").exists()

    run(body())


def _tree(root: Path) -> None:
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "sub" / "script").write_text("#!/bin/sh\n")
    (root / "sub" / "script").chmod(0o755)
    (root / ("long" * 40)).write_text("long name")
    (root / "üml aut").write_text("ü")
    (root / "link").symlink_to("sub/script")
    os.mkfifo(root / "pipe")


@pytest.mark.parametrize("tar", [True, False])
def test_trees(home: Path, tar: bool) -> None:
    tools = home.parent / "bin"
    tools.mkdir()
    for name in ("mkdir", "chmod", "ln", "cat", "wc", "mv", "rm", "uname", *(["tar"] if tar else [])):
        (tools / name).symlink_to(shutil.which(name) or "")
    source = home.parent / "source"
    source.mkdir()
    _tree(source)

    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp", path=str(tools)) as (connection, host):
            await connection.upload_tree(source, "target/deep")
            _compare(host.home / "target" / "deep")
            await connection.upload_tree(source, "target/deep")  # once more, over what is there
            _compare(host.home / "target" / "deep")

    run(body())


def _compare(target: Path) -> None:
    assert (target / "sub" / "empty").is_dir()
    assert (target / "sub" / "script").stat().st_mode & 0o777 == 0o755
    assert (target / ("long" * 40)).read_text() == "long name"
    assert (target / "üml aut").read_text() == "ü"
    assert os.readlink(target / "link") == "sub/script"
    assert sorted(p.name for p in target.iterdir()) == ["link", "long" * 40, "sub", "üml aut"]


def test_a_tree_that_cannot_be_written(home: Path) -> None:
    source = home.parent / "source"
    source.mkdir()

    async def body() -> None:
        async with connected(home, sftp=home.name == "sftp") as (connection, host):
            (host.home / "file").touch()
            with pytest.raises(GuestCommandFailed, match="can't write file/sub in the guest"):
                await connection.upload_tree(source, "file/sub")
            with pytest.raises(NotADirectoryError):
                await connection.upload_tree(source / "missing", "x")

    run(body())
