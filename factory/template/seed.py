"""The answer files of one build: a folder of ``http_seed/``, rendered on request.

A file ``NAME.j2`` is served as ``NAME``, rendered by Jinja2 with the names ``seed``, ``build``, ``vars``, ``install``,
``host`` and ``name``; any other file is served as it is. Hidden files and what links lead out to are not served.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from factory.digest import content_digest, digest_of
from factory.errors import Place, Problem, SeedError
from factory.opening import read_content
from factory.quantity import Size
from factory.template import jinja
from factory.template.late import late_names, render_late, render_late_value
from factory.template.model import Loaded
from factory.template.names import Scope, uses
from factory.template.suggest import did_you_mean
from factory.template.yaml_source import shown_name

RENDERED = ".j2"
LARGEST_TEMPLATE = Size(2**20)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class SeedFolder:
    """Answer files by name. Implements ``drivers.protocols.SeedSource``.

    Args:
        directory: the folder; None for extra files alone.
        names: what the answer files may name, revealed: see ``seed_names``.
        extra: more files, over those of the folder: text, bytes, or a path to a file served as it is.
    """

    def __init__(
        self,
        directory: Path | None,
        names: Mapping[str, Any],
        *,
        extra: Mapping[str, str | bytes | Path] = _NOTHING,
    ) -> None:
        self._names = names
        self._files = dict(files_of(directory)) if directory else {}
        self._extra = {_checked(name): content for name, content in extra.items()}

    def names(self) -> Sequence[str]:
        return tuple(sorted({*self._files, *self._extra}))

    def read(self, name: str) -> bytes | Path | None:
        """The content of *name*, None when there is no such file.

        Raises: SeedError, with file and line, when it can't be rendered.
        """
        if name in self._extra:
            content = self._extra[name]
            return content.encode() if isinstance(content, str) else content
        path = self._files.get(name)
        if path is None or path.suffix != RENDERED:
            return path
        return render_file(path, self._names).encode()

    def digest(self) -> str:
        """SHA-256 of everything as it is before rendering: what enters a key."""
        return digest_of({"folder": _digests(self._files), "extra": {n: _digest(c) for n, c in self._extra.items()}})


def folder_digest(directory: Path) -> str:
    """SHA-256 of the answer files in *directory*, by name, before rendering. Raises: OSError."""
    return digest_of(_digests(dict(files_of(directory))))


def _digests(files: Mapping[str, Path]) -> dict[str, Any]:
    return {name: {"rendered": path.suffix == RENDERED, "sha256": content_digest(path)} for name, path in files.items()}


def _digest(content: str | bytes | Path) -> Any:
    if isinstance(content, Path):
        return {"sha256": content_digest(content)}
    return content


def files_of(directory: Path) -> Iterator[tuple[str, Path]]:
    """``(served name, path)`` of every file below *directory*, sorted.

    Raises: SeedError when two files would be served by the same name.
    """
    base = directory.resolve()
    seen: dict[str, Path] = {}
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if not path.is_file() or any(p.startswith(".") for p in relative.parts):
            continue
        if not path.resolve().is_relative_to(base):
            continue
        name = relative.as_posix().removesuffix(RENDERED)
        if name in seen:
            raise SeedError(f"{shown_name(path)} and {seen[name].name} would both be served as '{name}'")
        seen[name] = path
        yield name, path


def _checked(name: str) -> str:
    """Raises: SeedError for a name that leads out of the seed."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or "\0" in name or {"", ".", ".."} & set(parts):
        raise SeedError(f"{name!r} is no name for a seed file", hint="write a plain name such as 'user-data'")
    return name


def seed_names(loaded: Loaded, late: Mapping[str, Any]) -> dict[str, Any]:
    """What the answer files of *loaded* may name, with *late* filled in. Reveals secrets: hand it to SeedFolder only.

    Args:
        late: as for ``render_late``: ``seed``, ``build``, ``vars`` (generated variables).
    """
    install = loaded.template.install
    early = {"vars": loaded.variables, "host": loaded.host, "name": loaded.template.name}
    names = late_names(early, late)
    names["install"] = render_late_value(install.seed_vars, late) if install else {}
    return names


def extra_files(loaded: Loaded, late: Mapping[str, Any], built: Mapping[str, Path]) -> dict[str, str | Path]:
    """The files of ``install.seed_files``. *built* has the results of those that a script makes, by name."""
    files: dict[str, str | Path] = {}
    for file in loaded.template.install.seed_files if loaded.template.install else ():
        if file.content is not None:
            files[file.name] = render_late(file.content, late)
        else:
            files[file.name] = loaded.resolve(file.path) if file.path else built[file.name]
    return files


def render_file(path: Path, names: Mapping[str, Any]) -> str:
    """Raises: SeedError with file and line."""
    text = _read(path)
    try:
        return jinja.render_text(text, names, jinja.file_environment())
    except jinja.RenderError as error:
        known = file_problems(path, Scope(names, late={}))
        problem = known[0] if known else Problem(error.message, Place(shown_name(path), error.line), error.hint)
        raise SeedError(f"can't render {problem.place}: {problem.message}", hint=problem.hint) from None


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_TEMPLATE:
            hint = f"leave '{RENDERED}' off its name to serve it as it is"
            raise SeedError(f"{shown_name(path)} is larger than {LARGEST_TEMPLATE}", hint=hint)
        return read_content(path).decode("utf-8")
    except OSError as error:
        raise SeedError(f"can't read {shown_name(path)}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SeedError(f"{shown_name(path)} isn't UTF-8") from None


def file_problems(path: Path, scope: Scope) -> list[Problem]:
    """What is wrong with an answer file, without rendering it: syntax, and names that nobody will know."""
    try:
        text = _read(path)
    except SeedError as error:
        return [Problem(error.message, Place(shown_name(path)), error.hint)]
    environment = jinja.file_environment()
    try:
        used = uses(jinja.parse(text, environment), environment)
    except jinja.RenderError as error:
        return [_file_problem(path, text, error)]
    wrong = [found for use in used if (found := scope.missing(use))]
    return list(dict.fromkeys(_file_problem(path, text, found) for found in wrong))


def _file_problem(path: Path, text: str, error: jinja.RenderError) -> Problem:
    lines = text.split("\n")
    line = lines[error.line - 1] if 1 <= error.line <= len(lines) else ""
    column = line.find(error.token) + 1 if error.token else 0
    return Problem(error.message, Place(shown_name(path), error.line, column), error.hint, line)


def missing_main(main: str, directory: Path) -> str:
    """A hint for a main file that is not in *directory*."""
    return did_you_mean(main, [name for name, _ in files_of(directory)], kind="there are")
