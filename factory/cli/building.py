"""What ``factory build`` does: plan, run, report, and end cleanly however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from factory.cli.compose import appliance_settings, base_scope, media_library
from factory.cli.places import Places, places
from factory.cli.planning import Planned, explain, plan_template
from factory.cli.preflighting import check_host
from factory.cli.report.artifacts import artifact_table
from factory.cli.report.failure import show_bug, show_failure
from factory.cli.report.json_lines import print_json
from factory.cli.report.terminal import Terminal
from factory.engine import delivered
from factory.engine.filesystem import write_json
from factory.engine.journal import Journal
from factory.engine.run_directory import clean, open_run
from factory.engine.runner import Runner
from factory.engine.store import Layer, LayerStore
from factory.errors import INTERNAL_ERROR_EXIT_CODE, INTERRUPTED_EXIT_CODE, FactoryError, TemplateError
from factory.events import BuildFinished, BuildStarted, EventBus, Note
from factory.host.facts import HostFacts, collect
from factory.plan.model import Keeps


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


def build_all(templates: Sequence[Path], options: BuildOptions) -> int:
    """Builds one after the other. Returns the exit code: the first failure's, 0 when there is none."""
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        return asyncio.run(_build_all(templates, options))
    click.echo("interrupted: what was stored stays stored; the same command goes on from there", err=True)
    return INTERRUPTED_EXIT_CODE


async def _build_all(templates: Sequence[Path], options: BuildOptions) -> int:
    bus = EventBus()
    terminal = None if options.as_json else Terminal(verbosity=options.verbosity)
    bus.subscribe(terminal or print_json)
    with _signals():
        where = places()
        clean(where.runs)
        facts = await collect(where.cache)
        codes = [await _build_one(template, options, bus, where, facts) for template in templates]
    if terminal:
        terminal.close()
    return next((code for code in codes if code), 0)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end a build alike: the main task is cancelled and everything is torn down.

    SIGINT too, although Python would do the same: a shell starts its background jobs with SIGINT ignored.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _build_one(template: Path, options: BuildOptions, bus: EventBus, where: Places, facts: HostFacts) -> int:
    started = time.monotonic()
    emit = bus.emitter(template.stem)
    try:
        planned = await plan_template(
            template, options.variables, options.var_files, options.output, options.layers, where, facts
        )
        name = planned.plan.name
        emit = bus.emitter(name)
        for secret in planned.loaded.secrets:
            bus.redactor.add(secret)
        artifact, stamps = options.output / name, where.cache / "names" / f"{name}.artifact.json"
        whole = not (options.fresh or options.from_phase or options.until)
        if whole and delivered.is_current(artifact, planned.plan.key, stamps):
            emit(BuildFinished(name, "succeeded", time.monotonic() - started, "nothing has changed"))
        else:
            for warning in check_host(planned, facts):
                emit(Note(str(warning), "warning"))
            await _run(planned, options, bus, where, facts)
            delivered.remember(artifact, stamps)
            emit(BuildFinished(name, "succeeded", time.monotonic() - started))
        if not options.as_json and not options.until:
            artifact_table(artifact, time.monotonic() - started)
        return 0
    except FactoryError as error:
        emit(BuildFinished(template.stem, "failed", time.monotonic() - started, str(error)))
        if not options.as_json or isinstance(error, TemplateError):
            show_failure(error)
        return error.exit_code
    except Exception as error:
        emit(BuildFinished(template.stem, "failed", time.monotonic() - started, repr(error)))
        found = unwrapped(error)
        if isinstance(found, FactoryError):
            show_failure(found)
            return found.exit_code
        show_bug(error)
        return INTERNAL_ERROR_EXIT_CODE


async def _run(planned: Planned, options: BuildOptions, bus: EventBus, where: Places, facts: HostFacts) -> None:
    plan, store = planned.plan, LayerStore(where.cache)
    emit = bus.emitter(plan.name)
    with open_run(where.runs, plan.name) as run:
        journal = Journal(run.path / "journal.jsonl")
        bus.subscribe(journal)
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
            )
            reasons = explain(plan, store)
            runner = Runner(
                plan, store, scope,
                usable=lambda layer: unusable(layer, facts),
                not_stored=_not_stored(planned, options),
                until=options.until,
                why=lambda phase: reasons.get(phase.name, ""),
            )  # fmt: skip
            await runner.run()
        finally:
            bus.unsubscribe(journal)
            journal.close()


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


def unusable(layer: Layer, facts: HostFacts) -> str:
    """Why a live layer can't be resumed on this host; empty when it can. Powered-off layers always can."""
    if layer.keeps is not Keeps.MEMORY:
        return ""
    ours = facts.live_layer_fingerprint
    for name, value in layer.machine.items():
        if name in ours and ours[name] != value:
            return f"its memory is bound to {name} {value}, and this host has {ours[name]}"
    return ""


def unwrapped(error: BaseException) -> BaseException:
    """The one error in a group of one (a TaskGroup wraps what its tasks raise)."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
