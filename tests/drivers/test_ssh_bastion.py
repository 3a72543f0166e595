"""Ways in besides a key file: an agent's keys, a certificate, and a host in between. Real protocol, real ssh-agent."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.deadline import Deadline, poll
from factory.drivers.protocols import Credentials
from factory.drivers.ssh import InstallerMarks, SshCommunicator, SshSettings
from factory.drivers.ssh_bastion import BastionHost, ThroughBastion
from factory.errors import GuestUnreachable
from factory.quantity import Duration
from factory.secret import Secret
from tests.drivers.ssh_server import guest, unused_address

pytestmark = pytest.mark.machine
QUICK = SshSettings(installer=InstallerMarks(files=()), between_attempts=Duration(0.05), after_refusal=Duration(0.05))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def soon(seconds: float = 60) -> Deadline:
    return Deadline.after(Duration(seconds), "the guest's SSH server")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """The socket of an agent that holds the key ``tmp_path/key``, whose file is gone."""
    place = tmp_path / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    running.stdout.readline()  # it says where it is once it listens
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    environment = {**os.environ, "SSH_AUTH_SOCK": str(place)}
    subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environment)
    key.unlink()
    yield place
    running.terminate()
    running.wait()
    running.stdout.close()


def test_an_agents_keys_are_offered(tmp_path: Path, agent: Path) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home", public_key=(tmp_path / "key.pub").read_text()) as host:
            credentials = Credentials("root", agent=agent)
            async with SshCommunicator(QUICK).connect(
                host.address, credentials, deadline=soon(), emit=lambda event: None
            ) as connection:
                assert (await connection.run("echo in", deadline=soon())).stdout == "in\n"

    run(body())


def test_an_agent_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home") as host:
            credentials = Credentials("root", agent=tmp_path / "nobody")
            with pytest.raises(GuestUnreachable, match=r"no SSH agent answers at .*nobody: .*No such file") as caught:
                async with SshCommunicator(QUICK).connect(
                    host.address, credentials, deadline=soon(), emit=lambda event: None
                ):
                    pass
            assert "SSH_AUTH_SOCK" in caught.value.hint

    run(body())


def test_a_certificate_goes_with_its_key(tmp_path: Path) -> None:
    for name in ("ca", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    sign = ["ssh-keygen", "-q", "-s", "ca", "-I", "build", "-n", "root", "user.pub"]
    subprocess.run(sign, check=True, cwd=tmp_path)

    async def body() -> None:
        async with guest(tmp_path / "home", public_key=(tmp_path / "ca.pub").read_text()) as host:
            plain = Credentials("root", private_key=tmp_path / "user")
            with pytest.raises(GuestUnreachable):
                async with SshCommunicator(QUICK).connect(
                    host.address, plain, deadline=soon(3), emit=lambda event: None
                ):
                    pass
            signed = Credentials("root", private_key=tmp_path / "user", certificate=tmp_path / "user-cert.pub")
            async with SshCommunicator(QUICK).connect(
                host.address, signed, deadline=soon(), emit=lambda event: None
            ) as connection:
                assert (await connection.run("echo in", deadline=soon())).stdout == "in\n"

    run(body())


def test_a_guest_behind_a_bastion(tmp_path: Path, agent: Path) -> None:
    """The bastion knows the agent's key, the guest the build's; a second connection finds the same host key."""
    (tmp_path / "outer").mkdir()
    content = os.urandom(300_000)

    async def body() -> None:
        async with (
            guest(tmp_path / "outer" / "home", public_key=(tmp_path / "key.pub").read_text()) as bastion,
            guest(tmp_path / "home") as host,
        ):
            way = BastionHost(bastion.address, Credentials("jump", agent=agent))
            ssh = ThroughBastion(SshCommunicator(QUICK), way)
            for _ in range(2):
                async with ssh.connect(
                    host.address, host.credentials(), deadline=soon(), emit=lambda event: None
                ) as connection:
                    await connection.upload(content, "file")
                    assert (await connection.run("wc -c < file", deadline=soon())).stdout.strip() == "300000"
            assert (host.home / "file").read_bytes() == content
            assert {port for _, port in bastion.forwarded} == {host.address.port}
            assert bastion.commands == []

    run(body())


def test_a_guest_that_is_not_there_yet_is_awaited_behind_the_bastion(tmp_path: Path) -> None:
    (tmp_path / "outer").mkdir()
    later = unused_address()

    async def body() -> None:
        async with guest(tmp_path / "outer" / "home") as bastion:
            ssh = ThroughBastion(SshCommunicator(QUICK), BastionHost(bastion.address, bastion.credentials()))
            reaching = ssh.connect(
                later, Credentials("root", Secret("hunter22")), deadline=soon(), emit=lambda event: None
            )

            async def called() -> bool | None:
                return bool(bastion.forwarded) or None

            async with asyncio.TaskGroup() as group:
                entering = group.create_task(reaching.__aenter__())
                await poll(called, soon(), every=Duration(0.01))
                async with guest(tmp_path / "home", port=later.port, methods=frozenset({"password"})):
                    connection = await entering
                    assert (await connection.run("echo in", deadline=soon())).stdout == "in\n"
                    await reaching.__aexit__(None, None, None)

    run(body())


def test_a_bastion_that_refuses_is_named(tmp_path: Path) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home") as bastion:
            way = BastionHost(bastion.address, Credentials("jump", Secret("wrong")))
            with pytest.raises(GuestUnreachable, match=r"the bastion lets nobody through: .*refused user 'jump'"):
                async with ThroughBastion(SshCommunicator(QUICK), way).connect(
                    unused_address(), Credentials("root"), deadline=soon(2), emit=lambda event: None
                ):
                    pass

    run(body())
