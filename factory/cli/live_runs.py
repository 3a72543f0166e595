"""Finds the run that a person means: by its name, its path, its template's name, or because it is the only one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from factory.engine.run_control import Control, MachineControl, RunState, read_control
from factory.engine.run_directory import is_alive, runs
from factory.errors import StepError
from factory.opening import read_content

LISTED = 5


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run directory, and what it says about itself."""

    path: Path
    template: str
    alive: bool
    control: Control

    @property
    def state(self) -> str:
        """ "running", "kept", "ended" or "died": a build that was killed could not say that it ended."""
        if self.alive:
            return self.control.state.value
        return RunState.ENDED.value if self.control.state is RunState.ENDED else "died"


def known_runs(root: Path) -> list[KnownRun]:
    """Every run below *root*, the newest first."""
    return [known_run(path) for path in reversed(runs(root))]


def known_run(path: Path) -> KnownRun:
    try:
        template = str(json.loads(read_content(path / "run.json"))["template"])
    except (OSError, ValueError, KeyError, TypeError):
        template = ""
    try:
        control = read_control(path)
    except (OSError, ValueError):  # a run of an older factory, or one that has begun this very moment
        control = Control(RunState.ENDED)
    return KnownRun(path, template, is_alive(path), control)


def find_run(root: Path, word: str) -> KnownRun:
    """The run that *word* means; the newest where a template's name fits several; a live one before a dead one.

    An empty *word* means the only build that runs. Raises: click.UsageError that names what there is.
    """
    if word and (Path(word) / "run.json").exists():
        return known_run(Path(word).absolute())
    found = known_runs(root)
    if not word:
        alive = [run for run in found if run.alive]
        if len(alive) == 1:
            return alive[0]
        if alive:
            raise click.UsageError(f"several builds run: name one of {', '.join(run.path.name for run in alive)}")
        raise click.UsageError(f"no build is running; name a run{_there(found)}" if found else "no build has run yet")
    named = [run for run in found if word in (run.path.name, run.template)]
    if not named:
        begin = [run for run in found if run.path.name.startswith(word)]
        if len(begin) == 1:
            return begin[0]
        raise click.UsageError(f"no run is called {word!r} in {root}" + _there(found))
    return next((run for run in named if run.alive), named[0])


def living_machine(run: KnownRun) -> MachineControl:
    """Raises: StepError that says why there is nobody to look at."""
    if run.alive and (machine := run.control.machine):
        return machine
    name, kept = run.path.name, f"its logs and last screens are in {run.path}"
    if run.alive:
        raise StepError(f"{name} has no machine at the moment: it works without one", hint="try again in a moment")
    if run.state == "died":
        raise StepError(f"{name} was killed: its machine went with it", hint=kept)
    raise StepError(f"{name} is over: its machine has ended", hint=kept)


def _there(found: list[KnownRun]) -> str:
    if not found:
        return "; there is none"
    more = f" and {len(found) - LISTED} more (`factory runs`)" if len(found) > LISTED else ""
    return f"; there is {', '.join(run.path.name for run in found[:LISTED])}{more}"
