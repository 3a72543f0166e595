"""Named deadlines: every wait of factory has one, and its expiry says what was waited for.

This module is also the only place that sleeps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

from factory.errors import DeadlineExpired, Evidence
from factory.quantity import Duration

T = TypeVar("T")


class Shift:
    """Moves a deadline while somebody waits for it: later for a guest that works, to now for one that hangs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._waits: set[asyncio.Timeout] = set()

    def move(self, by: float) -> None:
        """Moves the deadline by so many seconds; whoever waits within ``Deadline.limit`` notices at once."""
        self.seconds += by
        for wait in self._waits:
            when = wait.when()
            if when is not None and not wait.expired():
                wait.reschedule(when + by)

    @contextmanager
    def moves(self, wait: asyncio.Timeout) -> Iterator[None]:
        self._waits.add(wait)
        try:
            yield
        finally:
            self._waits.discard(wait)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment (on the monotonic clock) by which something named must have happened."""

    what: str
    budget: Duration
    at: float
    shift: Shift | None = field(default=None, compare=False, repr=False)
    """Set on a deadline that a watchdog may move (``movable``)."""

    @classmethod
    def after(cls, budget: Duration, what: str) -> Deadline:
        """A deadline *budget* from now. *what* completes the sentence "waited … for …"."""
        return cls(what, budget, time.monotonic() + budget)

    @property
    def left(self) -> Duration:
        """What is left of the budget, never negative."""
        return Duration(max(0.0, self._end - time.monotonic()))

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self._end

    @property
    def _end(self) -> float:
        return self.at + (self.shift.seconds if self.shift else 0.0)

    def movable(self, shift: Shift) -> Deadline:
        """The same deadline, which *shift* moves from now on."""
        return Deadline(self.what, self.budget, self._end, shift)

    def within(self, budget: Duration, what: str) -> Deadline:
        """A shorter deadline for a part of the wait; never later than this one."""
        return Deadline(what, budget, min(self._end, time.monotonic() + budget))

    def error(self, *, seen: str = "", hint: str = "", evidence: Evidence | None = None) -> DeadlineExpired:
        """The error to raise when it has passed; *seen* says what was there instead."""
        prolonged = max(0.0, self.shift.seconds) if self.shift else 0.0
        message = f"waited {Duration(round(self.budget + prolonged, 1))} for {self.what}"
        return DeadlineExpired(f"{message}; {seen}" if seen else message, hint=hint, evidence=evidence)

    async def bound(self, awaitable: Awaitable[T]) -> T:
        """Awaits, and turns the deadline's passing into ``DeadlineExpired`` (a TimeoutError from inside stays one)."""
        async with self.limit():
            return await awaitable

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Bounds the body. Raises: DeadlineExpired."""
        scope = asyncio.timeout(float(self.left))
        try:
            async with scope:
                with self.shift.moves(scope) if self.shift else nullcontext():
                    yield
        except TimeoutError:
            if scope.expired():
                raise self.error() from None
            raise


async def pause(duration: Duration) -> None:
    """Sleeps."""
    await asyncio.sleep(float(duration))


async def poll(probe: Callable[[], Awaitable[T | None]], deadline: Deadline, *, every: Duration = Duration(0.1)) -> T:
    """Calls *probe* until it gives something else than None. Raises: DeadlineExpired."""
    while True:
        value = await probe()
        if value is not None:
            return value
        if deadline.expired:
            raise deadline.error()
        await asyncio.sleep(min(float(every), float(deadline.left) + 0.001))
