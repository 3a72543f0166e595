"""The waits that a boot command may contain, on a running machine: every one of them is watched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from factory.boot_command.sensed_waits import SEED_BUDGET, SERIAL_BUDGET, STILL_FOR, TEXT_BUDGET, still_budget
from factory.deadline import Deadline, pause
from factory.drivers.protocols import Machine, Outcome, ScreenReader, SeedEndpoint
from factory.errors import DeadlineExpired
from factory.plan.step import Scope
from factory.quantity import Duration
from factory.steps.watch import GRACE, watching

_WORTH_A_LOOK = Duration(10)
"""A blind wait that is shorter ends before anybody could tell a guest that hangs from one that is slow."""


class MachineWaits:
    """``BootWaits`` on the scope's machine. Each raises MachineStalled when that hangs for *stall*.

    Args:
        reader: in whose name the serial line is read (``protocols.ScreenReader``).
    """

    def __init__(self, scope: Scope, stall: Duration, reader: str = "") -> None:
        self._scope, self._stall, self._reader = scope, stall, reader
        self._machine, self._screen = scope.get(Machine), scope.get(ScreenReader)
        self._seed = scope.find(SeedEndpoint)

    def _watch(self, deadline: Deadline, *, grace: int = GRACE) -> AbstractAsyncContextManager[Deadline]:
        return watching(self._scope, deadline, self._stall, grace=grace)

    async def wait(self, duration: Duration) -> None:
        if duration < _WORTH_A_LOOK:
            await pause(duration)
            return
        deadline = Deadline.after(duration, f"{duration} to pass, as the boot command says")
        async with self._watch(deadline, grace=1):  # a guest at work does not make it longer
            await pause(duration)

    async def wait_text(self, pattern: re.Pattern[str], budget: Duration = TEXT_BUDGET) -> None:
        deadline = Deadline.after(budget, f"the screen to show {_shown(pattern)}")
        async with self._watch(deadline) as watched:
            await self._screen.wait_for_text(self._machine, pattern, watched)

    async def wait_still(self, still: Duration = STILL_FOR, budget: Duration | None = None) -> None:
        deadline = Deadline.after(budget or still_budget(still), f"the screen to stand still for {still}")
        async with self._watch(deadline) as watched:
            await self._screen.wait_still(self._machine, still, watched)

    async def wait_serial(self, pattern: re.Pattern[str], budget: Duration = SERIAL_BUDGET) -> None:
        deadline = Deadline.after(budget, f"the serial line to say {_shown(pattern)}")
        async with self._watch(deadline) as watched:
            await self._screen.wait_for_serial(self._machine, pattern, watched, reader=self._reader)

    async def wait_any(self, outcomes: Sequence[Outcome], budget: Duration, what: str) -> Outcome:
        """Waits for the first of several, *what* in words."""
        async with self._watch(Deadline.after(budget, what)) as watched:
            return await self._screen.wait_for_any(self._machine, outcomes, watched, reader=self._reader)

    async def wait_seed(self, path: str = "", budget: Duration = SEED_BUDGET) -> None:
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
