"""Everything that is wrong with a template, at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from factory.errors import Problem, TemplateError
from factory.template.assemble import Draft, Given, draft, profile_draft
from factory.template.check_boot import boot_problems
from factory.template.check_rules import rule_problems
from factory.template.model import Loaded, Profile
from factory.template.project import project_root
from factory.template.yaml_source import shown_name

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def check(
    path: Path,
    *,
    variables: Mapping[str, str] = _NOTHING,
    var_files: Iterable[Path] = (),
    environ: Mapping[str, str] = _NOTHING,
    host: Mapping[str, Any] = _NOTHING,
) -> tuple[Loaded | None, tuple[Problem, ...]]:
    """As ``load``, but returns the problems, errors and warnings; the template is None when there are errors."""
    try:
        found = draft(path, Given(variables, tuple(var_files), environ, host))
    except TemplateError as error:
        return None, error.problems
    problems = _all(found)
    wrong = any(p.severity == "error" for p in problems)
    return (None if wrong or found.template is None else found.loaded()), problems


def _all(found: Draft) -> tuple[Problem, ...]:
    """Every problem once, file by file in the order of their lines; the template's own file first."""
    found.problems += [*boot_problems(found), *rule_problems(found)]
    problems = list(dict.fromkeys(found.problems))
    files = [shown_name(found.path), *(p.place.file for p in problems if p.place)]

    def order(problem: Problem) -> tuple[int, int, int]:
        return (
            (files.index(problem.place.file), problem.place.line, problem.place.column) if problem.place else (-1, 0, 0)
        )

    return tuple(sorted(problems, key=order))


def check_profile(path: Path, *, root: Path | None = None) -> tuple[Profile | None, tuple[Problem, ...]]:
    """Everything that is wrong with a boot profile, with no template around it.

    Args:
        root: the project whose ``http_seed/`` it uses; default: where the profile lies.
    """
    try:
        found = profile_draft(path, root or project_root(path))
    except TemplateError as error:
        return None, error.problems
    problems = _all(found)
    wrong = any(p.severity == "error" for p in problems)
    return (None if wrong else found.profile), problems
