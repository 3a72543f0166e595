"""Loads a template: the calls for who wants to use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from factory.errors import Problem, TemplateError
from factory.template.assemble import Given, read_template
from factory.template.bases import candidates
from factory.template.check import check_each
from factory.template.model import Loaded
from factory.template.packer_files import DataReader, Purpose, is_packer
from factory.template.project import project_root

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

    Raises: TemplateError with every problem found, or when the file makes several builds.
    """
    builds = load_all(path, variables=variables, var_files=tuple(var_files), environ=environ, host=host)
    if len(builds) != 1:
        names = ", ".join(b.template.name for b in builds)
        raise TemplateError(f"{path} makes {len(builds)} builds: {names}", hint="load_all gives them all")
    return builds[0]


def load_all(
    path: Path,
    *,
    variables: Mapping[str, str] = _NOTHING,
    var_files: Sequence[Path] = (),
    environ: Mapping[str, str] = _NOTHING,
    host: Mapping[str, Any] = _NOTHING,
    only: Sequence[str] = (),
    except_: Sequence[str] = (),
    data_reader: DataReader | None = None,
) -> tuple[Loaded, ...]:
    """Every build that the file at *path* asks for, in the file's order; their names differ.

    Args: as for ``load``, and
        only, except_: shell patterns over the names of builds: those to keep, and those to leave out.
        data_reader: reads data sources of a Packer template (``drivers.data_sources``).

    Raises: TemplateError with every problem found.
    """
    builds, problems = check_all(
        path,
        variables=variables,
        var_files=var_files,
        environ=environ,
        host=host,
        only=only,
        except_=except_,
        purpose=Purpose.MAKE,
        data_reader=data_reader,
    )
    if any(p.severity == "error" for p in problems):
        raise TemplateError(problems)
    if not builds and problems and is_packer(path):
        raise TemplateError([replace(p, severity="error") for p in problems])
    return builds


def check_all(
    path: Path,
    *,
    variables: Mapping[str, str] = _NOTHING,
    var_files: Sequence[Path] = (),
    environ: Mapping[str, str] = _NOTHING,
    host: Mapping[str, Any] = _NOTHING,
    only: Sequence[str] = (),
    except_: Sequence[str] = (),
    purpose: Purpose = Purpose.CHECK,
    data_reader: DataReader | None = None,
) -> tuple[tuple[Loaded, ...], tuple[Problem, ...]]:
    """As ``load_all``, but returns the problems, errors and warnings; builds with errors are not among the builds.

    A template of Packer's gives a build for each of its qemu sources; ``host`` means nothing to it.
    """
    if is_packer(path):
        from factory.template.packer.builds import check_builds  # takes 0.3 s: only where there is one

        return check_builds(
            path,
            variables=variables,
            var_files=var_files,
            environ=environ,
            only=only,
            except_=except_,
            purpose=purpose,
            data_reader=data_reader,
        )
    given = Given(variables, tuple(var_files), environ, host)
    builds, problems = check_each(path, given, lambda name: is_chosen(name, only, except_))
    return tuple(builds), problems


def is_chosen(name: str, only: Sequence[str], except_: Sequence[str]) -> bool:
    """Whether ``-only`` and ``-except`` leave the build called *name*."""
    wanted = not only or any(fnmatchcase(name, pattern) for pattern in only)
    return wanted and not any(fnmatchcase(name, pattern) for pattern in except_)


def declared(path: Path) -> tuple[str, ...]:
    """The variables that the YAML template at *path* declares, its fragments included; none when it can't be read."""
    if path.suffix not in (".yml", ".yaml"):
        return ()
    try:
        section = read_template(path).root.get("variables")
    except TemplateError:
        return ()
    return tuple(section.value) if section is not None and isinstance(section.value, dict) else ()


def declared_with_bases(path: Path) -> frozenset[str]:
    """``declared``, and what the templates declare that it starts from by name, as far as they can be found."""
    found, seen, left = set[str](), set[Path](), [path]
    while left:
        current = left.pop()
        if current.resolve() in seen:
            continue
        seen.add(current.resolve())
        found |= set(declared(current))
        if name := _image_name(current):
            left += candidates(name, current, project_root(current))
    return frozenset(found)


def _image_name(path: Path) -> str:
    if path.suffix not in (".yml", ".yaml"):
        return ""
    try:
        image = read_template(path).root.at("source", "image")
    except TemplateError:
        return ""
    node = image.get("template") or image if image is not None else None
    return node.value if node is not None and isinstance(node.value, str) else ""
