from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from factory.deadline import Deadline, poll
from factory.drivers.protocols import ConnectState, Credentials, GuestAddress, GuestConnection
from factory.drivers.winrm import WinRmCommunicator, WinRmSettings
from factory.errors import DeadlineExpired, GuestCommandFailed, GuestUnreachable, HostError
from factory.events import ConnectAttempt, Event
from factory.quantity import Duration
from factory.secret import Secret
from tests.drivers.ssh_server import mute_server, unused_address
from tests.drivers.wsman_server import WindowsGuest, windows_guest

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(importlib.util.find_spec("pypsrp") is None, reason="the extra winrm is not installed"),
]

SETTINGS = WinRmSettings(auth="basic", between_attempts=Duration(0.05), patience=Duration(1))
CREDENTIALS = Credentials("Administrator", Secret("hunter22"))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def soon(seconds: float = 60, what: str = "WinRM") -> Deadline:
    return Deadline.after(Duration(seconds), what)


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[tuple[GuestConnection, WindowsGuest]]:
    with windows_guest(folder) as guest:
        async with WinRmCommunicator(SETTINGS).connect(
            guest.address, CREDENTIALS, deadline=soon(), emit=lambda event: None
        ) as connection:
            yield connection, guest


async def failure(
    address: GuestAddress, credentials: Credentials = CREDENTIALS, seconds: float = 3
) -> GuestUnreachable:
    events: list[Event] = []
    with pytest.raises(GuestUnreachable) as caught:
        async with WinRmCommunicator(SETTINGS).connect(
            address, credentials, deadline=soon(seconds), emit=events.append
        ):
            pass
    states = {event.state for event in events if isinstance(event, ConnectAttempt)}
    assert states <= {caught.value.layer}
    return caught.value


def test_commands_print_as_they_go_and_tell_their_status(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path) as (connection, guest):
            (tmp_path / "gate").touch()
            lines: list[tuple[str, str]] = []

            def note(stream: str, line: str) -> None:
                lines.append((stream, line))
                (tmp_path / "gate").unlink(missing_ok=True)

            command = "echo one; while [ -e gate ]; do sleep 0.05; done; echo zwei ü; echo three >&2; exit 7"
            result = await connection.run(command, deadline=soon(), on_line=note)
            assert result.exit_status == 7
            assert [line for stream, line in lines if stream == "stdout"] == ["one", "zwei ü"]
            assert ("stderr", "three") in lines
            assert result.stderr == "three\n"
            assert guest.shells == 0

    run(body())


def test_input(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path) as (connection, _):
            result = await connection.run("tr a-z A-Z", deadline=soon(), stdin=b"hello\n")
            assert result.stdout == "HELLO\n"

    run(body())


def test_a_silent_command_is_waited_for_and_an_endless_one_is_ended(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path) as (connection, guest):
            assert (await connection.run("sleep 1; echo done", deadline=soon())).stdout == "done\n"
            with pytest.raises(DeadlineExpired, match="waited 1s for the script; the last line was: begun"):
                await connection.run("echo begun; sleep 1000", deadline=soon(1, "the script"))
            last = list(guest.processes.values())[-1]

            async def ended() -> bool | None:
                return last.poll() is not None or None

            await poll(ended, soon(), every=Duration(0.05))

    run(body())


def test_nothing_listens() -> None:
    async def body() -> None:
        error = await failure(unused_address())
        assert error.layer == ConnectState.REFUSED
        assert "waited 3s for WinRM" in error.message

    run(body())


def test_a_port_that_says_nothing() -> None:
    async def body() -> None:
        async with mute_server() as address:
            error = await failure(address, seconds=9)
            assert error.layer == ConnectState.NO_BANNER
            assert "QEMU accepts in the guest's place" in error.hint

    run(body())


def test_a_wrong_password(tmp_path: Path) -> None:
    async def body() -> None:
        with windows_guest(tmp_path) as guest:
            error = await failure(guest.address, Credentials("Administrator", Secret("wrong-one")))
            assert error.layer == ConnectState.AUTHENTICATION
            assert "refused user 'Administrator'" in error.message
            assert "wrong-one" not in error.message

    run(body())


def test_another_web_server(tmp_path: Path) -> None:
    async def body() -> None:
        with windows_guest(tmp_path) as guest:
            guest.status = 404
            error = await failure(guest.address)
            assert error.layer == ConnectState.KEY_EXCHANGE
            assert "not as WinRM does" in error.message

    run(body())


def test_windows_setup_is_not_the_installed_system(tmp_path: Path) -> None:
    async def body() -> None:
        with windows_guest(tmp_path) as guest:
            guest.setup = "0x1"
            error = await failure(guest.address)
            assert error.layer == ConnectState.INSTALLER

    run(body())


def test_a_guest_that_goes_away_is_told(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path) as (connection, guest):
            guest.status = 503
            with pytest.raises(GuestUnreachable, match=r"the connection to .* broke") as caught:
                await connection.run("true", deadline=soon())
            assert caught.value.layer == ConnectState.CONNECTED

    run(body())


def test_an_error_in_the_receiver_of_lines_is_raised(tmp_path: Path) -> None:
    def refuse(stream: str, line: str) -> None:
        raise ValueError("bad line")

    async def body() -> None:
        async with connected(tmp_path) as (connection, _):
            with pytest.raises(ValueError, match="bad line"):
                await connection.run("echo x; sleep 2", deadline=soon(), on_line=refuse)

    run(body())


def test_the_time_of_boot_is_asked_for(tmp_path: Path) -> None:
    async def body() -> None:
        async with connected(tmp_path) as (connection, guest):
            with pytest.raises(GuestCommandFailed, match="when it was started"):  # there is no powershell here
                await connection.boot_id()
            assert "LastBootUpTime" in guest.commands[-1]

    run(body())


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    async def body() -> None:
        with pytest.raises(HostError) as caught:
            async with WinRmCommunicator().connect(
                unused_address(), CREDENTIALS, deadline=soon(), emit=lambda event: None
            ):
                pass
        assert "factory[winrm]" in caught.value.hint

    run(body())
