"""What is expected to happen while an installer starts, and what is typed then."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from factory.boot_command.outcomes import outcome_pattern
from factory.drivers.protocols import (
    ActivityProbe,
    Machine,
    Outcome,
    ScreenReader,
    SeedEndpoint,
    TypingReport,
    Typist,
    Where,
)
from factory.plan.resources import SeedPlace
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.late import late_values
from factory.steps.machine_waits import MachineWaits
from factory.steps.watch import watching_qemu
from factory.steps.while_running import while_running
from factory.template.late import render_late
from factory.template.model import DEFAULT_STALL, FAIL, Expect

_READER = "what is expected"
"""All of them read the serial line as one, from the machine's start: what the boot command has waited for there may be
what they wait for."""


class Hands:
    """Types on the scope's machine, and adds up how that went. Its waits read the serial line as *reader*."""

    def __init__(
        self, scope: Scope, layout: str, stall: Duration, dialect: str = "factory", *, reader: str = ""
    ) -> None:
        self.scope, self.stall = scope, stall
        self.waits = MachineWaits(scope, stall, reader)
        self._layout, self._dialect = layout, dialect
        self._reports: list[TypingReport] = []

    async def type(self, text: str) -> None:
        """Raises: what ``Typist.type`` does, MachineStalled, MachineSilent when QEMU takes no keys."""
        async with watching_qemu(self.scope, "the boot command to be typed", self.stall):
            report = await self.scope.get(Typist).type(
                self.scope.get(Machine), text, dialect=self._dialect, layout=self._layout, waits=self.waits,
                emit=self.scope.emit,
            )  # fmt: skip
        self._reports.append(report)

    def told(self) -> str:
        """How much has been typed, in words."""
        retyped = sum(report.retyped for report in self._reports)
        again = f", {retyped} typed again" if retyped else ""
        duration = Duration(sum(report.duration for report in self._reports))
        return f"{sum(report.characters for report in self._reports)} characters in {duration}{again}"


async def meet(hands: Hands, expect: Expect) -> None:
    """Waits for what is expected, and types what belongs to the outcome that came.

    Raises: DeadlineExpired with what was there instead, UnexpectedScreen at an outcome that fails, MachineStalled.
    """
    waits = hands.waits
    if expect.seed:
        await waits.wait_seed(expect.seed, expect.deadline)
    if expect.serial:
        await waits.wait_serial(re.compile(expect.serial, re.MULTILINE), expect.deadline)
    if expect.text:
        await waits.wait_text(re.compile(expect.text, re.MULTILINE), expect.deadline)
    if expect.still:
        await waits.wait_still(expect.still, expect.deadline)
    if expect.branches:
        await _branch(hands, expect)


def awaited(expect: Expect) -> str:
    """What is waited for, in words."""
    if expect.means:
        return expect.means
    if expect.branches:
        *others, last = (f"{key!r}" for key in (*expect.on, *expect.on_serial))
        return f"{', '.join(others)} or {last}" if others else last
    if expect.still:
        return f"the screen to stand still for {expect.still}"
    return expect.serial or expect.text or f"the installer to fetch {expect.seed}"


async def _branch(hands: Hands, expect: Expect) -> None:
    scope = hands.scope
    places = {Where.SCREEN: expect.on, Where.SERIAL: expect.on_serial}
    outcomes = [
        Outcome(key, outcome_pattern(key).compiled(), branch == FAIL, where)
        for where, branches in places.items()
        for key, branch in branches.items()
    ]
    found = await hands.waits.wait_any(outcomes, expect.deadline, awaited(expect))
    scope.detail(f"the {found.where.value} shows {found.name!r}")
    late = late_values(scope)
    text = "".join(render_late(part, late) for part in places[found.where][found.name])
    if text:
        await hands.type(text)


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
        return f"wait for {awaited(self.expect)}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        async with while_running(scope, f"this was awaited: {awaited(self.expect)}"):
            await meet(Hands(scope, self.layout, self.stall, reader=_READER), self.expect)
        yield
