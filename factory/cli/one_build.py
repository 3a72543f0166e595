"""Runs one planned build: from its preflight to its artifact, in a run directory of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from factory.cli.explaining import explain_failure, explain_interruption
from factory.cli.given import media_library
from factory.cli.missing_downloads import first_missing
from factory.cli.noticing import Noticed
from factory.cli.on_error import Attempts, HoldsMachine, OnError
from factory.cli.phase_states import reasons_to_run
from factory.cli.places import Places
from factory.cli.planning import Planned, last_layer
from factory.cli.preflighting import check_host
from factory.cli.requests import Selection
from factory.cli.run_end import told_to
from factory.dossier.collector import Collector
from factory.engine import delivered
from factory.engine.collection import collect_garbage, limit_from
from factory.engine.failure import FailureHook
from factory.engine.filesystem import store_errors, write_json
from factory.engine.freshness import PlanOutdated
from factory.engine.journal import Journal
from factory.engine.recipes import remember
from factory.engine.run_control import RunControl
from factory.engine.run_directory import ProcessRecord, Run, open_run
from factory.engine.runner import Runner
from factory.engine.store import LayerStore
from factory.errors import FactoryError, StoreError, TemplateError
from factory.events import BuildStarted, Emit, EventBus, Note, PhaseFinished, PhaseSkipped, Stamped
from factory.host.facts import HostFacts
from factory.log_files import mask_logs
from factory.plan.model import Plan, Recipe
from factory.steps.deliver import refuse_existing
from factory.template.suggest import nearest


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The command line of ``factory build``. ``at_most`` 0: as many builds at once as the host has room for."""

    selection: Selection
    output: Path
    fresh: bool
    from_phase: str
    until: str
    layers: str | None
    as_json: bool
    verbosity: int
    at_most: int = 0
    on_error: OnError = OnError.CLEAN
    record: bool = False
    machine_readable: bool = False
    """Lines as Packer's -machine-readable prints them."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all builds of one command share. ``made`` holds the keys of layers that this command has stored."""

    options: BuildOptions
    bus: EventBus
    where: Places
    facts: HostFacts
    made: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    """What this computer lacks is said once, not by each build."""
    noticed: Noticed | None = None
    """What plans are made from."""

    @property
    def store(self) -> LayerStore:
        return LayerStore(self.where.cache)


@dataclass(frozen=True, slots=True)
class Ordered:
    """A planned build and how much of it is wanted. ``absent``: phases whose stored layers are not to be used."""

    planned: Planned
    until: str = ""
    absent: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        return not (self.until or self.absent)

    def still_absent(self, made: AbstractSet[str]) -> frozenset[str]:
        """``absent`` without what this very command has made anew, as *made* names it by key."""
        phases = self.planned.plan.phases
        return frozenset(p.name for p in phases if p.name in self.absent and p.key not in made)


def order(planned: Planned, options: BuildOptions) -> Ordered:
    """What the command line wants of a build that it names. Raises: TemplateError for a phase that is not there."""
    names = [p.name for p in planned.plan.phases]
    for phase in filter(None, (options.from_phase, options.until)):
        if phase not in names:
            # In their own order, which is that of a build.
            hint = nearest(phase, names) or f"its phases: {', '.join(names)}"
            raise TemplateError(f"{planned.plan.name} has no phase called '{phase}'", hint=hint)
    if options.from_phase and options.until and names.index(options.until) < names.index(options.from_phase):
        message = f"nothing lies between --from {options.from_phase} and --until {options.until}"
        raise TemplateError(message, hint=f"the phases are, in this order: {', '.join(names)}")
    first = 0 if options.fresh else names.index(options.from_phase) if options.from_phase else len(names)
    missing, _ = first_missing(planned.plan)
    return Ordered(planned, options.until, frozenset(names[min(first, missing) :]))


def order_base(planned: Planned) -> Ordered:
    """A build that is there for another to start from: it ends with its last layer.

    Raises: TemplateError when it keeps none.
    """
    return Ordered(planned, last_layer(planned).name)


def is_delivered(planned: Planned, around: Surroundings) -> bool:
    """Whether the artifact is there, whole, and what this plan would make.

    Never for a template of Packer's: a folder that is there is an error then, or is to be replaced.
    """
    if planned.loaded.delivery:
        return False
    artifact, stamps = _delivery(planned, around)
    return delivered.is_current(artifact, planned.plan.key, stamps)


def _delivery(planned: Planned, around: Surroundings) -> tuple[Path, Path]:
    name = planned.plan.name
    return around.options.output / name, around.where.cache / "names" / f"{name}.artifact.json"


async def run_build(ordered: Ordered, around: Surroundings, attempts: Attempts) -> None:
    """Builds and delivers. Raises: FactoryError, PlanOutdated; what was stored before stays stored."""
    planned = ordered.planned
    delivery = planned.loaded.delivery
    if delivery and not ordered.until:
        refuse_existing(delivery)
    if not delivery and planned.loaded.template.outputs and not ordered.until:
        from factory.outputs.delivery import refuse_foreign

        refuse_foreign(_delivery(planned, around)[0])  # now, not after an hour
    emit = around.bus.emitter(planned.plan.name)
    for problem in planned.loaded.warnings:
        if str(problem) not in around.warned:
            around.warned.add(str(problem))
            emit(Note(str(problem), "warning"))
    for warning in check_host(planned, around.facts):
        if str(warning) not in around.warned:
            around.warned.add(str(warning))
            emit(Note(str(warning), "warning"))
    await _run(ordered, around, attempts)
    if not ordered.until and not delivery:
        delivered.remember(*_delivery(planned, around))


async def _run(ordered: Ordered, around: Surroundings, attempts: Attempts) -> None:
    plan, bus, where = ordered.planned.plan, around.bus, around.where
    store, emit, limit = around.store, bus.emitter(plan.name), limit_from("")
    with store_errors(where.runs), open_run(where.runs, plan.name) as run:
        control = RunControl(run.path)
        journal, processes = Journal(run.path / "journal.jsonl"), ProcessRecord(run)
        finished: dict[str, Recipe] = {}
        recipes = {phase.name: phase.recipe for phase in plan.phases}
        tell = _only(plan.name, journal, processes, _recipes_into(finished, recipes))
        bus.subscribe(tell)
        try:
            with told_to(tell, bus, plan.name, lambda: _made(ordered, around)):
                try:
                    await _carry_out(ordered, around, attempts, run, control, recipes)
                finally:
                    _mask_logs(run, bus, emit)
        except BaseException as error:
            if isinstance(error, PlanOutdated) or not isinstance(error, Exception):  # Ctrl-C, another build's failure
                explain_interruption(run.path)
            raise
        finally:
            bus.unsubscribe(tell)
            remember(where.cache, plan.name, finished)
            # On a disk that is full these fail too, and must not hide why the build has ended.
            for end in (control.ended, journal.close, processes.close):
                with suppress(OSError):
                    end()
            with suppress(OSError, StoreError):
                for line in collect_garbage(store, limit):
                    emit(Note(f"cache: {line}"))


def _mask_logs(run: Run, bus: EventBus, emit: Emit) -> None:
    """What machines and scripts wrote in *run*: some secrets were known only after a machine had ended."""
    with suppress(OSError):
        for path in mask_logs(run.path, bus.redactor):
            emit(Note(f"{path} held a secret and could not be masked: it is removed", "warning"))


async def _carry_out(
    ordered: Ordered,
    around: Surroundings,
    attempts: Attempts,
    run: Run,
    control: RunControl,
    recipes: dict[str, Recipe],
) -> None:
    """Runs the phases, and explains their failure. Keeps *recipes* true where the plan changes on the way."""
    # Heavy: not before something has to run.
    from factory.cli.compose import base_scope
    from factory.drivers.screen.recorder import EVIDENCE, FILM

    planned, bus, where = ordered.planned, around.bus, around.where
    plan, emit, recorded = planned.plan, bus.emitter(planned.plan.name), around.options.record
    write_json(run.path / "plan.json", plan.describe())
    emit(BuildStarted(plan.name, str(run.path), tuple(p.name for p in plan.phases)))
    scope = base_scope(
        name=planned.loaded.own_name,
        run=run,
        facts=around.facts,
        cache=where.cache,
        library=media_library(where, planned.loaded.root, run.path),
        redactor=bus.redactor,
        emit=emit,
        loaded=planned.loaded,
        fonts=where.cache / "fonts",
        control=control,
        limits=FILM if recorded else EVIDENCE,
    )
    reasons = reasons_to_run(planned, around.store)

    def replanned(now: Plan) -> None:
        recipes.update({phase.name: phase.recipe for phase in now.phases})
        write_json(run.path / "plan.json", now.describe())

    runner = Runner(
        plan, around.store, scope,
        usable=planned.usable,
        not_stored=ordered.still_absent(around.made),
        until=ordered.until,
        why=lambda phase: reasons.get(phase.name, ""),
        sources=planned,
        any_content=attempts.once,
        replanned=replanned,
        hooks=failure_hooks(run),
        holder=HoldsMachine(run, control, attempts, emit),
    )  # fmt: skip
    try:
        await runner.run()
    except PlanOutdated:
        raise
    except Exception as error:
        explain_failure(run.path, error, emit, bus.redactor)
        if recorded and isinstance(error, FactoryError):  # Ctrl-C does not wait for a film
            await _film(run, emit)
        raise
    if recorded:
        await _film(run, emit)


def _made(ordered: Ordered, around: Surroundings) -> str:
    """What there is after a run that went well, in words."""
    delivery = ordered.planned.loaded.delivery
    artifact = delivery.folder if delivery else _delivery(ordered.planned, around)[0]
    if ordered.until:
        return f"it was wanted until {ordered.until}, which is stored"
    return f"its artifact is in {artifact}" if artifact.exists() else ""


def _only(build: str, *readers: Callable[[Stamped], None]) -> Callable[[Stamped], None]:
    """A subscriber that hands on what concerns *build*: others run beside it."""

    def tell(stamped: Stamped) -> None:
        if stamped.build == build:
            for reader in readers:
                reader(stamped)

    return tell


async def _film(run: Run, emit: Emit) -> None:
    """Makes the film of *run*; no build fails for it."""
    from factory.cli.filming import film_of

    try:
        place, pictures = await film_of(run.path, None, emit)
        emit(Note(f"recorded: {place} ({pictures} pictures)"))
    except FactoryError as error:
        emit(Note(f"no film: {error.message} (`factory record {run.id}` tries again)", "warning"))


def _recipes_into(finished: dict[str, Recipe], recipes: Mapping[str, Recipe]) -> Callable[[Stamped], None]:
    """Collects of *recipes* those of the phases that have run, or were stored."""

    def collect(stamped: Stamped) -> None:
        if isinstance(stamped.event, (PhaseFinished, PhaseSkipped)):
            finished[stamped.event.phase] = recipes[stamped.event.phase]

    return collect


def failure_hooks(run: Run) -> tuple[FailureHook, ...]:
    """Who explains a failure of *run*, in this order."""
    return (Collector(),)
