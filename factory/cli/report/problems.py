"""Problems of templates that do not end a command: shown on standard error, and as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from factory.cli.report.failure import problem_lines
from factory.cli.report.paragraphs import indented
from factory.errors import Problem
from factory.visible import visible


def show_warnings(problems: Iterable[Problem]) -> None:
    """Prints each warning once to standard error, for all the builds that share it."""
    for problem in dict.fromkeys(p for p in problems if p.severity == "warning"):
        for text in problem_lines(problem):
            for line in indented(text):
                click.echo(visible(line), err=True)


def problem_json(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "severity": problem.severity,
        "message": problem.message,
        "hint": problem.hint,
        "file": place.file if place else "",
        "line": place.line if place else 0,
        "column": place.column if place else 0,
    }
