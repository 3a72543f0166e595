"""``-only`` and ``-except``: which builds run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from factory.errors import Problem


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns over the names of builds; ``*`` stands for any characters, dots among them.

    With both, ``except_`` takes away from what ``only`` leaves, as in Packer.
    """

    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()

    def takes(self, *names: str) -> bool:
        """Whether a build that goes by any of *names* is to run."""
        if self.only and not any(glob_match(p, n) for p in self.only for n in names):
            return False
        return not any(glob_match(p, n) for p in self.except_ for n in names)

    def cuts(self, name: str) -> bool:
        """Whether ``-except`` takes out the post-processor *name*, and with it the rest of its chain."""
        return any(glob_match(p, name) for p in self.except_)

    @classmethod
    def of(cls, only: Sequence[str], except_: Sequence[str]) -> Selection:
        return cls(tuple(_split(only)), tuple(_split(except_)))


def _split(patterns: Sequence[str]) -> list[str]:
    """At commas, but not at those inside braces."""
    return [p.strip() for one in patterns for p in re.split(r",(?![^{]*\})", one) if p.strip()]


def glob_match(pattern: str, name: str) -> bool:
    """``*``, ``?``, ``[a-z]`` and ``{a,b}``."""
    return bool(re.fullmatch(_translate(pattern), name, re.DOTALL))


def _translate(pattern: str) -> str:
    result: list[str] = []
    depth, here = 0, 0
    while here < len(pattern):
        c = pattern[here]
        here += 1
        if c == "*":
            if not result or result[-1] != ".*":  # two stars mean no more than one, and would match slowly
                result.append(".*")
        elif c == "?":
            result.append(".")
        elif c == "\\" and here < len(pattern):
            result.append(re.escape(pattern[here]))
            here += 1
        elif c == "[" and (end := pattern.find("]", here + 1)) > 0:
            inside = pattern[here:end].replace("\\", "\\\\").replace("[", "\\[")
            inside = "^" + inside[1:] if inside[:1] in ("!", "^") else inside
            result.append(f"[{inside}]")
            here = end + 1
        elif c == "{" and "}" in pattern[here:]:
            result.append("(?:")
            depth += 1
        elif c == "}" and depth:
            result.append(")")
            depth -= 1
        elif c == "," and depth:
            result.append("|")
        else:
            result.append(re.escape(c))
    text = "".join(result) + ")" * depth
    try:
        re.compile(text)
    except re.error:
        return re.escape(pattern)
    return text


def nothing_selected(names: Sequence[str]) -> Problem:
    known = ", ".join(names) or "none"
    return Problem("no build matches -only and -except", hint=f"the builds are: {known}", severity="warning")
