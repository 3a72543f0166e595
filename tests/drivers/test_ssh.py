from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from factory.deadline import Deadline, poll
from factory.drivers.protocols import ConnectState, GuestConnection
from factory.drivers.ssh import SshCommunicator, SshSettings
from factory.errors import DeadlineExpired, GuestCommandFailed, GuestUnreachable
from factory.quantity import Duration
from tests.drivers.ssh_server import Guest, guest

pytestmark = pytest.mark.machine


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def soon(seconds: float = 60, what: str = "the command") -> Deadline:
    return Deadline.after(Duration(seconds), what)


@asynccontextmanager
async def connected(
    home: Path, settings: SshSettings | None = None, **options: Any
) -> AsyncIterator[tuple[GuestConnection, Guest]]:
    async with guest(home, **options) as host:
        ssh = SshCommunicator(settings)
        async with ssh.connect(
            host.address, host.credentials(), deadline=soon(), emit=lambda event: None
        ) as connection:
            yield connection, host


@pytest.fixture(params=["sftp", "shell"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The guest's home; its name says whether the guest has an SFTP server."""
    return tmp_path / str(request.param)


def test_output_comes_line_by_line_with_its_stream(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, _):
            lines: list[tuple[str, str]] = []
            result = await connection.run(
                "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf '10%%\\r20%%\\r\\nlast'; exit 3",
                deadline=soon(),
                on_line=lambda stream, line: lines.append((stream, line)),
            )
            assert result.exit_status == 3
            assert lines == [("stdout", "one"), ("stderr", "two"), ("stdout", "20%"), ("stdout", "last")]
            assert result.stdout == "one\n10%\r20%\r\nlast"
            assert result.stderr == "two\n"

    run(body())


def test_lines_come_while_the_command_runs(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, host):
            (host.home / "gate").touch()

            lines: list[str] = []

            def note(stream: str, line: str) -> None:
                lines.append(line)
                (host.home / "gate").unlink(missing_ok=True)

            command = "echo waiting; while [ -e gate ]; do sleep 0.05; done; echo done"
            result = await connection.run(command, deadline=soon(), on_line=note)
            assert lines == ["waiting", "done"]
            assert result.exit_status == 0

    run(body())


def test_tails_are_bounded_and_every_line_is_delivered(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, _):
            count = 0

            def note(stream: str, line: str) -> None:
                nonlocal count
                assert line == str(count)
                count += 1

            result = await connection.run("seq 0 199999", deadline=soon(), on_line=note)
            assert count == 200_000
            assert len(result.stdout) == 64 * 1024
            assert result.stdout.endswith("199999\n")

    run(body())


def test_input_and_output_larger_than_any_window(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, _):
            data = os.urandom(6 * 2**20)
            result = await connection.run("tee copy | wc -c", deadline=soon(), stdin=data)
            assert result.stdout.strip() == str(len(data))
            assert (tmp_path / "home" / "copy").read_bytes() == data

    run(body())


def test_a_command_that_does_not_read_its_input(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, _):
            result = await connection.run("exit 4", deadline=soon(), stdin=bytes(8 * 2**20))
            assert result.exit_status == 4

    run(body())


def test_something_left_in_the_background_does_not_hold_the_command(tmp_path: Path) -> None:
    async def body() -> None:
        async with (
            guest(tmp_path / "home") as host,
            SshCommunicator().connect(
                host.address, host.credentials(), deadline=soon(), emit=lambda event: None
            ) as connection,
        ):
            # The server of the tests waits for the ends of the output as sshd does: give the pipe to a sleeper.
            result = await connection.run("echo started; (sleep 5) & exit 0", deadline=soon())
            assert (result.exit_status, result.stdout) == (0, "started\n")

    run(body())


def test_an_expired_deadline_names_the_last_line_and_ends_the_command(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, host):
            with pytest.raises(DeadlineExpired, match=r"waited 3s for apt; the last line was: Unpacking…"):
                await connection.run("echo Unpacking…; sleep 1000", deadline=soon(3, "apt"))
            with pytest.raises(DeadlineExpired, match="it printed nothing"):
                await connection.run("sleep 1000", deadline=soon(0.2))

            async def told() -> bool | None:
                return "TERM" in host.signals or None

            await poll(told, soon())
            assert (await connection.run("echo alive", deadline=soon())).stdout == "alive\n"

    run(body())


def test_cancelling_returns_at_once_and_ends_the_command(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, host):
            started = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                task = group.create_task(
                    connection.run(
                        "echo up; sleep 1000", deadline=soon(900), on_line=lambda stream, line: started.set()
                    )
                )
                await started.wait()
                task.cancel()
            assert task.cancelled()

            async def told() -> bool | None:
                return bool(host.signals) or None

            await poll(told, soon())

    run(body())


def test_a_broken_connection_is_told(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, host):
            with pytest.raises(GuestUnreachable, match="broke: the connection ended before the command did") as caught:
                await connection.run(
                    "echo rebooting; sleep 1000", deadline=soon(), on_line=lambda stream, line: host.hang_up()
                )
            assert caught.value.layer == ConnectState.CONNECTED
            assert caught.value.evidence.notes == ("rebooting",)
            with pytest.raises(GuestUnreachable):
                await connection.run("true", deadline=soon())
            with pytest.raises(GuestUnreachable):
                await connection.upload(b"x", "file")

    run(body())


def test_an_error_in_the_receiver_of_lines_is_raised(tmp_path: Path) -> None:
    def refuse(stream: str, line: str) -> None:
        raise ValueError(f"bad {line}")

    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, _):
            with pytest.raises(ValueError, match="bad line"):
                await connection.run("echo line; sleep 1000", deadline=soon(), on_line=refuse)

    run(body())


def test_no_terminal_unless_asked_for(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "plain") as (connection, host):
            await connection.run("true", deadline=soon())
            assert host.terminals == [None] * len(host.commands)
        async with connected(tmp_path / "pty", SshSettings(with_terminal=True)) as (connection, host):
            await connection.run("true", deadline=soon())
            assert host.terminals[-1] == "vt100"

    run(body())


def test_the_boot_id_is_the_guests(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path / "home") as (connection, _):
            expected = await asyncio.to_thread(Path("/proc/sys/kernel/random/boot_id").read_text)
            assert await connection.boot_id() == expected.strip()

    run(body())


def test_a_guest_without_a_boot_id(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()

    async def body() -> None:
        async with connected(tmp_path / "home", path=str(tools)) as (connection, _):
            with pytest.raises(GuestCommandFailed, match="one boot from another"):
                await connection.boot_id()

    run(body())


# --- files ---------------------------------------------------------------------------------------------------------


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
                download = group.create_task(_outcome(connection.download("big", target)))
                await poll(begun, soon(), every=Duration(0.01))
                host.hang_up()
            assert isinstance(download.result(), GuestUnreachable)
            assert target.read_text() == "old"
            assert not list(home.parent.glob(".back.*.part"))

    run(body())
    assert "Traceback" not in capfd.readouterr().err


async def _outcome(awaitable: Coroutine[Any, Any, None]) -> Exception | None:
    try:
        await awaitable
    except Exception as error:
        return error
    return None


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


def test_no_thread_outlives_the_connection(tmp_path: Path) -> None:
    async def body() -> None:
        before = set(threading.enumerate())
        async with connected(tmp_path / "home") as (connection, _):
            await connection.run("true", deadline=soon())
            await connection.upload(b"x", "x")

        async def gone() -> bool | None:
            left = [t for t in set(threading.enumerate()) - before if not t.name.startswith("asyncio")]
            return not left or None

        await poll(gone, soon())

    run(body())
