"""What a person sees while a build runs: one line a step with its time, bars for what is long.

Without a terminal it is quiet: phases and steps as plain lines, no bars. ``NO_COLOR`` is respected.
"""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, Any

import click

from factory.cli.report.paragraphs import indented
from factory.events import (
    ArtifactReady,
    BuildFinished,
    BuildStarted,
    BuildWaiting,
    CommandStarted,
    ConnectAttempt,
    GuestOutput,
    LayerStored,
    Note,
    PhaseFinished,
    PhaseSkipped,
    PhaseStarted,
    Progress,
    SeedRequested,
    Stamped,
    StepFailed,
    StepFinished,
    StepStarted,
    TeardownFailed,
)
from factory.quantity import Duration
from factory.visible import visible

if TYPE_CHECKING:
    from tqdm import tqdm

WIDTH = 58
"""Columns for a step's title, before its time."""


class Terminal:
    """An event subscriber. ``verbosity`` 0 shows steps, 1 also guest output's context and requests, 2 also commands."""

    def __init__(self, *, verbosity: int = 0, several: frozenset[str] = frozenset(), stream: IO[str] | None = None):
        self._stream = stream or sys.stderr
        self._tty = self._stream.isatty()
        self._colour = self._tty and not os.environ.get("NO_COLOR")
        self._verbosity = verbosity
        self._several = several
        self._bars: dict[tuple[str, str], tqdm[Any]] = {}
        self._open_step: dict[str, str] = {}

    def __call__(self, stamped: Stamped) -> None:
        event, build = stamped.event, stamped.build
        match event:
            case Progress():
                self._progress(build, event)
            case BuildWaiting(reason):
                self._line(build, f"waits for {reason}")
            case BuildStarted():
                self._line(build, self._style(f"{event.template}: ", bold=True) + " → ".join(event.phases))
                self._line(build, f"run directory: {event.run_dir}")
            case PhaseStarted(phase, reason):
                self._line(build, self._style(phase, fg="cyan", bold=True) + (f"  {reason}" if reason else ""))
            case PhaseSkipped(phase, key):
                self._line(build, self._style(phase, fg="cyan") + f"  stored as {key[:12]}")
            case StepStarted():
                self._started(build, event)
            case StepFinished():
                self._finished(build, event)
            case StepFailed():
                self._open_step.pop(build, None)
                self._line(build, self._columns(event.title, event.seconds, "✗ failed", "red"))
            case GuestOutput(provisioner, stream, line):
                text = f"      {provisioner}: {line}"
                self._line(build, self._style(text, fg="yellow") if stream == "stderr" else text)
            case Note(message, level):
                self._note(build, message, level)
            case TeardownFailed(step, message):
                self._note(build, f"clean-up of {step}: {message}", "warning")
            case BuildFinished() if self._several:
                self._line(build, self._style(event.outcome, bold=True) + f" after {Duration(event.seconds)}")
            case PhaseFinished() | BuildFinished() | ArtifactReady():
                pass  # the table at the end says it
            case LayerStored() if self._verbosity >= 1:
                still = f", the guest stood still for {Duration(event.pause)}" if event.pause else ""
                self._line(build, f"      stored as {event.key[:12]} in {Duration(event.seconds)}{still}")
            case SeedRequested() | ConnectAttempt() if self._verbosity >= 1:
                self._line(build, f"      {_brief(event)}")
            case CommandStarted(command) if self._verbosity >= 2:
                self._line(build, f"      $ {command}")

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()

    # --- lines -----------------------------------------------------------------------------------------------------

    def _started(self, build: str, event: StepStarted) -> None:
        self._open_step[build] = event.title
        if self._tty and not self._several:
            self._write(f"  {visible(event.title)} …", end="\r")

    def _finished(self, build: str, event: StepFinished) -> None:
        self._open_step.pop(build, None)
        line = self._columns(event.title, event.seconds, "✓", "green")
        self._line(build, line + (self._style(f"  {event.detail}", dim=True) if event.detail else ""))

    def _columns(self, title: str, seconds: float, mark: str, colour: str) -> str:
        return f"  {title:<{WIDTH}} {Duration(seconds)!s:>7} {self._style(mark, fg=colour)}"

    def _note(self, build: str, message: str, level: str) -> None:
        if level == "debug" and self._verbosity < 1:
            return
        colour = {"warning": "yellow"}.get(level)
        lead = self._style(f"{level}: " if level != "info" else "", fg=colour, bold=True)
        for line in indented(f"  {lead}{message}"):
            self._line(build, line)

    def _line(self, build: str, text: str) -> None:
        prefix = self._style(f"[{build}] ", dim=True) if self._several else ""
        self._write(prefix + visible(text))

    def _write(self, text: str, end: str = "\n") -> None:
        clear = "\x1b[2K" if self._tty else ""
        if self._bars:
            from tqdm import tqdm

            tqdm.write(clear + text, file=self._stream, end=end)
        else:
            self._stream.write(clear + text + end)
        self._stream.flush()

    def _style(self, text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
        return click.style(text, fg=fg, bold=bold or None, dim=dim or None) if self._colour and text else text

    # --- bars ------------------------------------------------------------------------------------------------------

    def _progress(self, build: str, event: Progress) -> None:
        if not self._tty:
            return
        from tqdm import tqdm

        key = (build, event.task)
        bar = self._bars.get(key)
        if bar is None:
            if event.total and event.done >= event.total:
                return
            bar = tqdm(
                total=event.total or None, desc=f"  {event.task}", unit=event.unit, unit_scale=True,
                unit_divisor=1024, leave=False, file=self._stream, dynamic_ncols=True,
            )  # fmt: skip
            self._bars[key] = bar
        bar.n = event.done
        bar.refresh()
        if event.total and event.done >= event.total:
            bar.close()
            del self._bars[key]


def _brief(event: SeedRequested | ConnectAttempt) -> str:
    if isinstance(event, SeedRequested):
        return f"seed: {event.method} {event.path} → {event.status} ({event.size} bytes) {event.message}".rstrip()
    return f"connect: {event.address} {event.state} {event.message}".rstrip()
