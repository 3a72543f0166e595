"""What enters each phase's key: parsed values and digests of contents, never paths, times or this host's speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from factory.digest import content_digest, digest_of, tree_digest
from factory.errors import TemplateError
from factory.secret import Secret
from factory.steps.playbook_files import files_in, playbook_files
from factory.template.model import Ansible, File, LateText, Loaded, Plugin, Provision, Shell
from factory.template.seed import SeedFolder, extra_files, seed_names
from factory.template.verbatim_seed import VerbatimFolder, is_verbatim

LONGEST_TEXT = 64 * 1024
"""Of a script whose text is kept beside its layer."""
_LATE = {
    "seed": {"url": "late:seed.url", "host": "late:seed.host", "port": "late:seed.port"},
    "guest": {"host": "late:guest.host", "port": "late:guest.port"},
}


class Contents:
    """Digests of files that a template names, and what people call them. *output* is where artifacts appear."""

    def __init__(self, loaded: Loaded, output: Path) -> None:
        self._loaded, self._output = loaded, output.resolve()
        self.labels: dict[str, str] = {}
        self.texts: dict[str, str] = {}

    def of(self, name: str) -> dict[str, str]:
        """Raises: TemplateError when it can't be read."""
        path = self._loaded.resolve(name)
        try:
            digest = tree_digest(path)
        except OSError as error:
            raise TemplateError(f"can't read {name}: {error.strerror}", hint="is it there, and readable?") from error
        self.labels[digest] = name
        if (text := _short_text(path)) is not None:
            self.texts[digest] = text
        return {"sha256": digest}

    def beside(self, playbook: str, words: Sequence[str]) -> dict[str, str]:
        """Each file that *playbook* may read, beside it. Raises: TemplateError."""
        files = playbook_files(self._loaded.resolve(playbook), words, self._output)
        return self._each(str(Path(playbook).parent), files)

    def below(self, name: str) -> dict[str, str]:
        """Each file of a folder of roles or collections. Raises: TemplateError."""
        folder = self._loaded.resolve(name)
        return self._each(name, files_in(folder, folder, self._output))

    def _each(self, folder: str, files: Iterable[tuple[str, Path]]) -> dict[str, str]:
        """Digests by name: of name and content, so that of two files that are alike the right one is named."""
        found: dict[str, str] = {}
        try:
            for name, path in files:
                executable = bool(path.stat().st_mode & 0o100)
                found[name] = digest_of({"name": name, "sha256": content_digest(path), "executable": executable})
                self.labels[found[name]] = str(Path(folder) / name)
        except OSError as error:
            raise TemplateError(
                f"can't read {error.filename}: {error.strerror}", hint="is it there, and readable?"
            ) from error
        return found


def _short_text(path: Path) -> str | None:
    """The content of a small text file, for ``factory plan --diff``."""
    try:
        if not path.is_file() or path.stat().st_size > LONGEST_TEXT:
            return None
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None if "\0" in text else text


def late_markers(loaded: Loaded) -> dict[str, Any]:
    """Fixed texts in the place of values that exist only at run time, so that what they enter can be digested."""
    return {
        **_LATE,
        "build": {
            "name": loaded.own_name,
            "ssh_public_key": "late:build.ssh_public_key",
            "run_id": "late:build.run_id",
        },
        "vars": {name: f"late:vars.{name}" for name in loaded.generated},
    }


def seed_recipe(loaded: Loaded, built: Mapping[str, str]) -> dict[str, Any]:
    """The answer files, rendered with markers: a variable that no answer file uses does not count.

    A rendered file may hold a password, so texts enter as secrets (HMAC under the store's salt).

    Args:
        built: identity of each seed file that a script makes, by name.
    """
    late = late_markers(loaded)
    extra = extra_files(loaded, late, {name: Path() for name in built})
    if is_verbatim(loaded):
        return VerbatimFolder(loaded.seed_directory, extra).recipe()
    folder = SeedFolder(
        loaded.seed_directory, seed_names(loaded, late), extra={n: c for n, c in extra.items() if n not in built}
    )
    recipe: dict[str, Any] = dict(built)
    for name in folder.names():
        content = folder.read(name)
        if isinstance(content, Path):
            recipe[name] = {"sha256": tree_digest(content)}
        elif content is not None:
            recipe[name] = Secret(content.decode("utf-8", "surrogateescape"))
    return recipe


def provision_recipe(provision: Provision, contents: Contents) -> dict[str, Any]:
    """What a provisioner does; not its name, patience or retries."""
    options = provision.options
    recipe: dict[str, Any] = {"kind": provision.kind}
    match options:
        case Shell():
            scripts = [options.script] if options.script else list(options.scripts)
            recipe |= fields(options, without={"script", "scripts"})
            recipe["scripts"] = [contents.of(s) for s in scripts]
        case File():
            recipe |= fields(options, without={"source"})
            upload = options.source and options.direction == "upload" and not options.generated
            recipe["source"] = contents.of(options.source) if upload and options.source else options.source
        case Ansible():
            recipe |= fields(options, without={"playbook", "roles_path", "collections_path", "requirements"})
            recipe["playbook"] = contents.of(options.playbook)
            words = [a.source if isinstance(a, LateText) else a for a in options.extra_args]
            recipe["beside"] = contents.beside(options.playbook, words)
            recipe["roles"] = contents.below(options.roles_path) if options.roles_path else None
            recipe["collections"] = contents.below(options.collections_path) if options.collections_path else None
            recipe["requirements"] = contents.of(options.requirements) if options.requirements else None
        case Plugin():
            recipe |= {"name": options.name, "options": _without_paths(options.options, frozenset(options.files))}
            recipe["files"] = [contents.of(f) for f in options.files]
        case _:
            recipe |= fields(options, without=frozenset())
    return recipe


def _without_paths(value: Any, files: frozenset[str]) -> Any:
    """*value* with each of *files* by its name alone: what is in them counts, not where they lie."""
    if isinstance(value, str):
        return Path(value).name if value in files else value
    if isinstance(value, Mapping):
        return {k: _without_paths(v, files) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_paths(v, files) for v in value]
    return value


def fields(model: Any, *, without: set[str] | frozenset[str]) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields if name not in without}
