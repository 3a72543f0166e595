"""Admission of builds: by what the host has, by shared layers, in a fair order; builds are played, not run."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from factory.engine.scheduler import PATIENCE, Job, Load, Scheduler
from factory.quantity import Size

pytestmark = pytest.mark.unit

GIB = 2**30
HOST = Load(Size(8 * GIB), 4.0, {"disk": Size(100 * GIB)})


@dataclass
class Played:
    """A build that takes *seconds* of a clock that is turned by hand, and stores a layer when half of them are over."""

    name: str
    memory: int = 1
    processors: float = 1.0
    space: int = 1
    seconds: int = 10
    makes: tuple[str, ...] = ()


@dataclass
class Theatre:
    """Plays builds; ``begun`` and ``ended`` say when, on its own clock."""

    scheduler: Scheduler
    clock: int = 0
    begun: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    most_memory: int = 0
    _memory: int = 0
    _number: Iterator[int] = field(default_factory=itertools.count)
    _alarms: list[tuple[int, int, asyncio.Event]] = field(default_factory=list)

    async def play(self, builds: Iterable[Played]) -> None:
        tasks = [asyncio.ensure_future(self._one(i, b)) for i, b in enumerate(builds)]
        await self._settle()
        while self._alarms:
            self.clock, _, alarm = heapq.heappop(self._alarms)
            alarm.set()
            await self._settle()
        assert all(t.done() for t in tasks), "a build waits for ever"

    async def _settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def _after(self, seconds: int) -> None:
        alarm = asyncio.Event()
        heapq.heappush(self._alarms, (self.clock + seconds, next(self._number), alarm))
        await alarm.wait()

    async def _one(self, position: int, build: Played) -> None:
        load = Load(Size(build.memory * GIB), build.processors, {"disk": Size(build.space * GIB)})
        job = Job(build.name, position, load, set(build.makes))
        async with self.scheduler.turn(job, waiting=self.reasons.setdefault(build.name, []).append):
            self.begun[build.name] = self.clock
            self._memory += build.memory
            self.most_memory = max(self.most_memory, self._memory)
            await self._after(build.seconds // 2)
            for key in build.makes:
                self.scheduler.stored(key)
            await self._after(build.seconds - build.seconds // 2)
            self._memory -= build.memory
        self.ended[build.name] = self.clock


def play(*builds: Played, host: Load = HOST, at_most: int = 0) -> Theatre:
    async def run() -> Theatre:
        theatre = Theatre(Scheduler(host, at_most=at_most))
        await theatre.play(builds)
        return theatre

    return asyncio.run(run())


def test_what_fits_side_by_side_begins_at_once() -> None:
    assert play(Played("a"), Played("b"), Played("c")).begun == {"a": 0, "b": 0, "c": 0}


@pytest.mark.parametrize(
    ("large", "reason"),
    [
        (Played("b", memory=6), "memory (6 GiB of 5 GiB left)"),
        (Played("b", processors=3.5), "processors (3.5 of 3 left)"),
        (Played("b", space=99), "disk space (99 GiB of 97 GiB left)"),
    ],
    ids=["memory", "processors", "space"],
)
def test_what_does_not_fit_waits_and_says_for_what(large: Played, reason: str) -> None:
    theatre = play(Played("a", memory=3, space=3), large)
    assert theatre.begun == {"a": 0, "b": 10}
    assert theatre.reasons["b"] == [reason]


def test_the_host_is_never_given_away_twice() -> None:
    theatre = play(*(Played(f"b{i}", memory=1 + i % 4, seconds=4 + i % 5) for i in range(30)))
    assert theatre.most_memory == 8
    assert len(theatre.ended) == 30


def test_a_build_larger_than_the_host_runs_alone() -> None:
    theatre = play(Played("a"), Played("huge", memory=64), Played("c", seconds=30))
    assert theatre.begun["huge"] >= max(theatre.ended["a"], theatre.ended["c"])
    assert play(Played("huge", memory=64)).begun == {"huge": 0}


def test_small_builds_pass_a_large_one_but_not_for_ever() -> None:
    small = [Played(f"s{i}", memory=4, processors=0.1, seconds=10 + i) for i in range(12)]
    theatre = play(small[0], Played("large", memory=8), *small[1:])
    passed = [s.name for s in small[1:] if theatre.begun[s.name] < theatre.begun["large"]]
    assert len(passed) == PATIENCE
    assert theatre.begun["large"] < theatre.begun["s11"]


def test_equal_inputs_give_equal_orders() -> None:
    builds = [Played(f"b{i}", memory=1 + 3 * i % 7, seconds=3 + 5 * i % 11, makes=(f"k{i % 3}",)) for i in range(15)]
    assert play(*builds).begun == play(*builds).begun


def test_builds_begin_in_the_order_given_where_only_one_may_run() -> None:
    theatre = play(*(Played(n) for n in "dbac"), at_most=1)
    assert sorted(theatre.begun, key=theatre.begun.__getitem__) == list("dbac")
    assert theatre.reasons["b"] == ["one of the 1 that run to end"]


def test_a_shared_layer_is_made_once_and_waiting_for_it_holds_nothing() -> None:
    """The other two would fill the host; while they wait a third build of another layer has the room."""
    theatre = play(
        Played("a", memory=3, makes=("install", "a-only")),
        Played("b", memory=3, makes=("install", "b-only")),
        Played("other", memory=5, makes=("another",)),
    )
    assert theatre.begun == {"a": 0, "b": 10, "other": 0}
    assert theatre.reasons["b"][0] == "a, which makes a layer that both need"
    alone = play(Played("a", makes=("install",)), Played("b", makes=("install",)))
    assert alone.begun == {"a": 0, "b": 5}, "it begins when the layer is stored, not when the build has ended"


def test_a_cancelled_wait_leaves_the_queue() -> None:
    async def run() -> list[str]:
        scheduler, seen = Scheduler(HOST, at_most=1), []

        async def one(name: str, position: int, hold: asyncio.Event) -> None:
            async with scheduler.turn(Job(name, position, Load(Size(GIB), 1.0))):
                seen.append(name)
                await hold.wait()

        first, second = asyncio.Event(), asyncio.Event()
        tasks = [
            asyncio.ensure_future(one(n, i, h)) for i, (n, h) in enumerate([("a", first), ("b", second), ("c", second)])
        ]
        await asyncio.sleep(0)
        tasks[1].cancel()
        second.set()
        await asyncio.sleep(0)
        first.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return seen

    assert asyncio.run(run()) == ["a", "c"]


def test_a_failed_maker_lets_the_next_one_try() -> None:
    async def run() -> list[str]:
        scheduler, seen = Scheduler(HOST), []

        async def one(name: str, position: int) -> None:
            async with scheduler.turn(Job(name, position, Load(Size(GIB), 1.0), {"install"})):
                seen.append(name)
                await asyncio.sleep(0)
                raise RuntimeError(name)

        await asyncio.gather(*(one(n, i) for i, n in enumerate("abc")), return_exceptions=True)
        return seen

    assert asyncio.run(run()) == ["a", "b", "c"]
