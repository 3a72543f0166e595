"""Everything that is wrong with a template, at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from factory.errors import Problem, TemplateError
from factory.template.assemble import Draft, Given, draft, profile_draft, read_template
from factory.template.check_boot import boot_problems
from factory.template.check_rules import rule_problems
from factory.template.matrix import name_problems, read_matrix
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
    """As ``load``, but returns the problems, errors and warnings; the template is None when there are errors.

    Of a template with a matrix, what is as in no build of it: see ``check_each``.
    """
    return _check(path, Given(variables, tuple(var_files), environ, host))


def check_each(path: Path, given: Given, wanted: Callable[[str], bool]) -> tuple[list[Loaded], tuple[Problem, ...]]:
    """Every build of the YAML template at *path* whose name is *wanted*, and every problem once."""
    try:
        assembly = read_template(path)
    except TemplateError as error:
        return [], error.problems
    matrix = read_matrix(assembly.root)
    if matrix.problems:
        return [], (*assembly.problems, *matrix.problems)
    written = (assembly.root.get("name") or assembly.root).value
    fixed = isinstance(written, str) and "{{" not in written
    cells = [c for c in matrix.cells if not fixed or wanted(c.named(str(written), str(written)))]
    results = [_check(path, replace(given, cell=cell, assembly=assembly)) for cell in cells]
    builds = [loaded for loaded, _ in results if loaded is not None]
    problems = list(_merged([(c.suffix, found) for c, (_, found) in zip(cells, results, strict=True)]))
    if matrix.cells[0].choices:
        problems += name_problems([b.template.name for b in builds], assembly.root)
    return [b for b in builds if wanted(b.template.name)], tuple(problems)


def _merged(results: Sequence[tuple[str, Sequence[Problem]]]) -> Iterator[Problem]:
    """Each problem once; one that not all builds have says which have it."""
    for problem in dict.fromkeys(p for _, problems in results for p in problems):
        having = [suffix.lstrip("-") for suffix, problems in results if problem in problems]
        among = f" (in {', '.join(having[:3])}{', …' if len(having) > 3 else ''})" if len(having) < len(results) else ""
        yield replace(problem, message=problem.message + among)


def _check(path: Path, given: Given) -> tuple[Loaded | None, tuple[Problem, ...]]:
    try:
        found = draft(path, given)
    except TemplateError as error:
        return None, error.problems
    problems = _all(found)
    wrong = any(p.severity == "error" for p in problems)
    return (None if wrong or found.template is None else found.loaded()), problems


def _all(found: Draft) -> tuple[Problem, ...]:
    """Every problem once, file by file in the order of their lines; the template's own file first."""
    found.problems += [*boot_problems(found), *rule_problems(found)]
    problems = list(dict.fromkeys(_without_secrets(p, found.variables.hidden) for p in found.problems))
    files = [shown_name(found.path), *(p.place.file for p in problems if p.place)]

    def order(problem: Problem) -> tuple[int, int, int]:
        return (
            (files.index(problem.place.file), problem.place.line, problem.place.column) if problem.place else (-1, 0, 0)
        )

    return tuple(sorted(problems, key=order))


def _without_secrets(problem: Problem, hidden: Collection[tuple[str, int]]) -> Problem:
    place = problem.place
    return replace(problem, source_line="") if place and (place.file, place.line) in hidden else problem


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
