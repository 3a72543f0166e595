"""Which files count for a playbook's key: what Ansible looks for beside it, and what it names.

Ansible finds roles, variables, plug-ins, files and templates in folders of fixed names beside the playbook
(docs.ansible.com: "Sample directory layout", "Search paths in Ansible"). Whatever else lies there, such as a README, an
output folder or a cache, counts only if a YAML file of it (or `extra_args`) says its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

_FOLDERS = frozenset(
    {
        "collections", "defaults", "files", "group_vars", "handlers", "host_vars", "library", "meta", "module_utils",
        "roles", "tasks", "templates", "vars",
    }
)  # fmt: skip
_YAML = frozenset({".yml", ".yaml"})
_MANY = 2000
"""Files of a folder that is only named: one with more is a place to work in, not a playbook's own."""
_LARGEST_READ = 2**20


def playbook_files(playbook: Path, words: Sequence[str], output: Path) -> Iterator[tuple[str, Path]]:
    """Name (from the playbook's folder) and path of each file that counts, without the playbook, in order.

    Args:
        words: other texts that may name files, such as arguments of the program.
        output: the folder that artifacts appear in; nothing in it counts.

    Raises: OSError.
    """
    folder = playbook.parent
    found: dict[str, Path] = {}
    rest: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path == playbook or _is_foreign(path, output):
            continue
        if _is_ansibles(path):
            found.update(files_in(path, folder, output))
        else:
            rest.append(path)
    text = "\n".join((*words, *map(_text, (playbook, *found.values()))))
    for path in rest:
        if _names(text, path):
            few = list(islice(files_in(path, folder, output), _MANY + 1))
            found.update(few if len(few) <= _MANY else ())
    yield from sorted(found.items())


def files_in(path: Path, folder: Path, output: Path) -> Iterator[tuple[str, Path]]:
    """The file *path*, or all files below it, links followed. Hidden folders and Python's caches are left out."""
    yield from _walk(path, folder, output, ())


def _walk(path: Path, folder: Path, output: Path, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.relative_to(folder).as_posix(), path
    elif path.is_dir() and (real := path.resolve()) not in above:  # a link may lead back
        for entry in sorted(path.iterdir()):
            if not _is_foreign(entry, output):
                yield from _walk(entry, folder, output, (*above, real))


def _is_foreign(path: Path, output: Path) -> bool:
    if not path.is_dir():
        return path.suffix == ".pyc"
    return path.name.startswith(".") or path.name == "__pycache__" or path.resolve() == output


def _is_ansibles(path: Path) -> bool:
    if path.is_dir():
        return path.name in _FOLDERS or path.name.endswith("_plugins")
    if path.name == "ansible.cfg" or path.name.startswith("requirements"):
        return True
    return path.suffix in _YAML and not _is_template(path)


def _is_template(path: Path) -> bool:
    """A template of ours that lies beside its playbook: what counts in it counts by itself."""
    text = _text(path)
    return all(re.search(line, text, re.MULTILINE) for line in (r"^format:\s*1\s*$", r"^(source|extends):"))


def _text(path: Path) -> str:
    if path.suffix not in _YAML or not path.is_file() or path.stat().st_size > _LARGEST_READ:
        return ""
    return path.read_text("utf-8", errors="replace")


def _names(text: str, path: Path) -> bool:
    end = "/" if path.is_dir() else r"(?![\w-])"
    return re.search(rf"(?<![\w.-]){re.escape(path.name)}{end}", text) is not None
