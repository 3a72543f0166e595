"""Reads ``expressions.txt``: expressions with the values that they must have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("expressions.txt")


@dataclass(frozen=True)
class Case:
    expression: str
    expected: str
    known_to_packer: bool


def cases() -> list[Case]:
    found: list[Case] = []
    for part in FILE.read_text().split("\n\n"):
        first, _, rest = part.strip("\n").partition("\n")
        if first.startswith((">>> ", "!>> ")):
            found.append(Case(first[4:], rest, first.startswith(">")))
    return found
