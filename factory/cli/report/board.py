"""What a person sees on a terminal while several builds run: a line for each, with its phase, step, time and a bar.

Above them stay the lines of what has ended and what went wrong. Guest output and steps appear only when asked for
(``-v``): they are in each build's journal.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

import click
from tqdm import tqdm

from factory.events import (
    BuildFinished,
    BuildStarted,
    BuildWaiting,
    GuestOutput,
    Note,
    PhaseFinished,
    PhaseSkipped,
    PhaseStarted,
    Progress,
    Stamped,
    StepFailed,
    StepFinished,
    StepStarted,
    TeardownFailed,
)
from factory.quantity import Duration
from factory.visible import visible

ROOM = 3
"""Lines of the terminal that are left free of bars."""
_MARKS = {"succeeded": ("✓", "green"), "failed": ("✗", "red"), "interrupted": ("–", "yellow")}


@dataclass(slots=True)
class _Row:
    """One build's line."""

    bar: tqdm[Any] | None = None
    since: float = 0.0
    phase: str = ""
    step: str = ""
    task: str = ""


class Board:
    """An event subscriber for a terminal. Call ``tick`` now and then: the times on it go on."""

    def __init__(
        self, names: Sequence[str], *, verbosity: int = 0, stream: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._stream, self._clock, self._verbosity = stream or sys.stderr, clock, verbosity
        self._colour = not os.environ.get("NO_COLOR")
        self._width = max((len(n) for n in names), default=0)
        self._rows = {name: _Row() for name in names}
        self._most = max(1, shutil.get_terminal_size().lines - ROOM)

    def __call__(self, stamped: Stamped) -> None:
        event, row = stamped.event, self._rows.setdefault(stamped.build, _Row())
        match event:
            case BuildWaiting(reason):
                row.since, row.step = row.since or self._clock(), f"waits for {reason}"
                self._open(stamped.build, row)
            case BuildStarted(phases=phases):
                row.since, row.step = self._clock(), "begins"
                self._open(stamped.build, row)
                if row.bar is not None:
                    row.bar.total = len(phases)
            case PhaseStarted(phase):
                row.phase, row.step, row.task = phase, "", ""
            case PhaseSkipped() | PhaseFinished():
                self._advance(row)
            case StepStarted(title=title):
                row.step, row.task = title, ""
            case StepFinished() | StepFailed():
                row.task = ""
            case Progress():
                row.task = f"{event.task} {event.done * 100 // event.total}%" if event.total > event.done else ""
            case BuildFinished():
                self._finished(stamped.build, row, event)
            case Note(message, level) if level == "warning" or self._verbosity:
                self.write(f"[{stamped.build}] {level}: {message}")
            case TeardownFailed(step, message):
                self.write(f"[{stamped.build}] warning: clean-up of {step}: {message}")
            case GuestOutput(provisioner, _, line) if self._verbosity:
                self.write(f"[{stamped.build}] {provisioner}: {line}")
        self._show(stamped.build, row)

    def tick(self) -> None:
        """Draws every line anew, with the time that it is now."""
        for name, row in self._rows.items():
            self._show(name, row)

    def write(self, *lines: str) -> None:
        """Prints lines above the bars."""
        for line in map(visible, lines):
            tqdm.write("\r\x1b[2K" + (line if self._colour else click.unstyle(line)), file=self._stream)

    def close(self) -> None:
        for row in self._rows.values():
            if row.bar is not None:
                row.bar.close()
                row.bar = None

    def _open(self, name: str, row: _Row) -> None:
        if row.bar is not None or sum(r.bar is not None for r in self._rows.values()) >= self._most:
            return
        row.bar = tqdm(
            total=1, bar_format="{desc} {bar:12} {n_fmt}/{total_fmt}", leave=False, file=self._stream,
            dynamic_ncols=True, desc=self._text(name, row),
        )  # fmt: skip

    def _advance(self, row: _Row) -> None:
        if row.bar is not None:
            row.bar.n += 1

    def _finished(self, name: str, row: _Row, event: BuildFinished) -> None:
        if row.bar is not None:
            row.bar.close()
            row.bar = None
        mark, colour = _MARKS[event.outcome]
        words = f"  {event.message}" if event.message and event.outcome == "succeeded" else ""  # a failure is explained
        self.write(f"{click.style(mark, fg=colour)} {name:<{self._width}} {Duration(event.seconds)!s:>7}{words}")

    def _show(self, name: str, row: _Row) -> None:
        if row.bar is not None:
            row.bar.set_description_str(self._text(name, row), refresh=True)

    def _text(self, name: str, row: _Row) -> str:
        """As wide as the terminal lets it be, the bar and its numbers left out."""
        took = str(Duration(max(0, round(self._clock() - row.since))))
        room = max(20, shutil.get_terminal_size().columns - self._width - len(took) - 26)
        doing = "  ".join(part for part in (row.phase, row.step, row.task) if part)
        doing = doing if len(doing) <= room else doing[: room - 1] + "…"
        return f"{name:<{self._width}} {took:>6} {doing:<{room}}"
