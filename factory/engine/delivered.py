"""Is an artifact still what the plan would make? Answered in milliseconds for what has not been touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from factory.digest import file_digest
from factory.engine.filesystem import write_json

MANIFEST = "manifest.json"


def is_current(artifact: Path, key: str, stamps: Path) -> bool:
    """True when *artifact* was made by the plan *key* and every file of its manifest is there, whole and unchanged.

    A file whose size, mtime and inode are as remembered in *stamps* is taken as unchanged; any other is hashed.
    """
    manifest = read_manifest(artifact)
    if manifest is None or manifest.get("key") != key:
        return False
    remembered = _read(stamps)
    for entry in manifest.get("files", ()):
        path = artifact / entry["path"]
        try:
            stat = path.stat()
            if remembered.get(str(path)) == [stat.st_size, stat.st_mtime_ns, stat.st_ino, entry["sha256"]]:
                continue
            if stat.st_size != entry["size"] or file_digest(path) != entry["sha256"]:
                return False
        except OSError:
            return False
    remember(artifact, stamps)
    return True


def remember(artifact: Path, stamps: Path) -> None:
    """Notes how the files look now, for the next ``is_current``. A store that can't be written is no error here."""
    manifest = read_manifest(artifact) or {}
    seen: dict[str, Any] = {}
    try:
        for entry in manifest.get("files", ()):
            path = artifact / entry["path"]
            stat = path.stat()
            seen[str(path)] = [stat.st_size, stat.st_mtime_ns, stat.st_ino, entry["sha256"]]
        if _read(stamps) != seen:
            write_json(stamps, seen)
    except OSError:
        return


def read_manifest(artifact: Path) -> dict[str, Any] | None:
    """The manifest of a delivered folder, None when there is none that can be read."""
    found = _read(artifact / MANIFEST)
    return found if found and _tells_of_files(found) else None


def _tells_of_files(manifest: dict[str, Any]) -> bool:
    """Whether it names its files as ours do: what lies in the output folder may be anybody's."""
    files = manifest.get("files", [])
    if not isinstance(files, list) or not all(isinstance(entry, dict) for entry in files):
        return False
    paths = [entry.get("path") for entry in files]
    known = all(isinstance(entry.get("size"), int) and isinstance(entry.get("sha256"), str) for entry in files)
    return known and all(isinstance(p, str) and p and p[0] != "/" and ".." not in p.split("/") for p in paths)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
