"""Runs the builds of one command side by side, as many as this host has room for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from factory.cli.capacity import capacity, load_of, missing_phases
from factory.cli.missing_downloads import downloads
from factory.cli.on_error import Attempts, as_wanted
from factory.cli.one_build import Ordered, Surroundings, is_delivered, order, order_base, run_build
from factory.cli.planning import Planned, last_layer, plan_build
from factory.cli.preflighting import check_host
from factory.cli.report.summary import Row, State
from factory.cli.report.view import View
from factory.cli.requests import Request, Requests
from factory.cli.rereading import StaysAsItWas, read_again
from factory.deadline import pause
from factory.engine.freshness import PlanOutdated
from factory.engine.scheduler import Job, Scheduler
from factory.errors import INTERNAL_ERROR_EXIT_CODE, FactoryError, StepError, in_one_line, unwrapped
from factory.events import BuildFinished, BuildWaiting, Note, PhaseFinished, Stamped
from factory.plan.model import Keeps
from factory.quantity import Duration

_NONE: Mapping[str, str] = MappingProxyType({})
ORDERLY = Duration(5)
"""How long a build lets those before it get ready, so that they begin in their order; one whose plan waits for the
network loses its place."""
TICK = Duration(0.5)
"""How often the times on the terminal move."""


@dataclass(slots=True)
class _Ended:
    """How a build ended; ``error`` is None when it went well."""

    state: State
    seconds: float
    detail: str = ""
    error: Exception | None = None


class ManyBuilds:
    """One command's builds. A failure ends what starts from it and nothing else."""

    def __init__(self, requests: Requests, around: Surroundings, view: View) -> None:
        self._requests, self._around, self._view = requests, around, view
        self._positions = {name: i for i, name in enumerate(requests.builds)}
        self._scheduler = Scheduler(capacity(around.facts), at_most=around.options.at_most)
        self._plans: dict[str, Planned | FactoryError] = {}
        self._planning: dict[str, asyncio.Lock] = {}
        self._builds: dict[str, asyncio.Task[None]] = {}
        self._began: dict[str, float] = {}
        self._ready = {name: asyncio.Event() for name, request in requests.builds.items() if request.asked}
        self._ended: dict[str, _Ended] = {}
        self._group = asyncio.TaskGroup()

    async def run(self) -> int:
        """Returns the exit code: the first failure's in the order given, 0 when there is none."""
        for name, error in self._requests.failures.items():
            self._failed(name, error, 0.0)
        self._around.bus.subscribe(self._on_event)
        try:
            async with asyncio.TaskGroup() as clock:
                ticking = clock.create_task(self._tick())
                async with self._group:
                    for name, request in self._requests.builds.items():
                        if request.asked:
                            self._begin(name)
                ticking.cancel()
        finally:
            self._around.bus.unsubscribe(self._on_event)
            self._view.end(list(self._rows()))
        return next((_exit_code(e.error) for _, e in self._in_order() if e.error), 0)

    def _begin(self, name: str) -> asyncio.Task[None]:
        """The task of a build, begun when somebody first wants it: one that nobody needs never runs."""
        if name not in self._builds:
            self._builds[name] = self._group.create_task(self._one(self._requests.builds[name]), name=name)
        return self._builds[name]

    async def _plan(self, name: str) -> Planned:
        """Planned once, whoever asks first. Raises: what went wrong then, for everybody."""
        async with self._planning.setdefault(name, asyncio.Lock()):
            if name not in self._plans:
                try:
                    self._plans[name] = await self._planned(self._requests.builds[name])
                except FactoryError as error:
                    self._plans[name] = error
        found = self._plans[name]
        if isinstance(found, FactoryError):
            raise found
        return found

    async def _planned(self, request: Request) -> Planned:
        around, base = self._around, None
        if around.noticed:
            around.noticed.planning(request.loaded.root)
        if request.base:
            try:
                base = await self._plan(request.base)
            except FactoryError as error:
                raise _without_base(request, in_one_line(error)) from error
        return await self._plan_with(request, base)

    async def _plan_with(self, request: Request, base: Planned | None, once: Mapping[str, str] = _NONE) -> Planned:
        options, where, facts = self._around.options, self._around.where, self._around.facts
        loaded = as_wanted(request.loaded, options.on_error)
        return await plan_build(loaded, options.output, options.layers, where, facts, base, once)

    # --- one build -------------------------------------------------------------------------------------------------

    async def _one(self, request: Request) -> None:
        name, started = request.name, time.monotonic()
        try:
            state = await self._build(request)
        except asyncio.CancelledError:
            state = "interrupted" if name in self._began else "not begun"
            self._end(name, _Ended(state, self._seconds(name, started)))
            raise
        except Exception as error:
            self._failed(name, error, self._seconds(name, started))
        else:
            self._end(name, _Ended(state, self._seconds(name, started)))

    def _seconds(self, name: str, started: float) -> float:
        """Since it was let run: waiting for others is not its own time."""
        return time.monotonic() - self._began.get(name, started)

    async def _build(self, request: Request) -> State:
        around = self._around
        ordered = self._order(request, await self._plan(request.name))
        if ordered.whole and await asyncio.to_thread(is_delivered, ordered.planned, around):
            return "unchanged"
        if request.base:
            ordered = await self._await_base(request, ordered)
        attempts = Attempts(around.options.on_error)
        while not await self._attempt(ordered, attempts):
            ordered = await self._plan_again(request.name, attempts)
        return "stored" if ordered.until else "built"

    def _order(self, request: Request, planned: Planned) -> Ordered:
        for secret in planned.loaded.secrets:
            self._around.bus.redactor.add(secret)
        if self._around.noticed:
            self._around.noticed.downloads.update(path for _, path in downloads(planned.plan))
        return order(planned, self._around.options) if request.asked else order_base(planned)

    async def _attempt(self, ordered: Ordered, attempts: Attempts) -> bool:
        """Runs a build when it is its turn; False when it is to be planned and tried again."""
        name = ordered.planned.plan.name
        emit = self._around.bus.emitter(name)
        job = await asyncio.to_thread(self._job, ordered)
        await self._let_others_get_ready(name)  # nothing is awaited between this and the queue
        job.makes -= self._around.made
        async with self._scheduler.turn(job, waiting=lambda reason: emit(BuildWaiting(reason))):
            self._began.setdefault(name, time.monotonic())
            if self._around.noticed:
                self._around.noticed.stop()
            try:
                await run_build(ordered, self._around, attempts)
            except PlanOutdated as outdated:
                when = "while it ran" if outdated.ran else "since it was planned"
                words = f"{outdated.phase}: {outdated.what} {when}; it is planned anew and goes on from the last layer"
                if attempts.planned_anew(outdated):
                    words = (
                        f"{outdated.phase}: {outdated.what} {when}, again: it runs with what is there, "
                        "and no later build uses what it and the phases after it leave"
                    )
                emit(Note(words, "warning"))
                return False
            except FactoryError as error:
                if not attempts.another():
                    raise
                emit(Note(f"trying again from the last layer after: {error.message}", "warning"))
                return False
        return True

    async def _plan_again(self, name: str, attempts: Attempts) -> Ordered:
        """What is tried next: with the template, its scripts and files as they are now.

        Where the template can't be gone on with as it is now, it stays as it was, and that is said.
        """
        request, emit = self._requests.builds[name], self._around.bus.emitter(name)
        try:
            fresh = await asyncio.to_thread(read_again, request, self._requests.builds)
            if fresh is not request:
                ordered = await self._replan(fresh, attempts.once)
                emit(Note("the template has changed: the build goes on with it as it is now"))
                return ordered
        except (StaysAsItWas, FactoryError) as error:
            why = in_one_line(error) if isinstance(error, FactoryError) else error
            emit(Note(f"the build goes on with its template as it was: {why}", "warning"))
        return await self._replan(request, attempts.once)

    async def _replan(self, request: Request, once: Mapping[str, str] = _NONE) -> Ordered:
        """Takes *request* in place of the one that was planned. Raises: FactoryError; then nothing has changed."""
        around, base = self._around, self._plans.get(request.base)
        if around.noticed:
            around.noticed.planning(request.loaded.root)
        planned = await self._plan_with(request, base if isinstance(base, Planned) else None, once)
        ordered = self._order(request, planned)
        for _ in check_host(planned, around.facts):
            continue  # warnings are told when it runs
        self._requests.builds[request.name], self._plans[request.name] = request, planned
        return ordered

    async def _let_others_get_ready(self, name: str) -> None:
        """Until every earlier build stands in the scheduler's queue, ended, or waits for what it starts from."""
        earlier = [e for other, e in self._ready.items() if self._positions[other] < self._positions[name]]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(ORDERLY)):
                for event in earlier:
                    await event.wait()
        self._now_ready(name)

    def _now_ready(self, name: str) -> None:
        if name in self._ready:
            self._ready[name].set()

    def _job(self, ordered: Ordered) -> Job:
        planned, name = ordered.planned, ordered.planned.plan.name
        absent = ordered.still_absent(self._around.made)
        missing = missing_phases(planned, self._around.store, absent, ordered.until)
        makes = {p.key for p in missing if p.keeps in (Keeps.DISKS, Keeps.MEMORY)}
        return Job(name, self._positions[name], load_of(planned, self._around.facts, missing), makes)

    async def _await_base(self, request: Request, ordered: Ordered) -> Ordered:
        """Lets the build that this one starts from run first, if its image is still to be made.

        Returns *ordered*, planned anew when the other has become another image meanwhile (it had failed and was
        mended). Raises: StepError when that failed.
        """
        around, plan = self._around, ordered.planned.plan
        absent = ordered.still_absent(around.made)
        missing = await asyncio.to_thread(missing_phases, ordered.planned, around.store, absent, ordered.until)
        if plan.phases[0] not in missing:
            return ordered
        stored = await asyncio.to_thread(around.store.find, plan.base)
        if stored and not self._requests.builds[request.base].asked:
            return ordered
        self._now_ready(request.name)
        await asyncio.wait([self._begin(request.base)])  # not awaited itself: that would hand our own end on to it
        ended = self._ended[request.base]
        if ended.error:
            raise _without_base(request, ended.detail)
        if last_layer(await self._plan(request.base)).key != plan.base:
            ordered = await self._replan(request)
        if not await asyncio.to_thread(around.store.find, ordered.planned.plan.base):
            raise _without_base(request, "it was built only in part")
        return ordered

    def _on_event(self, stamped: Stamped) -> None:
        if isinstance(stamped.event, PhaseFinished) and stamped.event.key:
            self._around.made.add(stamped.event.key)
            self._scheduler.stored(stamped.event.key)

    # --- ends ------------------------------------------------------------------------------------------------------

    def _failed(self, name: str, error: Exception, seconds: float) -> None:
        found = unwrapped(error)
        told = found if isinstance(found, Exception) else error
        self._end(name, _Ended("failed", seconds, in_one_line(found), told))
        self._view.failed(name, error if not isinstance(found, FactoryError) else found)

    def _end(self, name: str, ended: _Ended) -> None:
        self._ended[name] = ended
        self._now_ready(name)
        outcome = {"failed": "failed", "interrupted": "interrupted", "not begun": "interrupted"}
        message = ended.detail or ("nothing has changed" if ended.state == "unchanged" else "")
        event = BuildFinished(name, outcome.get(ended.state, "succeeded"), ended.seconds, message)
        self._around.bus.emitter(name)(event)

    def _in_order(self) -> Iterator[tuple[str, _Ended]]:
        """As the summary lists them: what could not even be loaded first. A base that nobody needed is left out."""
        for name in (*self._requests.failures, *self._requests.builds):
            if name in self._ended:
                yield name, self._ended[name]
            elif name in self._builds:
                yield name, _Ended("not begun", 0.0)

    def artifacts(self) -> dict[str, Path] | None:
        """Name → folder of what was asked for, when all of it is there by now; else None."""
        rows, asked = list(self._rows()), [r for r in self._requests.builds.values() if r.asked]
        if self._requests.failures or any(request.loaded.delivery for request in asked):
            return None
        found = {row.name: Path(row.detail) for row in rows if row.state in ("built", "unchanged")}
        return found if found.keys() == {request.name for request in asked} == {row.name for row in rows} else None

    def _rows(self) -> Iterator[Row]:
        for name, ended in self._in_order():
            request = self._requests.builds.get(name)
            delivery = request.loaded.delivery if request else None
            artifact = delivery.folder if delivery else self._around.options.output / name
            delivered = ended.state in ("built", "unchanged") and artifact.exists()
            yield Row(name, ended.state, ended.seconds, str(artifact) if delivered else ended.detail)

    async def _tick(self) -> None:
        while True:
            await pause(TICK)
            self._view.tick()


def _without_base(request: Request, why: str) -> StepError:
    return StepError(f"the image of {request.base}, which it starts from, is not there: {why}")


def _exit_code(error: Exception) -> int:
    return error.exit_code if isinstance(error, FactoryError) else INTERNAL_ERROR_EXIT_CODE
