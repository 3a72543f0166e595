"""Commands over SSH, against a real server on loopback."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from factory.deadline import poll
from factory.drivers.protocols import ConnectState
from factory.drivers.ssh import SshCommunicator, SshSettings
from factory.errors import DeadlineExpired, GuestCommandFailed, GuestUnreachable
from tests.drivers.ssh_guest import connected, run, soon
from tests.drivers.ssh_server import guest

pytestmark = pytest.mark.machine


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
            await connection.run_given("true", deadline=soon())
            assert host.terminals[-1] == "vt100"

    run(body())


@pytest.mark.parametrize("sftp", [True, False])
def test_what_is_ours_never_runs_on_a_terminal(tmp_path: Path, sftp: bool) -> None:
    """A terminal would eat the control characters of what is sent."""
    (tmp_path / "file").write_bytes(bytes(range(256)))

    async def body() -> None:
        settings = SshSettings(with_terminal=True)
        async with connected(tmp_path / "pty", settings, sftp=sftp) as (connection, host):
            await connection.run("true", deadline=soon())
            await connection.boot_id()
            await connection.upload(tmp_path / "file", "there")
            await connection.upload_tree(tmp_path / "pty", str(tmp_path / "copy"))
            await connection.download("there", tmp_path / "back")
            assert host.commands
            assert set(host.terminals) == {None}
        assert (tmp_path / "back").read_bytes() == bytes(range(256))

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
