"""Several builds at once: which of those that wait may begin.

A build is admitted when what it takes of the host fits beside those that run, and when none of those is making a
layer that it needs too: then it waits, holding nothing, until that layer is stored. Builds begin in the order in which
they were given. One that does not fit yet lets smaller ones pass, but only ``PATIENCE`` of them; then nothing begins
before it. What is too large for the whole host runs alone.

Decisions depend on the order of calls alone: no clock, no randomness.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from factory.quantity import Size

PATIENCE = 4
"""How many later builds may begin before one that does not fit yet: small ones fill gaps, large ones never starve."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a build takes of the host at its peak, or what the host has for all of them.

    ``processors`` counts host CPUs kept busy. ``space`` is by file system.
    """

    memory: Size
    processors: float
    space: Mapping[str, Size] = field(default_factory=dict)

    def __add__(self, other: Load) -> Load:
        names = {**self.space, **other.space}
        space = {n: Size(self.space.get(n, 0) + other.space.get(n, 0)) for n in names}
        return Load(Size(self.memory + other.memory), self.processors + other.processors, space)

    def lacks(self, taken: Load, wanted: Load) -> str:
        """What is missing for *wanted* when *taken* is in use already, in words; empty when it fits."""
        total = taken + wanted
        if total.memory > self.memory:
            return f"memory ({wanted.memory} of {_left(self.memory, taken.memory)} left)"
        if total.processors > self.processors:
            return f"processors ({wanted.processors:g} of {max(0.0, self.processors - taken.processors):g} left)"
        for name, size in wanted.space.items():
            if name in self.space and total.space[name] > self.space[name]:
                return f"disk space ({size} of {_left(self.space[name], taken.space.get(name, Size(0)))} left)"
        return ""


NOTHING = Load(Size(0), 0.0)


def _left(whole: Size, taken: Size) -> Size:
    return Size(max(0, whole - taken))


@dataclass(slots=True, eq=False)
class Job:
    """A build that wants to run. ``position`` is its place in the order, ``makes`` the keys of layers it must make."""

    name: str
    position: int
    load: Load
    makes: set[str] = field(default_factory=set)
    overtaken: int = 0
    waits_for: str = ""


class Scheduler:
    """Admits jobs. ``at_most`` 0 means as many as fit."""

    def __init__(self, capacity: Load, *, at_most: int = 0) -> None:
        self._capacity, self._at_most = capacity, at_most
        self._waiting: dict[Job, tuple[asyncio.Future[None], Callable[[str], None]]] = {}
        self._running: list[Job] = []

    @asynccontextmanager
    async def turn(self, job: Job, *, waiting: Callable[[str], None] = lambda reason: None) -> AsyncIterator[None]:
        """Runs the body once *job* is admitted. *waiting* is told what it waits for, as often as that changes."""
        begin: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[job] = (begin, waiting)
        try:
            self._admit()
            await begin
            yield
        finally:
            self._waiting.pop(job, None)
            if job in self._running:
                self._running.remove(job)
            self._admit()

    def stored(self, key: str) -> None:
        """The layer *key* is there now: who waited for it may begin."""
        for job in (*self._running, *self._waiting):
            job.makes.discard(key)
        self._admit()

    def _admit(self) -> None:
        while (job := self._next()) is not None:
            begin, _ = self._waiting.pop(job)
            self._running.append(job)
            if not begin.done():
                begin.set_result(None)
        for job, (_, waiting) in self._waiting.items():
            obstacle = self._obstacle(job) or "an earlier build to begin"
            if obstacle != job.waits_for:
                job.waits_for = obstacle
                waiting(obstacle)

    def _next(self) -> Job | None:
        """The first that may begin, None when all must wait."""
        passed: list[Job] = []
        for job in sorted(self._waiting, key=lambda j: j.position):
            if not self._obstacle(job):
                for other in passed:
                    other.overtaken += 1
                return job
            if self._maker(job) is None and not self._full():
                if job.overtaken >= PATIENCE:
                    return None
                passed.append(job)
        return None

    def _obstacle(self, job: Job) -> str:
        """What *job* has to wait for, in words; empty when it may begin."""
        if not self._running:
            return ""
        if self._full():
            return f"one of the {len(self._running)} that run to end"
        if maker := self._maker(job):
            return f"{maker.name}, which makes a layer that both need"
        taken = sum((other.load for other in self._running), NOTHING)
        return self._capacity.lacks(taken, job.load)

    def _full(self) -> bool:
        return bool(self._at_most) and len(self._running) >= self._at_most

    def _maker(self, job: Job) -> Job | None:
        return next((other for other in self._running if other.makes & job.makes), None)
