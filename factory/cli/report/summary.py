"""The table at the end of a command that built several images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import click

from factory.quantity import Duration

State = Literal["built", "unchanged", "stored", "failed", "interrupted", "not begun"]
_COLOURS: dict[str, str] = {"built": "green", "unchanged": "green", "stored": "green", "failed": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """How one build ended. ``detail`` is where the artifact is, or in a line why there is none."""

    name: str
    state: State
    seconds: float
    detail: str


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """A line a build: name, outcome, time, artifact or cause."""
    name = max((len(r.name) for r in rows), default=0)
    state = max((len(r.state) for r in rows), default=0)
    for row in rows:
        outcome = click.style(f"{row.state:<{state}}", fg=_COLOURS.get(row.state, "yellow"))
        yield f"{row.name:<{name}}  {outcome}  {Duration(row.seconds)!s:>7}  {row.detail}".rstrip()
    count = {s: sum(r.state == s for r in rows) for s in dict.fromkeys(r.state for r in rows)}
    yield f"{len(rows)} build{'s' if len(rows) != 1 else ''}: " + ", ".join(f"{n} {s}" for s, n in count.items())
