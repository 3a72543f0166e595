"""How a failure looks on the terminal: what happened, what was seen, what to try next."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator

import click

from factory.cli.report.paragraphs import indented
from factory.errors import Evidence, FactoryError, Problem, TemplateError
from factory.visible import visible

TAIL_LINES = 12
LONGEST_LINE = 160
SHOWN_BEFORE = 60
"""Characters of a long source line: in all, and before the place that is wrong."""
ADVICE = 2
"""So many things to try; the report has all of them."""


def show_failure(error: FactoryError) -> None:
    """Prints to standard error."""
    for line in failure_lines(error):
        click.echo(line, err=True)


def failure_lines(error: FactoryError) -> Iterator[str]:
    """The report, line by line, styled; click drops the styles where there is no terminal."""
    for text in _failure_lines(error):
        yield from map(visible, indented(text))


def _failure_lines(error: FactoryError) -> Iterator[str]:
    if isinstance(error, TemplateError):
        for problem in error.problems:
            yield from problem_lines(problem)
        if error.hint and not any(p.hint == error.hint for p in error.problems):
            yield f"  {click.style('try:', bold=True)} {error.hint}"
        return
    found = error.explanation
    yield click.style("error: ", fg="red", bold=True) + (found.sentence if found else error.message)
    if found and not _says_the_same(found.sentence, error.message):
        yield f"  {error.message}"
    yield from evidence_lines(error.evidence)
    hints = found.advice[:ADVICE] if found else ()
    for hint in hints or filter(None, (error.hint,)):
        yield f"  {click.style('try:', bold=True)} {hint}"
    if found:
        yield f"  {click.style('report:', bold=True)} {found.report}"


def _says_the_same(sentence: str, message: str) -> bool:
    """Also where the sentence only begins in its own words: "QEMU itself ended: …"."""
    one, other = sentence.rstrip("."), message.rstrip(".")
    quoted = one.partition(": ")[2]
    return one in other or other in one or bool(quoted and quoted in other)


def problem_lines(problem: Problem) -> Iterator[str]:
    """``file:line:column: error: message``, then the source line with a caret and the way out."""
    colour = "red" if problem.severity == "error" else "yellow"
    place = f"{problem.place}: " if problem.place else ""
    yield click.style(place, bold=True) + click.style(f"{problem.severity}: ", fg=colour, bold=True) + problem.message
    if problem.source_line:
        line, before = _clipped(problem.source_line.rstrip(), problem.place.column - 1 if problem.place else 0)
        yield f"    {line}"
        if problem.place and problem.place.column:
            lead = "".join("\t" if c == "\t" else " " for c in line[:before])
            yield f"    {lead}{click.style('^', fg=colour)}"
    if problem.hint:
        yield f"  {click.style('try:', bold=True)} {problem.hint}"


def _clipped(line: str, at: int) -> tuple[str, int]:
    """What is shown of a long line around its place, and where in that the place is."""
    start = at - SHOWN_BEFORE if len(line) > LONGEST_LINE and at > LONGEST_LINE // 2 else 0
    left_out = "…" if start else ""
    shown = line[start : start + LONGEST_LINE]
    return f"{left_out}{shown}{'…' if len(line) > start + LONGEST_LINE else ''}", at - start + len(left_out)


def evidence_lines(evidence: Evidence) -> Iterator[str]:
    for title, text in (("screen", evidence.screen), ("serial", evidence.serial), ("stderr", evidence.stderr)):
        lines = [line.rstrip() for line in text.splitlines() if line.strip()][-TAIL_LINES:]
        if lines:
            yield f"  {click.style(f'{title}:', bold=True)}"
            yield from (f"    │ {line}" for line in lines)
    if evidence.http_log:
        yield f"  {click.style('seed requests:', bold=True)}"
        yield from (f"    │ {line}" for line in evidence.http_log[-TAIL_LINES:])
    if evidence.screenshot:
        yield f"  {click.style('screenshot:', bold=True)} {evidence.screenshot}"
    for note in evidence.notes:
        yield f"  {note}"


def show_bug(error: Exception) -> None:
    """For what should not have happened: the trace, and the request to tell us."""
    traceback.print_exception(error, file=sys.stderr)
    click.echo(click.style("bug: ", fg="red", bold=True) + visible(f"{type(error).__name__}: {error}"), err=True)
    click.echo("  This is an error in factory itself. Please report it with the lines above.", err=True)
