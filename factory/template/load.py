"""Loads a template: the calls for who wants to use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from factory.errors import Problem, TemplateError
from factory.template.check import check
from factory.template.model import Loaded

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def load(
    path: Path,
    *,
    variables: Mapping[str, str] = _NOTHING,
    var_files: Iterable[Path] = (),
    environ: Mapping[str, str] = _NOTHING,
    host: Mapping[str, Any] = _NOTHING,
) -> Loaded:
    """Reads the template at *path* with everything it names. Pure: reads files, never the clock or the environment.

    Args:
        variables: what was given as ``-var name=value``.
        var_files: YAML or JSON, later ones win.
        environ: searched for ``FACTORY_VAR_<name>`` and ``HOME``; hand in ``os.environ``.
        host: what ``host.<name>`` and ``default: auto`` give: ``mirror``, ``timezone``, …

    Raises: TemplateError with every problem found.
    """
    loaded, problems = check(path, variables=variables, var_files=var_files, environ=environ, host=host)
    if loaded is None:
        raise TemplateError(problems)
    return loaded


def load_all(
    path: Path,
    *,
    variables: Mapping[str, str] = _NOTHING,
    var_files: Sequence[Path] = (),
    environ: Mapping[str, str] = _NOTHING,
    host: Mapping[str, Any] = _NOTHING,
) -> tuple[Loaded, ...]:
    """Every build that the file at *path* asks for, in the file's order; their names differ.

    Args: as for ``load``.

    Raises: TemplateError with every problem found.
    """
    builds, problems = check_all(path, variables=variables, var_files=var_files, environ=environ, host=host)
    if any(p.severity == "error" for p in problems):
        raise TemplateError(problems)
    return builds


def check_all(
    path: Path,
    *,
    variables: Mapping[str, str] = _NOTHING,
    var_files: Sequence[Path] = (),
    environ: Mapping[str, str] = _NOTHING,
    host: Mapping[str, Any] = _NOTHING,
) -> tuple[tuple[Loaded, ...], tuple[Problem, ...]]:
    """As ``load_all``, but returns the problems, errors and warnings; builds with errors are not among the builds."""
    loaded, problems = check(path, variables=variables, var_files=var_files, environ=environ, host=host)
    return (() if loaded is None else (loaded,)), problems
