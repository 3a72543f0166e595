"""What a person (or a program) sees of the builds of one command: one of three views, chosen once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import click

from factory.cli.one_build import BuildOptions
from factory.cli.report.artifacts import artifact_table, defined_domains, delivered_files
from factory.cli.report.board import Board
from factory.cli.report.failure import failure_lines, show_bug, show_failure
from factory.cli.report.json_lines import print_json
from factory.cli.report.machine_readable import MachineReadable
from factory.cli.report.summary import Row, summary
from factory.cli.report.terminal import Terminal
from factory.errors import FactoryError, TemplateError
from factory.events import ArtifactReady, EventBus, Stamped


class View(Protocol):
    def __call__(self, stamped: Stamped) -> None:
        """An event subscriber."""

    def tick(self) -> None:
        """Time has passed."""

    def failed(self, name: str, error: Exception) -> None:
        """Explains why a build failed."""

    def end(self, rows: Sequence[Row]) -> None:
        """All builds have ended, or were ended."""


@contextmanager
def open_view(names: Sequence[str], bus: EventBus, options: BuildOptions) -> Iterator[View]:
    """A view that gets the events of *bus*."""
    view: View
    if options.as_json:
        view = _Json()
    elif options.machine_readable:
        view = MachineReadable()
    elif len(names) <= 1:
        view = _One(options)
    elif sys.stderr.isatty():
        view = _OnBoard(Board(names, verbosity=options.verbosity))
    else:
        view = _Lines(Terminal(verbosity=options.verbosity, several=frozenset(names)))
    bus.subscribe(view)
    try:
        yield view
    finally:
        bus.unsubscribe(view)


class _Json:
    def __call__(self, stamped: Stamped) -> None:
        print_json(stamped)

    def tick(self) -> None:
        pass

    def failed(self, name: str, error: Exception) -> None:
        """The event says it, but for all places of a template's problems."""
        if isinstance(error, TemplateError):
            show_failure(error)
        elif not isinstance(error, FactoryError):
            show_bug(error)

    def end(self, rows: Sequence[Row]) -> None:
        pass


class _One:
    """One build: every step."""

    def __init__(self, options: BuildOptions) -> None:
        self._terminal, self._options = Terminal(verbosity=options.verbosity), options
        self._ready: list[ArtifactReady] = []

    def __call__(self, stamped: Stamped) -> None:
        if isinstance(stamped.event, ArtifactReady):
            self._ready.append(stamped.event)
        self._terminal(stamped)

    def tick(self) -> None:
        pass

    def failed(self, name: str, error: Exception) -> None:
        self._terminal.close()
        if isinstance(error, FactoryError):
            show_failure(error)
        else:
            show_bug(error)

    def end(self, rows: Sequence[Row]) -> None:
        self._terminal.close()
        for row in rows:
            if row.state in ("built", "unchanged") and row.detail:
                artifact_table(Path(row.detail), row.seconds)
            if row.state == "built":
                defined_domains(self._ready)
                delivered_files(row.name, self._ready, row.seconds)


class _Lines:
    """Several builds without a terminal: their steps, each line with the build's name before it."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def __call__(self, stamped: Stamped) -> None:
        self._terminal(stamped)

    def tick(self) -> None:
        pass

    def failed(self, name: str, error: Exception) -> None:
        _explain(error, lambda line: click.echo(f"[{name}] {line}", err=True))

    def end(self, rows: Sequence[Row]) -> None:
        for line in summary(rows):
            click.echo(line)


class _OnBoard:
    """Several builds on a terminal: a line for each."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __call__(self, stamped: Stamped) -> None:
        self._board(stamped)

    def tick(self) -> None:
        self._board.tick()

    def failed(self, name: str, error: Exception) -> None:
        _explain(error, lambda line: self._board.write(f"  {line}"))

    def end(self, rows: Sequence[Row]) -> None:
        self._board.close()
        for line in summary(rows):
            click.echo(line)


def _explain(error: Exception, write: Callable[[str], None]) -> None:
    if isinstance(error, FactoryError):
        for line in failure_lines(error):
            write(line)
    else:
        show_bug(error)
