"""What ``factory build`` does: plan, run, report, and end cleanly however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from factory.cli.one_build import BuildOptions, Surroundings, build_one
from factory.cli.places import places
from factory.cli.planning import load_builds, plan_build
from factory.cli.report.artifacts import artifact_table
from factory.cli.report.failure import show_bug, show_failure
from factory.cli.report.json_lines import print_json
from factory.cli.report.terminal import Terminal
from factory.engine.run_directory import clean
from factory.engine.scratch import scratch_folder
from factory.errors import INTERNAL_ERROR_EXIT_CODE, INTERRUPTED_EXIT_CODE, FactoryError, TemplateError
from factory.events import BuildFinished, EventBus
from factory.host.facts import collect
from factory.template.model import Loaded


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
    with _signals(), scratch_folder():
        where = places()
        clean(where.runs)
        around = Surroundings(options, bus, where, await collect(where.cache))
        codes = [code for template in templates for code in await _build_file(template, around)]
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


async def _build_file(template: Path, around: Surroundings) -> list[int]:
    """The exit code of each build that *template* asks for."""
    options = around.options
    try:
        builds = load_builds(template, options.variables, options.var_files, around.facts)
    except FactoryError as error:
        return [_failed(template.stem, error, time.monotonic(), around)]
    return [await _build_one(loaded, around) for loaded in builds]


async def _build_one(loaded: Loaded, around: Surroundings) -> int:
    started, name, options = time.monotonic(), loaded.template.name, around.options
    try:
        planned = await plan_build(loaded, options.output, options.layers, around.where, around.facts)
        message = await build_one(planned, around)
    except Exception as error:
        return _failed(name, error, started, around)
    around.bus.emitter(name)(BuildFinished(name, "succeeded", time.monotonic() - started, message))
    if not options.as_json and not options.until:
        artifact_table(options.output / name, time.monotonic() - started)
    return 0


def _failed(name: str, error: Exception, started: float, around: Surroundings) -> int:
    """Reports it. Returns its exit code."""
    found = unwrapped(error)
    message = str(found) if isinstance(found, FactoryError) else repr(found)
    around.bus.emitter(name)(BuildFinished(name, "failed", time.monotonic() - started, message))
    if not isinstance(found, FactoryError):
        show_bug(error)
        return INTERNAL_ERROR_EXIT_CODE
    if not around.options.as_json or isinstance(found, TemplateError):
        show_failure(found)
    return found.exit_code


def unwrapped(error: BaseException) -> BaseException:
    """The one error in a group of one (a TaskGroup wraps what its tasks raise)."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
