"""Loads a template: the one call for who wants to use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from factory.errors import TemplateError
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
