"""A software TPM goes on when the layer that it began in is stored."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path

import pytest

from factory.drivers.protocols import MachineDriver
from factory.drivers.qemu.driver import QemuDriver
from factory.engine.machine_state import move_on
from factory.engine.scope import StepScope
from factory.plan.resources import MachineState, TpmAt
from factory.steps.start_machine import StartTpm

pytestmark = pytest.mark.machine

SUCCESS = bytes.fromhex("80010000000a00000000")
STARTUP = bytes.fromhex("80010000000c000001440000")  # TPM2_Startup(CLEAR)
SHUT_DOWN = bytes.fromhex("80010000000c000001450000")  # TPM2_Shutdown(CLEAR): is written to its state
SET_DATA_CHANNEL, INITIALISE = 0x10, 0x02  # swtpm's control channel, as QEMU uses it: tpm_ioctl.h


def powered_on_by(control: socket.socket, place: Path) -> socket.socket:
    """Switches the TPM on. Returns its data channel."""
    ours, its = socket.socketpair()
    with its:
        control.connect(str(place))
        socket.send_fds(control, [struct.pack(">I", SET_DATA_CHANNEL)], [its.fileno()])
        assert control.recv(4) == bytes(4)
        control.sendall(struct.pack(">II", INITIALISE, 0))
        assert control.recv(4) == bytes(4)
    ours.sendall(STARTUP)
    assert ours.recv(64) == SUCCESS
    return ours


def test_a_tpm_writes_its_state_to_the_layer_that_follows(tmp_path: Path) -> None:
    done, following = tmp_path / "done", tmp_path / "following"
    runtime = tmp_path / "runtime"
    for folder in (done, following, runtime):
        folder.mkdir()
    scope = StepScope(lambda event: None, "boot", tmp_path, runtime, done)
    scope.put_as(MachineDriver, QemuDriver())
    scope.put(MachineState(done))

    async def test() -> None:
        async with StartTpm().enter(scope):
            tpm = scope.get(TpmAt)
            with socket.socket(socket.AF_UNIX) as control, powered_on_by(control, tpm.socket) as data:
                move_on(done, MachineState(following), tpm)
                done.rename(tmp_path / "layer")  # as a commit does
                kept = state(tmp_path / "layer")
                data.sendall(SHUT_DOWN)
                assert data.recv(64) == SUCCESS
        assert state(tmp_path / "layer") == kept
        assert state(following) != kept

    asyncio.run(test())


def state(layer: Path) -> bytes:
    return (layer / "tpm" / "tpm2-00.permall").read_bytes()
