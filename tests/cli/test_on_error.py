"""Who holds a failed build's machine, for how long, and what happens then."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.cli.on_error import RETRIES, Attempts, Choice, HoldsMachine, OnError, as_wanted, tell
from factory.deadline import Deadline, poll
from factory.drivers.protocols import GuestAddress
from factory.engine.run_control import RunControl, RunState, read_control
from factory.engine.run_directory import Run, open_run
from factory.errors import StepError
from factory.events import Event, Note
from factory.quantity import Duration
from factory.template.load import load

BROKE = StepError("it broke")


class Machine:
    """Stands for a machine that is alive: this process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


class Scope:
    def __init__(self, machine: Machine | None) -> None:
        self._machine = machine

    def find(self, kind: Any) -> Any:
        return self._machine


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with open_run(tmp_path, "tiny") as run:
        yield run


def hold(
    run: Run, on_error: OnError, machine: Machine | None, told: Choice | None = None
) -> tuple[list[str], Attempts]:
    """Fails once and holds; the choice is made while the machine is held. Returns the notes."""
    events: list[Event] = []
    attempts, control = Attempts(on_error), RunControl(run.path)
    control.machine_started(run.path / "boot", os.getpid(), {"serial": "/r/serial.sock", "vnc": "/r/vnc.sock"})
    control.guest_reachable("SSH", GuestAddress("127.0.0.1", 2222), "root", None)

    async def choose() -> None:
        async def kept() -> bool | None:
            return read_control(run.path).state is RunState.KEPT or None

        await poll(kept, Deadline.after(Duration(20), "the machine to be kept"))
        assert read_control(run.path).message == "it broke"
        assert told is not None
        tell(run.path, told)

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            if told:
                group.create_task(choose())
            holder = HoldsMachine(run, control, attempts, events.append)
            await holder.hold(BROKE, "provision-1", Scope(machine))  # type: ignore[arg-type]

    # The holder listens by looking again and again, which a unit test may not wait for.
    asyncio.run(both())
    return [event.message for event in events if isinstance(event, Note)], attempts


@pytest.mark.machine  # it sleeps for real
@pytest.mark.parametrize(("choice", "again"), [(Choice.CLEAN, False), (Choice.RETRY, True)])
def test_a_kept_machine_waits_for_a_word(run: Run, choice: Choice, again: bool) -> None:
    notes, attempts = hold(run, OnError.KEEP, Machine(os.getpid()), choice)
    text = "\n".join(notes)
    for way in ("factory screen", "factory ssh", "factory attach", "VNC on the socket /r/vnc.sock", "factory release"):
        assert way in text
    assert attempts.another() is again
    assert read_control(run.path).state is RunState.RUNNING
    assert not (run.path / "release").exists()


@pytest.mark.unit
def test_without_a_machine_there_is_nothing_to_keep(run: Run) -> None:
    for machine in (None, Machine(2**22 + 1)):
        notes, attempts = hold(run, OnError.KEEP, machine)
        assert notes[-1] == "no machine is running: there is nothing to keep"
        assert not attempts.another()


@pytest.mark.unit
@pytest.mark.parametrize("on_error", [OnError.CLEAN, OnError.RETRY])
def test_nothing_is_held_unless_asked_for(run: Run, on_error: OnError) -> None:
    assert hold(run, on_error, Machine(os.getpid()))[0] == []


@pytest.mark.unit
@pytest.mark.parametrize("on_error", [OnError.ABORT, OnError.CLEANUP_PROVISIONER])
def test_packers_words_wait_for_nobody(run: Run, on_error: OnError) -> None:
    """A pipeline would hang; and a machine that is left behind would be an orphan."""
    notes, attempts = hold(run, on_error, Machine(os.getpid()))
    assert len(notes) == 1
    assert notes[0].startswith(f"-on-error={on_error.value}: a machine can't outlive its build, so it is stopped")
    assert not attempts.another()
    assert read_control(run.path).state is RunState.RUNNING


@pytest.mark.unit
def test_ask_without_a_terminal_cleans_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    notes, attempts = hold(run, OnError.ASK, Machine(os.getpid()))
    assert len(notes) == 1
    assert "there is no terminal to ask on, so this is cleaned up" in notes[0]
    assert not attempts.another()


@pytest.mark.unit
def test_abort_runs_nothing_more_in_the_guest(tmp_path: Path) -> None:
    path = tmp_path / "t.yml"
    path.write_text(
        "format: 1\nname: t\nsource: {image: {path: d.raw}}\n"
        "machine: {firmware: bios, disks: [{id: main, size: 1 GiB}]}\n"
        "provision: [{shell: {inline: [echo one]}}]\n"
    )
    (tmp_path / "d.raw").touch()
    native = load(path)
    cleanup = native.template.provision[0]
    loaded = replace(native, error_cleanup=cleanup)
    assert as_wanted(loaded, OnError.ABORT).error_cleanup is None
    for other in set(OnError) - {OnError.ABORT}:
        assert as_wanted(loaded, other).error_cleanup is cleanup


@pytest.mark.unit
def test_retries_have_a_limit() -> None:
    attempts = Attempts(OnError.RETRY)
    assert [attempts.another() for _ in range(RETRIES + 2)] == [True] * RETRIES + [False, False]
    assert not Attempts(OnError.CLEAN).another()


@pytest.mark.unit
def test_a_person_may_retry_as_often_as_they_like() -> None:
    attempts = Attempts(OnError.ASK)
    for _ in range(RETRIES + 3):
        attempts.want_another()
        assert attempts.another()
    assert not attempts.another()


@pytest.mark.machine  # it waits for real
@pytest.mark.parametrize(
    ("typed", "alive", "again"),
    [("r\n", True, True), ("x\n\nC\n", True, False), ("k\nr\n", False, True), ("x\n", True, True)],
)
def test_a_terminal_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, alive: bool, again: bool) -> None:
    """What is no answer is asked again; without a machine there is no `keep` to choose."""
    ours, theirs = os.openpty()
    with (
        os.fdopen(ours, "r+b", buffering=0) as person,
        open(theirs, closefd=False) as reads,
        open(theirs, "w") as writes,
    ):
        monkeypatch.setattr(sys, "stdin", reads)
        monkeypatch.setattr(sys, "stderr", writes)
        person.write(typed.encode())
        told = None if typed.rstrip()[-1] in "rC" else Choice.RETRY  # `factory release` in place of an answer
        notes, attempts = hold(run, OnError.ASK, Machine(os.getpid()) if alive else None, told)
        monkeypatch.undo()
        shown = os.read(person.fileno(), 4096).decode()
    if told is None:
        assert shown.count("or [c]lean up? ") == len(typed.split("\n")) - 1
    assert ("[k]eep the machine" in shown) is alive
    assert any("factory screen" in note for note in notes) is alive
    assert attempts.another() is again
