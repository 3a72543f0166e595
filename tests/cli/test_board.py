"""What is seen of several builds at once: a line for each on a terminal, a table at the end."""

from __future__ import annotations

import io

import click
import pytest

from factory.cli.report.board import Board
from factory.cli.report.summary import Row, summary
from factory.cli.report.terminal import Terminal
from factory.events import (
    BuildFinished,
    BuildStarted,
    BuildWaiting,
    Event,
    GuestOutput,
    PhaseSkipped,
    PhaseStarted,
    Progress,
    Stamped,
    StepStarted,
)

pytestmark = pytest.mark.unit


class Screen(io.StringIO):
    """A terminal's text: what was written last of each line."""

    def isatty(self) -> bool:
        return True


class Show:
    """A board of two builds with a clock that is turned by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, verbosity: int = 0) -> None:
        monkeypatch.setenv("COLUMNS", "110")
        monkeypatch.setenv("LINES", "24")
        self.now, self.screen = 100.0, Screen()
        self.board = Board(["a", "long-name"], verbosity=verbosity, stream=self.screen, clock=lambda: self.now)

    def tell(self, build: str, *events: Event) -> str:
        """What these events add to the screen."""
        before = len(self.screen.getvalue())
        for event in events:
            self.board(Stamped(0.0, build, event))
        return self.screen.getvalue()[before:]


def test_a_line_says_phase_step_time_and_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    show = Show(monkeypatch)
    phases = ("install", "provision-1", "seal", "export")
    show.tell("a", BuildStarted("a", "/run", phases), PhaseSkipped("install", "key"))
    show.now += 75
    seen = show.tell(
        "a", PhaseStarted("provision-1"), StepStarted("provision-1", "s", "shell: hello"), Progress("copy", 430, 1000)
    )
    line = seen.split("\r")[-1]
    assert line.startswith("a          1m15s provision-1  shell: hello  copy 43%")
    assert "1/4" in line
    show.board.close()


def test_time_goes_on_without_events(monkeypatch: pytest.MonkeyPatch) -> None:
    show = Show(monkeypatch)
    show.tell("a", BuildStarted("a", "/run", ("install",)))
    show.now += 9
    before = len(show.screen.getvalue())
    show.board.tick()
    assert "     9s" in show.screen.getvalue()[before:]
    show.board.close()


def test_a_build_that_waits_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    show = Show(monkeypatch)
    assert "waits for memory (6 GiB of 5 GiB left)" in show.tell("a", BuildWaiting("memory (6 GiB of 5 GiB left)"))
    show.board.close()


def test_the_end_of_a_build_stays_and_its_line_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    show = Show(monkeypatch)
    show.tell("a", BuildStarted("a", "/run", ("install",)))
    assert "✓ a             12s" in click.unstyle(show.tell("a", BuildFinished("a", "succeeded", 12.0)))
    before = len(show.screen.getvalue())
    show.board.tick()
    assert show.screen.getvalue()[before:] == ""


def test_guest_output_is_shown_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    line = GuestOutput("say hello", "stdout", "Linux tiny")
    assert "Linux tiny" not in Show(monkeypatch).tell("a", line)
    assert "[a] say hello: Linux tiny" in Show(monkeypatch, verbosity=1).tell("a", line)


def test_without_a_terminal_every_line_names_its_build() -> None:
    stream = io.StringIO()
    terminal = Terminal(several=frozenset({"a", "b"}), stream=stream)
    for build in "ab":
        terminal(Stamped(0.0, build, PhaseStarted("install", "it has not been built yet")))
    terminal(Stamped(0.0, "b", Progress("copy", 1, 2)))
    terminal(Stamped(0.0, "b", BuildFinished("b", "succeeded", 2.0)))
    assert stream.getvalue().splitlines() == [
        "[a] install  it has not been built yet",
        "[b] install  it has not been built yet",
        "[b] succeeded after 2s",
    ]


def test_the_summary_has_a_line_for_each_build() -> None:
    rows = [
        Row("a", "built", 61.0, "/out/a"),
        Row("long-name", "failed", 0.5, "can't download x"),
        Row("c", "built", 2.0, ""),
    ]
    assert [click.unstyle(line) for line in summary(rows)] == [
        "a          built      1m1s  /out/a",
        "long-name  failed    500ms  can't download x",
        "c          built        2s",
        "3 builds: 2 built, 1 failed",
    ]
