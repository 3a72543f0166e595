"""The tree of a Go template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """``.A.B``; no names at all is the dot itself. *base* is what the names are taken of, the dot when None."""

    names: tuple[str, ...]
    base: Operand | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class VariableUse:
    """``$x.A``; the name of ``$`` alone is empty."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionName:
    name: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each fed with the result of the one before; *declares* names the variables that get the result."""

    commands: tuple[tuple[Operand, ...], ...]
    declares: tuple[str, ...] = ()
    assigns: bool = False


Operand = Field | Constant | VariableUse | FunctionName | Pipeline


@dataclass(frozen=True, slots=True)
class Node:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Text(Node):
    text: str


@dataclass(frozen=True, slots=True)
class Action(Node):
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """``if``, ``with`` or ``range``."""

    keyword: str
    pipeline: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Jump(Node):
    """``break`` or ``continue``."""

    keyword: str
