"""``-only`` and ``-except``: which builds run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from factory.errors import Problem, TemplateError
from factory.template.pattern_list import split_patterns


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
        """Raises: TemplateError for what is no pattern."""
        chosen = cls(split_patterns(only), split_patterns(except_))
        problems = [
            Problem(f"“{pattern}” is no pattern for {option}: {reason}", hint=_HINT)
            for option, patterns in (("-only", chosen.only), ("-except", chosen.except_))
            for pattern in patterns
            if (reason := _fault(pattern))
        ]
        if problems:
            raise TemplateError(problems)
        return chosen


_HINT = "patterns know * ? [a-z] [!a-z] and {a,b}; what is to be taken as it is stands after a backslash"


class _NoPattern(ValueError):
    pass


def glob_match(pattern: str, name: str) -> bool:
    """``*``, ``?``, ``[a-z]``, ``[abc]``, ``[!a]`` and ``{a,b}``, as the library reads them that Packer uses
    (github.com/gobwas/glob): what is no pattern matches nothing."""
    try:
        return bool(re.fullmatch(_translate(pattern), name, re.DOTALL))
    except _NoPattern:
        return False


def _fault(pattern: str) -> str:
    try:
        _translate(pattern)
    except _NoPattern as error:
        return str(error)
    return ""


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
        elif c == "[":
            end = pattern.find("]", here)
            if end < 0:
                raise _NoPattern("the bracket has no end")
            result.append(_one_of(pattern[here:end]))
            here = end + 1
        elif c == "{":  # without its end it reaches to the end of the pattern
            result.append("(?:")
            depth += 1
        elif c == "}" and depth:
            result.append(")")
            depth -= 1
        elif c == "," and depth:
            result.append("|")
        else:
            result.append(re.escape(c))
    return "".join(result) + ")" * depth


def _one_of(inside: str) -> str:
    """A bracket holds one range, or characters that all stand for themselves."""
    characters = inside.removeprefix("!")
    if not characters:
        raise _NoPattern("the brackets are empty")
    if len(characters) == 3 and characters[1] == "-":
        if characters[0] > characters[2]:
            raise _NoPattern(f"“{characters}” runs backwards")
        listed = f"{re.escape(characters[0])}-{re.escape(characters[2])}"
    else:
        listed = "".join(map(re.escape, characters))
    return f"[{'^' if characters != inside else ''}{listed}]"


def nothing_selected(names: Sequence[str]) -> Problem:
    known = ", ".join(names) or "none"
    return Problem("no build matches -only and -except", hint=f"the builds are: {known}", severity="warning")
