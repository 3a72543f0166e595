"""Who is told of a failure, when, and what still exists at that moment."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from factory.drivers.protocols import Machine
from factory.engine.failure import Failure
from factory.errors import MachineDied, StepError
from factory.events import Note
from factory.plan.model import Keeps, Power
from factory.plan.step import Scope
from tests.engine.fakes import FAILURE, Bench, Fail, Write, make_phases, make_plan

pytestmark = pytest.mark.unit


@dataclass
class Observer:
    """Writes down what it was told, among what the steps did."""

    bench: Bench
    told: list[str] = field(default_factory=list)

    async def failed(self, error: BaseException, phase: str, scope: Scope) -> None:
        machine = scope.find(Machine)  # type: ignore[type-abstract]
        running = "running" if machine else "no machine"
        self.told.append(f"failed {phase}: {error} ({running})")
        self.bench.log.lines.append("told of the failure")

    async def stopped(self, error: BaseException, folder: Path | None) -> None:
        there = folder is not None and (folder / "disk-main.qcow2").exists()
        self.told.append(f"stopped: {error} ({'disk there' if there else 'no disk'})")
        self.bench.log.lines.append("told of the stop")


class Broken:
    async def failed(self, error: BaseException, phase: str, scope: Scope) -> None:
        raise ValueError("no idea")

    async def stopped(self, error: BaseException, folder: Path | None) -> None:
        raise ValueError("still no idea")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def plan_that_fails(error: BaseException = FAILURE) -> object:
    return make_plan(
        *make_phases(
            ("install", (Write("install"),), Power.OFF, Keeps.DISKS),
            ("boot", (), Power.RUNNING, Keeps.MEMORY),
            ("provision-1", (Write("one"), Fail(error)), Power.RUNNING, Keeps.MEMORY),
        )
    )


def run(bench: Bench, **options: object) -> None:
    asyncio.run(bench.run(plan_that_fails(), **options))  # type: ignore[arg-type]


def test_hooks_see_the_machine_and_then_its_disks(bench: Bench) -> None:
    observer = Observer(bench)
    with pytest.raises(StepError, match="it broke"):
        run(bench, hooks=[observer])
    assert observer.told == ["failed provision-1: it broke (running)", "stopped: it broke (disk there)"]
    after = bench.log.lines[bench.log.lines.index("fail") :]
    assert after == ["fail", "told of the failure", "undo one", "off", "told of the stop"]
    assert not bench.drafts()


def test_a_hook_that_fails_hides_nothing(bench: Bench) -> None:
    observer = Observer(bench)
    with pytest.raises(StepError, match="it broke"):
        run(bench, hooks=[Broken(), observer])
    assert len(observer.told) == 2
    notes = [e.message for e in bench.events if isinstance(e, Note)]
    assert [n for n in notes if "Broken could not explain" in n and "no idea" in n]


def test_nobody_is_told_of_ctrl_c(bench: Bench) -> None:
    observer = Observer(bench)
    plan = plan_that_fails(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(bench.run(plan, hooks=[observer]))  # type: ignore[arg-type]
    assert observer.told == []


def test_a_full_disk_while_a_layer_is_stored_is_told_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Observer(bench)

    def full(*arguments: object, **options: object) -> None:
        raise StepError("no space left")

    monkeypatch.setattr(bench.store, "commit", full)
    with pytest.raises(StepError, match="no space"):
        run(bench, hooks=[observer])
    assert [line.split(" (")[0] for line in observer.told] == [
        "failed install: no space left",
        "stopped: no space left",
    ]


@dataclass
class Kept:
    """Holds the machine until the task is cancelled by a signal, as Ctrl-C does."""

    bench: Bench

    async def hold(self, error: BaseException, phase: str, scope: Scope) -> None:
        self.bench.log.lines.append("held")
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, task.cancel)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.Event().wait()


def test_ctrl_c_ends_the_holding_and_the_build_fails_as_it_would_have(bench: Bench) -> None:
    observer = Observer(bench)
    with pytest.raises(StepError, match="it broke"):
        run(bench, hooks=[observer], holder=Kept(bench))
    after = bench.log.lines[bench.log.lines.index("fail") :]
    assert after == ["fail", "told of the failure", "held", "undo one", "off", "told of the stop"]


def test_a_failure_is_told_once_however_often_it_passes(tmp_path: Path) -> None:
    async def both() -> list[str]:
        observer = Observer(Bench(tmp_path))
        failure = Failure([observer], None, lambda event: None)
        scope = _Nothing()
        await failure.happened(StepError("the step"), "boot", scope)  # type: ignore[arg-type]
        await failure.happened(MachineDied("QEMU ended"), "boot", scope)  # type: ignore[arg-type]
        return observer.told

    assert asyncio.run(both()) == ["failed boot: the step (no machine)"]


class _Nothing:
    def find(self, kind: type) -> None:
        return None
