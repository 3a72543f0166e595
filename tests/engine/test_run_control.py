"""What a run directory says about its machines, and when that is to be believed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from factory.drivers.protocols import GuestAddress
from factory.engine.run_control import (
    CONTROL,
    Control,
    GuestControl,
    MachineControl,
    RunControl,
    RunState,
    read_control,
)
from factory.engine.run_directory import start_time

pytestmark = pytest.mark.unit

US = os.getpid()


def test_a_machine_and_the_way_into_its_guest(tmp_path: Path) -> None:
    control = RunControl(tmp_path)
    assert read_control(tmp_path) == Control()
    control.machine_started(Path("/logs/boot"), US, {"observer": "/r/observer.sock", "serial": "/r/serial.sock"})
    control.guest_reachable("SSH", GuestAddress("127.0.0.1", 2222), "root", Path("/r/build-key"))
    seen = read_control(tmp_path)
    assert seen.machine == MachineControl(
        "boot", US, start_time(US), "/r/observer.sock", "/r/serial.sock", "", "/logs/boot"
    )
    assert seen.guest == GuestControl("SSH", "127.0.0.1", 2222, "root", "/r/build-key")
    assert (tmp_path / CONTROL).stat().st_mode & 0o777 == 0o600
    control.kept("provision-1", "it broke")
    assert read_control(tmp_path).state is RunState.KEPT
    control.machine_ended(US)
    assert read_control(tmp_path).machine is None
    assert read_control(tmp_path).guest is None
    control.ended()
    assert read_control(tmp_path) == Control(RunState.ENDED, "provision-1", "it broke")


def test_the_newest_of_several_machines_counts(tmp_path: Path) -> None:
    control = RunControl(tmp_path)
    control.machine_started(Path("/logs/boot"), US, {})
    control.machine_started(Path("/logs/clone-1"), os.getppid(), {})
    machine = read_control(tmp_path).machine
    assert machine is not None
    assert machine.name == "clone-1"
    control.machine_ended(os.getppid())
    machine = read_control(tmp_path).machine
    assert machine is not None
    assert machine.name == "boot"


def test_a_stranger_with_the_same_pid_is_no_machine(tmp_path: Path) -> None:
    RunControl(tmp_path).machine_started(Path("/logs/boot"), US, {})
    text = json.loads((tmp_path / CONTROL).read_text())
    text["machines"][0]["started"] += 1
    (tmp_path / CONTROL).write_text(json.dumps(text))
    assert read_control(tmp_path).machines
    assert read_control(tmp_path).machine is None


def test_a_process_that_is_gone_is_no_machine(tmp_path: Path) -> None:
    RunControl(tmp_path).machine_started(Path("/logs/boot"), 2**22 + 1, {})  # beyond the largest pid of Linux
    assert read_control(tmp_path).machine is None


@pytest.mark.parametrize("text", ["", "{}", '{"state": "gone"}', '{"state": "running", "machines": [{"x": 1}]}'])
def test_half_a_file_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / CONTROL).write_text(text)
    with pytest.raises(ValueError):
        read_control(tmp_path)
