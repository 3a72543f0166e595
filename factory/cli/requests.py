"""Which builds a command line asks for: those of its files that `-only` leaves, and what they start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from factory.cli.data_sources import read_data_source
from factory.cli.template_options import environment
from factory.errors import FactoryError, Problem, TemplateError
from factory.template.bases import base_name, chain_of
from factory.template.load import declared, declared_with_bases, load_all
from factory.template.model import Loaded

Stamps: TypeAlias = tuple[tuple[str, int, int], ...]
"""Name, size and mtime (in ns) of files."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is loaded, and with what."""

    variables: Mapping[str, str]
    var_files: Sequence[Path]
    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    overwrites: bool = False
    """Whether a folder that a Packer template delivers to may be there already, to be replaced."""


@dataclass(frozen=True, slots=True)
class Request:
    """A build. ``asked`` is False for one that is there because another starts from it.

    ``load`` reads all builds of a template's file again, with the same variables; ``written`` says how the files looked
    when they were read (``stamps``).
    """

    loaded: Loaded
    base: str = ""
    asked: bool = True
    load: Callable[[Path], tuple[Loaded, ...]] = lambda path: ()
    written: Stamps = ()

    @property
    def name(self) -> str:
        return self.loaded.template.name


@dataclass(slots=True)
class Requests:
    """In the order of the command line, each after what it starts from. ``failures`` are files or builds that can't
    be loaded, by name."""

    builds: dict[str, Request] = field(default_factory=dict)
    failures: dict[str, FactoryError] = field(default_factory=dict)

    def raise_if_any(self) -> None:
        """Raises: the first failure; all problems of all templates when there are several."""
        errors = list(self.failures.values())
        if len(errors) > 1 and all(isinstance(e, TemplateError) for e in errors):
            raise TemplateError([p for e in errors if isinstance(e, TemplateError) for p in e.problems])
        for error in errors:
            raise error


def find_builds(templates: Sequence[Path], selection: Selection, host: Mapping[str, Any]) -> Requests:
    """Loads everything. What one file does wrong is noted and spoils no other.

    Raises: TemplateError when `-only` and `-except` leave nothing.
    """
    found = Requests()
    loader = Loader(templates, selection, host)
    asked: list[Loaded] = []
    for path in templates:
        try:
            asked += loader.load(path)
        except FactoryError as error:
            found.failures[_free_name(path.stem, found)] = error
    if not asked and not found.failures:
        raise TemplateError("no build is left", hint="-only and -except match names such as `factory inspect` shows")
    by_name = _by_name(asked, found)
    for loaded in by_name.values():
        try:
            chain = chain_of(loaded, by_name, loader.load_base)
        except FactoryError as error:
            found.failures[loaded.template.name] = error
            continue
        for item in reversed((loaded, *chain)):
            name = item.template.name
            if name not in found.builds:
                written = stamps(item.path)
                found.builds[name] = Request(item, base_name(item), name in by_name, loader.load_base, written)
    return found


def stamps(path: Path) -> Stamps:
    """Of a template's file, or of the files in its folder: they differ once one was written to."""
    found = []
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with suppress(OSError):
            status = file.stat()
            found.append((file.name, status.st_size, status.st_mtime_ns))
    return tuple(found)


def base_problems(builds: Sequence[Loaded], known: Mapping[str, Loaded], loader: Loader) -> tuple[Problem, ...]:
    """What is wrong with that which *builds* start from."""
    problems: list[Problem] = []
    for build in builds:
        try:
            chain_of(build, known, loader.load_base)
        except TemplateError as error:
            problems += error.problems
    return tuple(dict.fromkeys(problems))


class Loader:
    """Loads files; a variable is handed to those that declare it, and to all when nobody does: then it is a mistake."""

    def __init__(self, templates: Sequence[Path], selection: Selection, host: Mapping[str, Any]) -> None:
        self._selection, self._host = selection, host
        self._anywhere = {name for path in templates for name in declared_with_bases(path)}

    def variables_for(self, path: Path) -> dict[str, str]:
        """What of ``-var`` concerns the template at *path*."""
        own = set(declared(path))
        return {n: v for n, v in self._selection.variables.items() if n in own or n not in self._anywhere}

    def load(self, path: Path) -> tuple[Loaded, ...]:
        """What the command line asks for of a file."""
        return self._load(path, self._selection.only, self._selection.except_)

    def load_base(self, path: Path) -> tuple[Loaded, ...]:
        """All of a file that nobody has named."""
        return self._load(path, (), ())

    def _load(self, path: Path, only: Sequence[str], except_: Sequence[str]) -> tuple[Loaded, ...]:
        selection = self._selection
        builds = load_all(
            path,
            variables=self.variables_for(path),
            var_files=selection.var_files,
            environ=environment(),
            host=self._host,
            only=only,
            except_=except_,
            data_reader=read_data_source,
        )
        return tuple(_overwriting(b) for b in builds) if selection.overwrites else builds


def _overwriting(loaded: Loaded) -> Loaded:
    return replace(loaded, delivery=replace(loaded.delivery, overwrites=True)) if loaded.delivery else loaded


def _by_name(asked: Sequence[Loaded], found: Requests) -> dict[str, Loaded]:
    """The builds by name; the second of a name, or for a folder of Packer's, is a failure."""
    by_name: dict[str, Loaded] = {}
    folders: dict[Path, str] = {}
    for loaded in asked:
        name = loaded.template.name
        if name in by_name:
            message = f"two builds are called '{name}': of {by_name[name].path} and of {loaded.path}"
            found.failures[_free_name(loaded.path.stem, found, name)] = TemplateError(
                message, hint="their artifacts would lie in the same folder: give one of them another `name`"
            )
        elif loaded.delivery and (other := folders.setdefault(loaded.delivery.folder, name)) != name:
            message = f"'{name}' and '{other}' both deliver to {loaded.delivery.folder_name}"
            found.failures[_free_name(name, found)] = TemplateError(
                message, hint="give each an `output_directory` of its own, or choose one with -only"
            )
        else:
            by_name[name] = loaded
    return by_name


def _free_name(wanted: str, found: Requests, *taken: str) -> str:
    name, number = wanted, 2
    while name in found.failures or name in taken:
        name, number = f"{wanted} ({number})", number + 1
    return name
