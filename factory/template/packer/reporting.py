"""Collected problems: each once, errors before warnings."""

from __future__ import annotations

from collections.abc import Iterable

from factory.errors import Problem, TemplateError


def unique(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once; a template with many builds meets the same one many times."""
    return sorted(dict.fromkeys(problems), key=lambda p: p.severity != "error")


def raise_errors(problems: Iterable[Problem]) -> None:
    """Raises: TemplateError with all problems when at least one of them is an error."""
    found = unique(problems)
    if any(p.severity == "error" for p in found):
        raise TemplateError(found)


def warnings_of(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(p for p in unique(problems) if p.severity != "error")
