"""The step that connects, against a real SSH server: what ``access.ssh`` may ask for besides a user and a key."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from factory.drivers.protocols import Communicator, Machine
from factory.drivers.ssh import SshCommunicator
from factory.engine.scope import StepScope
from factory.errors import HostError
from factory.plan.resources import BuildSecrets, GuestAt, MachineState
from factory.quantity import Duration
from factory.secret import Redactor
from factory.steps.connect_guest import ConnectGuest, GuestLink
from tests.drivers.ssh_server import Guest, guest

pytestmark = pytest.mark.machine
PATIENCE = Duration(60)


def scope_for(host: Guest, folder: Path) -> StepScope:
    scope = StepScope(lambda event: None, "boot", folder, folder, folder)
    scope.put_as(Machine, None)
    scope.put_as(Communicator, SshCommunicator())
    scope.put(Redactor())
    scope.put(BuildSecrets(host.key_file, "", {}))
    scope.put(MachineState(folder))
    scope.put(GuestAt(host.address))
    return scope


def test_a_guest_that_has_to_settle_is_connected_to_anew(tmp_path: Path) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home") as host:
            scope = scope_for(host, tmp_path)
            began = time.monotonic()
            step = ConnectGuest("root", None, None, PATIENCE, Duration(0), settle=Duration(0.5))
            async with step.enter(scope):
                assert scope.get(GuestLink).connection.credentials.user == "root"
                assert time.monotonic() - began >= 0.5
                signs = [c for c in host.commands if "uname" in c]
                assert len(signs) == 2  # each connection asks once whether it is the installer

    asyncio.run(body())


def test_a_guest_out_of_stored_memory_has_settled(tmp_path: Path) -> None:
    async def body() -> None:
        async with guest(tmp_path / "home") as host:
            scope = scope_for(host, tmp_path)
            scope.put(MachineState(tmp_path, tmp_path / "memory"))
            step = ConnectGuest("root", None, None, PATIENCE, Duration(0), settle=Duration(3600))
            async with step.enter(scope):
                assert len(host.connections) == 1
                assert not [c for c in host.commands if "uname" in c]  # nor is it taken for an installer

    asyncio.run(body())


def test_an_agent_without_a_socket_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    async def body() -> None:
        async with guest(tmp_path / "home") as host:
            step = ConnectGuest("root", None, None, PATIENCE, Duration(0), agent="SSH_AUTH_SOCK")
            with pytest.raises(HostError, match="SSH_AUTH_SOCK is not set"):
                async with step.enter(scope_for(host, tmp_path)):
                    pass

    asyncio.run(body())
