"""Fakes for the engine's tests: steps that write words to disks, drivers that copy files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.drivers.machine_spec import DiskSpec, MachineSpec
from factory.drivers.protocols import Checkpoints, DiskImages, ImageInfo, Machine
from factory.engine.runner import Runner
from factory.engine.scope import StepScope
from factory.engine.store import Layer, LayerStore
from factory.errors import MachineDied, MemoryRefused, StepError
from factory.events import Event
from factory.plan.keys import ROOT, chain
from factory.plan.model import Keeps, Phase, Plan, Power, Recipe
from factory.plan.resources import MachineState
from factory.plan.step import Scope, Step
from factory.quantity import Size


class FakeImages:
    """An image is a text file; an overlay begins as ``backing:<name>``."""

    async def create(
        self, path: Path, *, size: Size | None, format: str = "qcow2", backing: str = "",
        backing_format: str = "qcow2", options: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        path.write_text(f"backing:{backing}\n" if backing else "empty\n")

    async def info(self, path: Path, *, format: str = "") -> ImageInfo:
        return ImageInfo("qcow2", Size(1), Size(1))


class FakeMachine:
    def __init__(self, state: MachineState) -> None:
        self.spec = MachineSpec("x", "qemu", "pc", "tcg", Size(1), disks=(DiskSpec("main", Path()),))
        self.state = state


class FakeCheckpoints:
    async def save(
        self, machine: Any, *, memory: Path, overlays: Mapping[str, Path], while_paused: Callable[[], None],
        variables: Path | None = None,
    ) -> float:  # fmt: skip
        memory.write_text("memory\n")
        while_paused()
        return 0.1

    def fingerprint(self, machine: Any) -> Mapping[str, str]:
        return {"qemu": "fake"}


@dataclass(slots=True)
class Log:
    """What steps did, in order."""

    lines: list[str] = field(default_factory=list)
    refused: str = ""
    """Key of the layer whose memory QEMU does not take."""
    refusal: type[MachineDied] = MemoryRefused


@dataclass(frozen=True)
class Write(Step):
    """Appends a word to the disk of the state it finds."""

    word: str

    @property
    def title(self) -> str:
        return f"write {self.word}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        disk = scope.get(MachineState).disk("main")
        scope.get(Log).lines.append(self.word)
        with disk.open("a") as stream:
            stream.write(f"{self.word}\n")
        try:
            yield
        finally:
            scope.get(Log).lines.append(f"undo {self.word}")


@dataclass(frozen=True)
class Fail(Step):
    error: BaseException

    @property
    def title(self) -> str:
        return "fail"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        scope.get(Log).lines.append("fail")
        raise self.error
        yield


@dataclass(frozen=True)
class Boot(Step):
    @property
    def title(self) -> str:
        return "boot"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        state = scope.get(MachineState)
        log = scope.get(Log)
        log.lines.append("resume" if state.memory else "boot")
        if state.memory and state.memory.parent.name == log.refused:
            log.lines.append("refused")
            raise log.refusal("QEMU ended by itself (status 1)")
        scope.put_as(Machine, FakeMachine(state))
        try:
            yield
        finally:
            scope.get(Log).lines.append("off")


@dataclass(frozen=True)
class PowerOff(Step):
    @property
    def title(self) -> str:
        return "power off"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        scope.get(Log).lines.append("power off")
        yield


def make_phases(*specs: tuple[str, tuple[Step, ...], Power, Keeps]) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for name, steps, power, keeps in specs:
        words = [s.word for s in steps if isinstance(s, Write)]
        recipe = Recipe({"words": list(words)})
        parent = phases[-1].key if phases else ROOT
        phases.append(Phase(name, steps, recipe, chain(parent, name, recipe), power, keeps))
    return tuple(phases)


def make_plan(*phases: Phase) -> Plan:
    return Plan("image", "image.yml", phases, (Boot(),), (PowerOff(),), {})


class Bench:
    """Runs plans in a folder and remembers what happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = LayerStore(folder / "cache")
        self.events: list[Event] = []
        self.log = Log()
        self.unusable = ""
        self.refused = ""
        self.refusal: type[MachineDied] = MemoryRefused

    async def run(self, plan: Plan, **options: Any) -> list[str]:
        """What the steps did; teardown included."""
        self.log.lines.clear()
        self.log.refused, self.log.refusal = self.refused, self.refusal
        scope = StepScope(self.events.append, "", self.folder, self.folder, self.folder)
        scope.put(self.log)
        scope.put_as(DiskImages, FakeImages())
        scope.put_as(Checkpoints, FakeCheckpoints())
        await Runner(plan, self.store, scope, usable=lambda layer: self.unusable, **options).run()
        return list(self.log.lines)

    def disk(self, layer: Layer) -> str:
        return (layer.path / "disk-main.qcow2").read_text()

    def drafts(self) -> list[Path]:
        return list(self.store.layers.glob(".*"))


FAILURE = StepError("it broke")
