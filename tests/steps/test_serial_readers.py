"""How steps read the serial line: the boot command and what is expected behind it each for itself."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from factory.deadline import Deadline
from factory.drivers.protocols import BootWaits, Machine, Outcome, ScreenReader, TypingReport, Typist
from factory.engine.scope import StepScope
from factory.events import ignore
from factory.quantity import Duration
from factory.steps.expectation import AwaitExpectation
from factory.steps.type_boot_command import TypeBootCommand
from factory.steps.watch import panic_in
from factory.template.model import Expect

pytestmark = pytest.mark.unit


class Guest:
    async def wait_for_shutdown(self, deadline: Deadline) -> None:
        await asyncio.Event().wait()


class Waits:
    """Types nothing, and waits for what it is given."""

    async def type(self, machine: object, command: str, *, waits: BootWaits, **_: object) -> TypingReport:
        await waits.wait_serial(re.compile(command), Duration(1))
        return TypingReport(0, 0, 0, Duration(0))


class Line:
    """Keeps who waited for what."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, str]] = []

    async def wait_for_serial(self, machine: object, pattern: re.Pattern[str], deadline: object, *, reader: str) -> str:
        self.waits.append((reader, pattern.pattern))
        return pattern.pattern

    async def wait_for_any(self, machine: object, outcomes: list[Outcome], deadline: object, *, reader: str) -> Outcome:
        self.waits.append((reader, outcomes[0].name))
        return outcomes[0]


def test_a_panic_among_control_sequences() -> None:
    assert panic_in("\x1b[0m\x1b[KKernel panic - not syncing: no \x1b[1mroot\x1b[0m\r\n") == "no root"


def test_the_boot_command_takes_nothing_from_what_is_expected(tmp_path: Path) -> None:
    line = Line()
    scope: Any = StepScope(ignore, "install", tmp_path, tmp_path, tmp_path)
    scope.put_as(Machine, Guest())
    scope.put_as(ScreenReader, line)
    scope.put_as(Typist, Waits())
    steps = (
        TypeBootCommand(("started", Expect(on_serial={"boot:": "typed"}))),
        AwaitExpectation(Expect(serial="started")),
        AwaitExpectation(Expect(on_serial={"done": "then"})),
    )

    async def run() -> None:
        for step in steps:
            async with step.enter(scope):
                pass

    asyncio.run(run())
    own, expected = "the boot command", "what is expected"
    assert line.waits == [
        (own, "started"), (own, "boot:"), (own, "typed"), (expected, "started"), (expected, "done"), (expected, "then"),
    ]  # fmt: skip
