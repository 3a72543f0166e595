"""Types the boot command, sees to the waits in it, and then to what the profile expects to happen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias

from factory.boot_command.outcomes import outcome_pattern
from factory.deadline import Deadline, pause
from factory.drivers.protocols import ActivityProbe, Machine, Outcome, ScreenReader, SeedEndpoint, Typist, Where
from factory.errors import DeadlineExpired
from factory.events import Note
from factory.plan.resources import MachineState, SeedPlace
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.late import late_values
from factory.steps.watch import watching
from factory.template.late import render_late
from factory.template.model import DEFAULT_STALL, FAIL, Expect, Text

Watch: TypeAlias = Callable[[Deadline], AbstractAsyncContextManager[Deadline]]


@dataclass(frozen=True, slots=True)
class TypeBootCommand(Step):
    command: tuple[Text, ...]
    wait: Duration = Duration(0)
    layout: str = "us"
    dialect: str = "factory"

    needs: ClassVar[tuple[type, ...]] = (Machine, Typist, ScreenReader)
    wants: ClassVar[tuple[type, ...]] = (SeedEndpoint, SeedPlace, MachineState)

    @property
    def title(self) -> str:
        return "type the boot command"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        machine = scope.get(Machine)
        state = scope.find(MachineState)
        if state and state.memory:
            scope.detail("the guest goes on from memory: nothing is typed")
            yield
            return
        late = late_values(scope)
        # As Packer: the parts of a boot command are joined without anything between them.
        text = "".join(render_late(part, late) for part in self.command)
        await pause(self.wait)
        waits = MachineWaits(machine, scope.get(ScreenReader), scope.find(SeedEndpoint))
        report = await scope.get(Typist).type(
            machine, text, dialect=self.dialect, layout=self.layout, waits=waits, emit=scope.emit
        )
        for warning in report.warnings:
            scope.emit(Note(warning, "warning"))
        again = f", {report.retyped} typed again" if report.retyped else ""
        scope.detail(f"{report.characters} characters in {report.duration}{again}")
        yield


@dataclass(frozen=True, slots=True)
class AwaitExpectation(Step):
    """A wait that the profile makes part of the installation, and what is typed at what it finds."""

    expect: Expect
    layout: str = "us"
    stall: Duration = DEFAULT_STALL

    needs: ClassVar[tuple[type, ...]] = (Machine, ScreenReader, Typist)
    wants: ClassVar[tuple[type, ...]] = (SeedEndpoint, SeedPlace, ActivityProbe)

    @property
    def title(self) -> str:
        return f"wait for {self.expect.means or self._what()}"

    def _what(self) -> str:
        expect = self.expect
        if expect.branches:
            *others, last = (f"{key!r}" for key in (*expect.on, *expect.on_serial))
            return f"{', '.join(others)} or {last}" if others else last
        if expect.still:
            return f"the screen to stand still for {expect.still}"
        return expect.serial or expect.text or f"the installer to fetch {expect.seed}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        expect = self.expect
        watch = partial(watching, scope, stall=self.stall)
        waits = MachineWaits(scope.get(Machine), scope.get(ScreenReader), scope.find(SeedEndpoint), watch)
        if expect.seed:
            await waits.wait_seed(expect.seed, expect.deadline)
        if expect.serial:
            await waits.wait_serial(re.compile(expect.serial, re.MULTILINE), expect.deadline)
        if expect.text:
            await waits.wait_text(re.compile(expect.text, re.MULTILINE), expect.deadline)
        if expect.still:
            await waits.wait_still(expect.still, expect.deadline)
        if expect.branches:
            await self._branch(scope, waits)
        yield

    async def _branch(self, scope: Scope, waits: MachineWaits) -> None:
        places = {Where.SCREEN: self.expect.on, Where.SERIAL: self.expect.on_serial}
        outcomes = [
            Outcome(key, outcome_pattern(key).compiled(), branch == FAIL, where)
            for where, branches in places.items()
            for key, branch in branches.items()
        ]
        deadline = Deadline.after(self.expect.deadline, self.expect.means or self._what())
        machine = scope.get(Machine)
        async with watching(scope, deadline, self.stall) as watched:
            found = await scope.get(ScreenReader).wait_for_any(machine, outcomes, watched)
        scope.detail(f"the {found.where.value} shows {found.name!r}")
        late = late_values(scope)
        branch = places[found.where][found.name]
        text = "".join(render_late(part, late) for part in branch)
        if text:
            report = await scope.get(Typist).type(
                machine, text, dialect="factory", layout=self.layout, waits=waits, emit=scope.emit
            )
            for warning in report.warnings:
                scope.emit(Note(warning, "warning"))


class MachineWaits:
    """``BootWaits`` on a running machine. *watch* yields the deadline to wait by (``steps.watch``)."""

    def __init__(
        self, machine: Machine, screen: ScreenReader, seed: SeedEndpoint | None, watch: Watch = nullcontext
    ) -> None:
        self._machine, self._screen, self._seed, self._watch = machine, screen, seed, watch

    async def wait(self, duration: Duration) -> None:
        await pause(duration)

    async def wait_text(self, pattern: re.Pattern[str], budget: Duration) -> None:
        deadline = Deadline.after(budget, f"the screen to show {_shown(pattern)}")
        async with self._watch(deadline) as watched:
            await self._screen.wait_for_text(self._machine, pattern, watched)

    async def wait_still(self, still: Duration, budget: Duration) -> None:
        deadline = Deadline.after(budget, f"the screen to stand still for {still}")
        await self._screen.wait_still(self._machine, still, deadline)

    async def wait_serial(self, pattern: re.Pattern[str], budget: Duration) -> None:
        deadline = Deadline.after(budget, f"the serial line to say {_shown(pattern)}")
        async with self._watch(deadline) as watched:
            await self._screen.wait_for_serial(self._machine, pattern, watched)

    async def wait_seed(self, path: str, budget: Duration) -> None:
        if self._seed is None:
            raise DeadlineExpired(
                "<waitSeed> waits for a seed over HTTP, and this build serves none",
                hint="remove it from the boot command, or deliver the seed by http",
            )
        deadline = Deadline.after(budget, f"the guest to fetch {path or 'its seed'}")
        async with self._watch(deadline) as watched:
            await self._seed.wait_for_request(path, watched)


def _shown(pattern: re.Pattern[str]) -> str:
    """As a person wrote it: a plain text in quotes, an expression between slashes."""
    plain = re.sub(r"\\(.)", r"\1", pattern.pattern, flags=re.DOTALL)
    return repr(plain) if re.escape(plain) == pattern.pattern else f"/{pattern.pattern}/"
