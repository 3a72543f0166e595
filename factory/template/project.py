"""Where a template's project is, and what the relative names in it mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from factory.template.suggest import nearest
from factory.template.yaml_source import Loc, Node

MARKS = ("images", "boot_configs", "http_seed")
"""Folders that make their parent a project."""

_NAME = re.compile(r"^name:[ \t]*[\"']?([A-Za-z0-9._-]+)", re.MULTILINE)
FILE_FIELDS = (
    "source.iso.path",
    "source.iso.build.script",
    "source.iso.build.inputs.*",
    "source.image.path",
    "source.image.build.script",
    "source.image.build.inputs.*",
    "install.seed_dir",
    "install.seed_files.*.path",
    "install.seed_files.*.build.script",
    "install.seed_files.*.build.inputs.*",
    "install.media.*.image",
    "install.media.*.files.*.path",
    "access.ssh.private_key",
    "access.ssh.certificate",
    "access.ssh.bastion.private_key",
    "access.ssh.bastion.certificate",
    "provision.*.shell.script",
    "provision.*.shell.scripts.*",
    "provision.*.file.source",
    "provision.*.ansible.playbook",
    "provision.*.ansible.roles_path",
    "provision.*.ansible.collections_path",
    "provision.*.ansible.requirements",
    "provision.*.plugin.files.*",
    "outputs.*.vagrant.vagrantfile",
    "outputs.*.vagrantfile",
)
"""Fields that name a file or folder of this host."""


def project_root(path: Path) -> Path:
    """The nearest parent of the template at *path* that holds one of ``MARKS``; its own folder when none does."""
    folder = path.absolute().parent
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).is_dir() for mark in MARKS):
            return candidate
    return folder


def shipped_root() -> Path | None:
    """The folder with the profiles and seeds that come with factory: inside the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "share", package.parent):
        if (candidate / "boot_configs").is_dir():
            return candidate
    return None


def search_roots(root: Path) -> tuple[Path, ...]:
    """Where profiles and seeds are looked up: the project, then what is shipped."""
    shipped = shipped_root()
    return (root,) if shipped is None or shipped == root else (root, shipped)


def find_profile(name: str, root: Path) -> Path | None:
    for base in search_roots(root):
        for suffix in (".yml", ".yaml"):
            path = base / "boot_configs" / f"{name}{suffix}"
            if path.is_file():
                return path
    return None


def profile_names(root: Path) -> tuple[str, ...]:
    """Every profile that can be named, sorted."""
    folders = [base / "boot_configs" for base in search_roots(root)]
    found = {p.stem for f in folders if f.is_dir() for p in f.iterdir() if p.suffix in (".yml", ".yaml")}
    return tuple(sorted(found))


def find_seed_folder(name: str, root: Path) -> Path | None:
    """The folder of answer files called *name* below ``http_seed/``."""
    for base in search_roots(root):
        folder = (base / "http_seed" / name).resolve()
        if folder.is_dir() and folder.is_relative_to((base / "http_seed").resolve()):
            return folder
    return None


def seed_folder_names(root: Path) -> tuple[str, ...]:
    folders = [base / "http_seed" for base in search_roots(root)]
    return tuple(sorted({p.name for f in folders if f.is_dir() for p in f.iterdir() if p.is_dir()}))


def templates(root: Path) -> dict[str, Path]:
    """The templates of the project by their names, which need not be those of their files."""
    return templates_in(root / "images")


def templates_in(folder: Path) -> dict[str, Path]:
    """The templates of a folder by their names and by those of their files."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix not in (".yml", ".yaml") or not path.is_file():
            continue
        found.setdefault(path.stem, path)
        match = _NAME.search(path.read_text("utf-8", errors="replace"))
        if match:
            found[match[1]] = path
    return found


def file_fields(tree: Node) -> Iterator[tuple[Loc, Node]]:
    """Every value of *tree* that names a file of this host. A download's source is in the guest, so it isn't one."""
    for pattern in FILE_FIELDS:
        for loc, node in _matching(tree, tuple(pattern.split(".")), ()):
            direction = tree.at(*loc[:-1], "direction")
            if loc[-1] == "source" and direction is not None and direction.value == "download":
                continue
            yield loc, node
    for kind in ("iso", "image"):
        checksum = tree.at("source", kind, "checksum")
        if checksum is not None and isinstance(checksum.value, str) and _is_local_sums(checksum.value):
            yield ("source", kind, "checksum"), checksum


def _is_local_sums(checksum: str) -> bool:
    return checksum.startswith("file:") and "://" not in checksum and not checksum.startswith("file:/")


def _matching(node: Node, pattern: tuple[str, ...], loc: Loc) -> Iterator[tuple[Loc, Node]]:
    if not pattern:
        yield loc, node
    elif pattern[0] != "*":
        child = node.get(pattern[0])
        if child is not None:
            yield from _matching(child, pattern[1:], (*loc, pattern[0]))
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from _matching(child, pattern[1:], (*loc, index))


def resolve_name(written: str, wrote_it: Path, root: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """What a relative name means: ``(name, problem)``, one of them empty.

    A name is looked up beside the file that wrote it, then in the project root, then in what is shipped; ``~/`` is the
    user's home. The result is relative to *root* (with ``/``) where it lies in it, else absolute.
    """
    if written.startswith("~/"):
        home = environ.get("HOME", "")
        candidates = [Path(home, written[2:])] if home else []
    else:
        candidates = [base / written for base in (wrote_it.absolute().parent, *search_roots(root))]
    for candidate in candidates:
        if candidate.exists() or _is_pattern(candidate):
            return _relative(Path(os.path.normpath(candidate)), root), ""
    return "", f"there is no file '{written}'"


def _is_pattern(path: Path) -> bool:
    return any(c in path.name for c in "*?[") and any(path.parent.glob(path.name))


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def nearest_file(written: str, wrote_it: Path, root: Path) -> str:
    """A hint for a file that is not there."""
    for base in (wrote_it.absolute().parent, root):
        folder = (base / written).parent
        if folder.is_dir():
            hint = nearest(Path(written).name, [p.name for p in folder.iterdir()])
            if hint:
                return hint
    return f"looked beside {wrote_it.name} and in {root.name}/"
