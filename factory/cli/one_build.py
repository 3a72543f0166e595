"""Runs one planned build: from its preflight to its artifact, in a run directory of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.cli.given import media_library
from factory.cli.places import Places
from factory.cli.planning import Planned, explain
from factory.cli.preflighting import check_host
from factory.engine import delivered
from factory.engine.collection import collect_garbage, limit_from
from factory.engine.failure import FailureHook
from factory.engine.filesystem import write_json
from factory.engine.journal import Journal
from factory.engine.run_control import RunControl
from factory.engine.run_directory import ProcessRecord, Run, open_run
from factory.engine.runner import Runner
from factory.engine.store import LayerStore
from factory.errors import FactoryError
from factory.events import BuildStarted, EventBus, Note
from factory.host.facts import HostFacts


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The command line of ``factory build``."""

    variables: Mapping[str, str]
    var_files: Sequence[Path]
    output: Path
    fresh: bool
    from_phase: str
    until: str
    layers: str | None
    as_json: bool
    verbosity: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all builds of one command share."""

    options: BuildOptions
    bus: EventBus
    where: Places
    facts: HostFacts


async def build_one(planned: Planned, around: Surroundings) -> str:
    """Builds and delivers, unless that was done before. Returns why nothing had to run; empty when something ran.

    Raises: FactoryError; what was stored before the failure stays stored.
    """
    plan, options = planned.plan, around.options
    for secret in planned.loaded.secrets:
        around.bus.redactor.add(secret)
    artifact, stamps = options.output / plan.name, around.where.cache / "names" / f"{plan.name}.artifact.json"
    whole = not (options.fresh or options.from_phase or options.until)
    if whole and delivered.is_current(artifact, plan.key, stamps):
        return "nothing has changed"
    emit = around.bus.emitter(plan.name)
    for warning in check_host(planned, around.facts):
        emit(Note(str(warning), "warning"))
    await _run(planned, around)
    delivered.remember(artifact, stamps)
    return ""


async def _run(planned: Planned, around: Surroundings) -> None:
    from factory.cli.compose import appliance_settings, base_scope  # heavy: not before something has to run

    plan, options, bus, where, facts = planned.plan, around.options, around.bus, around.where, around.facts
    store, emit = LayerStore(where.cache), bus.emitter(plan.name)
    with open_run(where.runs, plan.name) as run:
        control, hooks = RunControl(run.path), failure_hooks(run)
        journal, processes = Journal(run.path / "journal.jsonl"), ProcessRecord(run)
        bus.subscribe(journal)
        bus.subscribe(processes)
        try:
            write_json(run.path / "plan.json", plan.describe())
            emit(BuildStarted(plan.name, str(run.path), tuple(p.name for p in plan.phases)))
            library = media_library(where, planned.loaded.root, run.path)
            scope = base_scope(
                name=plan.name,
                run=run,
                facts=facts,
                appliance=await appliance_settings(where, facts),
                library=library,
                redactor=bus.redactor,
                emit=emit,
                winrm=planned.loaded.template.access.winrm,
                fonts=where.cache / "fonts",
                control=control,
            )
            reasons = explain(plan, store, planned.usable)
            runner = Runner(
                plan, store, scope,
                usable=planned.usable,
                not_stored=_not_stored(planned, options),
                until=options.until,
                why=lambda phase: reasons.get(phase.name, ""),
                hooks=hooks,
            )  # fmt: skip
            await runner.run()
        finally:
            control.ended()
            for reader in (journal, processes):
                bus.unsubscribe(reader)
                reader.close()
            for line in collect_garbage(store, limit_from("")):
                emit(Note(f"cache: {line}"))


def failure_hooks(run: Run) -> tuple[FailureHook, ...]:
    """Who explains a failure of *run*, in this order."""
    return ()


def _not_stored(planned: Planned, options: BuildOptions) -> frozenset[str]:
    names = [p.name for p in planned.plan.phases]
    if options.fresh:
        return frozenset(names)
    for phase in filter(None, (options.from_phase, options.until)):
        if phase not in names:
            raise FactoryError(f"no phase is called {phase!r}", hint=f"the phases are {', '.join(names)}")
    if options.from_phase:
        return frozenset(names[names.index(options.from_phase) :])
    return frozenset()
