from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from factory.deadline import Deadline
from factory.drivers.protocols import ConnectState, Credentials, Guest, GuestAddress, GuestConnection
from factory.drivers.ssh import InstallerMarks, SshCommunicator, SshSettings
from factory.drivers.ssh_connect import Patience
from factory.drivers.ssh_keys import generate_build_key
from factory.errors import GuestUnreachable
from factory.events import ConnectAttempt, Event
from factory.quantity import Duration
from factory.secret import Secret
from tests.drivers.ssh_server import guest, mute_server, unused_address

pytestmark = pytest.mark.machine

QUICK = SshSettings(
    patience=Patience(banner=Duration(0.2)), between_attempts=Duration(0.05), after_refusal=Duration(0.05)
)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def soon(seconds: float = 60) -> Deadline:
    return Deadline.after(Duration(seconds), "the guest's SSH server")


async def failure(
    address: GuestAddress, credentials: Credentials, seconds: float = 2.0, settings: SshSettings = QUICK
) -> tuple[GuestUnreachable, list[ConnectAttempt]]:
    events: list[Event] = []
    with pytest.raises(GuestUnreachable) as caught:
        async with SshCommunicator(settings).connect(address, credentials, deadline=soon(seconds), emit=events.append):
            pass
    return caught.value, [event for event in events if isinstance(event, ConnectAttempt)]


def test_build_key_is_ed25519_and_openssh_reads_it(tmp_path: Path) -> None:
    key = generate_build_key("factory test")
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(key.private_pem.reveal())
    shown = subprocess.run(["ssh-keygen", "-y", "-f", str(path)], check=True, capture_output=True, text=True).stdout
    assert shown.split()[:2] == key.public_line.split()[:2]
    assert key.public_line.startswith("ssh-ed25519 ")
    assert key.public_line.endswith(" factory test")
    assert "PRIVATE" not in repr(key)
    assert generate_build_key().public_line != generate_build_key().public_line


def test_connects_with_the_build_key(tmp_path: Path) -> None:
    async def body() -> None:
        events: list[Event] = []
        async with guest(tmp_path / "home") as host:
            ssh = SshCommunicator(QUICK)
            async with ssh.connect(host.address, host.credentials(), deadline=soon(), emit=events.append) as connection:
                result = await connection.run("echo hello", deadline=soon())
                assert (result.exit_status, result.stdout) == (0, "hello\n")
                assert connection.address == host.address
            assert isinstance(events[-1], ConnectAttempt)
            assert events[-1].state == ConnectState.CONNECTED
            assert "SHA256:" in events[-1].message

    run(body())


@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
@pytest.mark.parametrize("kind", ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "ssh-rsa", "ssh-ed25519"])
def test_kinds_of_keys(tmp_path: Path, kind: str, form: str) -> None:
    async def body() -> None:
        key = asyncssh.generate_private_key(kind)
        path = tmp_path / "key"
        path.write_bytes(key.export_private_key(form))
        public = key.export_public_key().decode()
        async with guest(tmp_path / "home", public_key=public, host_key=kind) as host:
            credentials = Credentials("root", private_key=path)
            async with SshCommunicator().connect(host.address, credentials, deadline=soon(), emit=print) as connection:
                assert (await connection.run("true", deadline=soon())).exit_status == 0

    run(body())


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_passwords(tmp_path: Path, method: str) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home", methods=frozenset({method})) as host:
            credentials = Credentials("root", password=Secret("hunter22"))
            async with SshCommunicator(QUICK).connect(
                host.address, credentials, deadline=soon(), emit=lambda event: None
            ) as connection:
                assert (await connection.run("true", deadline=soon())).exit_status == 0
            error, _ = await failure(host.address, Credentials("root", password=Secret("wrong-one")))
            assert error.layer == ConnectState.AUTHENTICATION
            assert f"refused user 'root' with the password; it offers {method}" in error.message
            assert "wrong-one" not in error.message

    run(body())


def test_nothing_listens() -> None:
    async def body() -> None:
        error, attempts = await failure(unused_address(), Credentials("root"))
        assert error.layer == ConnectState.REFUSED
        assert "Connection refused" in error.message
        assert "waited 2s for the guest's SSH server; after " in error.message
        assert {event.state for event in attempts} == {ConnectState.REFUSED}
        assert len(attempts) > 1

    run(body())


def test_a_port_without_a_banner() -> None:
    async def body() -> None:
        async with mute_server() as address:
            error, attempts = await failure(address, Credentials("root"))
            assert error.layer == ConnectState.NO_BANNER
            assert "no SSH server spoke" in error.message
            assert "QEMU accepts in the guest's place" in error.hint
            assert {event.state for event in attempts} == {ConnectState.NO_BANNER}

    run(body())


def test_a_first_attempt_that_never_ends_still_tells_how_far_it_got() -> None:
    async def body() -> None:
        async with mute_server() as address:
            error, attempts = await failure(address, Credentials("root"), 0.3, SshSettings())
            assert error.layer == ConnectState.NO_BANNER
            assert "accepts connections, but no SSH server spoke: nothing came on " in error.message
            assert [attempt.state for attempt in attempts] == [ConnectState.NO_BANNER]

    run(body())


def test_no_common_algorithm(tmp_path: Path) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home", kex_algs=["diffie-hellman-group18-sha512"]) as host:
            settings = SshSettings(between_attempts=Duration(0.05))
            error, _ = await failure(host.address, host.credentials(), settings=settings)
            assert error.layer == ConnectState.KEY_EXCHANGE
            assert "broke off the key exchange" in error.message

    run(body())


def test_a_refused_key_tells_what_is_offered(tmp_path: Path) -> None:
    async def body() -> None:
        other = generate_build_key().public_line
        async with guest(tmp_path / "home", public_key=other, methods=frozenset({"publickey", "password"})) as host:
            host.key_file.write_bytes(generate_build_key().private_pem.reveal())
            error, attempts = await failure(host.address, host.credentials("admin"))
            assert error.layer == ConnectState.AUTHENTICATION
            assert "refused user 'admin' with the key; it offers" in error.message
            assert "publickey" in error.message
            assert "password" in error.message
            assert "authorized_keys" in error.hint
            assert len(attempts) > 1

    run(body())


def test_a_key_where_only_passwords_are_taken(tmp_path: Path) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home", methods=frozenset({"password"})) as host:
            error, _ = await failure(host.address, host.credentials())
            assert "it offers password" in error.message

    run(body())


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_an_unusable_key_fails_at_once(tmp_path: Path, content: bytes) -> None:
    async def body() -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        error, attempts = await failure(unused_address(), Credentials("root", private_key=path), seconds=600)
        assert "can't be used" in error.message
        assert len(attempts) == 1

    run(body())


def test_a_locked_key_fails_at_once(tmp_path: Path) -> None:
    async def body() -> None:
        path = tmp_path / "key"
        path.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh", passphrase="x"))
        error, _ = await failure(unused_address(), Credentials("root", private_key=path), seconds=600)
        assert "password-protected" in error.message or "assword" in error.message
        assert "without a passphrase" in error.hint

    run(body())


def test_the_guest_that_comes_up_late_is_reached(tmp_path: Path) -> None:
    async def body() -> None:
        address, states = unused_address(), list[str]()
        refused = asyncio.Event()

        def note(event: Event) -> None:
            assert isinstance(event, ConnectAttempt)
            states.append(event.state)
            refused.set()

        async def connect() -> None:
            credentials = Credentials("root", private_key=tmp_path / "build_key")
            async with SshCommunicator(QUICK).connect(address, credentials, deadline=soon(), emit=note):
                pass

        (tmp_path / "build_key").write_bytes(generate_build_key().private_pem.reveal())
        async with asyncio.TaskGroup() as group:
            connecting = group.create_task(connect())
            await refused.wait()
            async with guest(tmp_path / "home", port=address.port):
                await connecting
        assert states[0] == ConnectState.REFUSED
        assert states[-1] == ConnectState.CONNECTED

    run(body())


@pytest.mark.parametrize(
    ("marks", "sign"),
    [
        (InstallerMarks(files=("/no/such", "installing")), "it has installing"),
        (InstallerMarks(files=(), banners=("^SSH-2.0-Installer",)), "SSH-2.0-Installer"),
        (InstallerMarks(files=(), banners=("network-console",)), "this is the network-console"),
    ],
)
def test_the_installers_own_sshd_is_told_apart(tmp_path: Path, marks: InstallerMarks, sign: str) -> None:
    async def body() -> None:
        settings = SshSettings(installer=marks, between_attempts=Duration(0.05))
        async with guest(tmp_path / "home", version="Installer", login_banner="this is the network-console\n") as host:
            (host.home / "installing").touch()
            error, attempts = await failure(host.address, host.credentials(), settings=settings)
            assert error.layer == ConnectState.INSTALLER
            assert f"the installer's own sshd answers on {host.address}: {sign}" in error.message
            assert {event.state for event in attempts} == {ConnectState.INSTALLER}

    run(body())


def test_a_resumed_guest_is_called_once_and_asked_nothing(tmp_path: Path) -> None:
    """It was asked before its memory was stored; each connection and command makes it start a process."""

    async def body() -> None:
        async with guest(tmp_path / "home") as host:
            connecting = SshCommunicator().connect(
                host.address, host.credentials(), deadline=soon(), emit=lambda event: None, guest=Guest.RESUMED
            )
            async with connecting:
                assert len(host.connections) == 1
                assert host.commands == []

    run(body())


def test_an_installer_that_refuses_our_key_is_told_by_its_banner(tmp_path: Path) -> None:
    async def body() -> None:
        marks = InstallerMarks(banners=("Installer",))
        settings = SshSettings(installer=marks, between_attempts=Duration(0.05))
        async with guest(tmp_path / "home", methods=frozenset({"password"}), version="Installer") as host:
            error, _ = await failure(host.address, host.credentials(), settings=settings)
            assert error.layer == ConnectState.INSTALLER

    run(body())


@pytest.mark.parametrize("expected", [True, False])
def test_a_profiles_own_check_for_the_installer(tmp_path: Path, expected: bool) -> None:
    async def check(connection: GuestConnection) -> bool:
        return "installing" in (await connection.run("ls", deadline=soon())).stdout

    async def body() -> None:
        settings = SshSettings(installer=InstallerMarks(files=(), check=check), between_attempts=Duration(0.05))
        async with guest(tmp_path / "home") as host:
            if expected:
                (host.home / "installing").touch()
                error, _ = await failure(host.address, host.credentials(), settings=settings)
                assert error.layer == ConnectState.INSTALLER
            else:
                async with SshCommunicator(settings).connect(
                    host.address, host.credentials(), deadline=soon(), emit=lambda event: None
                ):
                    pass

    run(body())


def test_the_host_key_is_pinned(tmp_path: Path) -> None:
    async def body() -> None:
        ssh = SshCommunicator(QUICK)
        events: list[Event] = []
        async with guest(tmp_path / "home") as host:
            for _ in range(2):
                async with ssh.connect(host.address, host.credentials(), deadline=soon(), emit=events.append):
                    pass
        async with guest(tmp_path / "home", port=host.address.port) as other:
            with pytest.raises(GuestUnreachable, match="shows another host key") as caught:
                async with ssh.connect(other.address, other.credentials(), deadline=soon(), emit=events.append):
                    pass
            assert caught.value.layer == ConnectState.KEY_EXCHANGE
            ssh.forget(other.address)
            async with ssh.connect(other.address, other.credentials(), deadline=soon(), emit=events.append):
                pass

    run(body())


def test_neither_agent_nor_known_hosts_nor_configuration_are_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))

    async def body() -> None:
        contacted: list[object] = []
        agent = await asyncio.start_unix_server(lambda *streams: contacted.append(streams), tmp_path / "agent")
        async with guest(tmp_path / "home", methods=frozenset({"password", "publickey"})) as host:
            async with SshCommunicator(QUICK).connect(
                host.address, host.credentials(), deadline=soon(), emit=lambda event: None
            ):
                pass
            await failure(host.address, Credentials("root"))
        agent.close()
        assert contacted == []

    run(body())
    assert list(home.iterdir()) == []


def test_failures_print_nothing(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a program that has not set logging up

    async def body() -> None:
        async with mute_server() as address:
            await failure(address, Credentials("root"))

    run(body())
    assert capfd.readouterr() == ("", "")


def test_giving_up_ends_an_attempt_at_once() -> None:
    async def body() -> None:
        async with mute_server() as address:
            ssh = SshCommunicator()  # would wait 30 seconds for a banner

            async def connect() -> None:
                async with ssh.connect(address, Credentials("root"), deadline=soon(600), emit=lambda event: None):
                    pass

            async with asyncio.TaskGroup() as group:
                task = group.create_task(connect())
                await asyncio.sleep(0.2)
                task.cancel()
            assert task.cancelled()

    run(body())
