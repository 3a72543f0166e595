"""What lies in a layer's folder: its index, what it says of each file, and whether that is still true."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.digest import file_digest
from factory.engine.filesystem import write_json
from factory.plan.model import Keeps, Recipe
from factory.plan.resources import MEMORY
from factory.quantity import Size

LAYER_FORMAT = 1
INDEX = "layer.json"
RECIPE = "recipe.json"
_WORDS = {"qemu": "QEMU", "machine_type": "the machine type", "host_cpu": "the host's CPU", "cpu": "the CPU model",
          "cpus": "a number of CPUs of", "devices": "the devices of version"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """A stored machine state. ``machine`` says what its memory (if any) is bound to."""

    key: str
    path: Path
    phase: str
    keeps: Keeps
    parent: str
    created: float
    size: Size
    machine: Mapping[str, str]
    template: str = ""
    """Of the build that stored it; others may use it too."""
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name → ``size``, ``sha256`` and ``stamp`` (size, mtime, inode) when it was stored."""

    @property
    def memory(self) -> Path | None:
        return self.path / MEMORY if self.keeps is Keeps.MEMORY else None

    @property
    def index(self) -> Path:
        return self.path / INDEX


def read_layer(path: Path) -> Layer | None:
    """The layer in folder *path*; None when there is none that this version can read."""
    try:
        data: dict[str, Any] = json.loads((path / INDEX).read_text())
        if data["format"] != LAYER_FORMAT or data["key"] != path.name:
            return None
        size = Size(sum(f["size"] for f in data["files"].values()))
        return Layer(
            data["key"], path, data["phase"], Keeps(data["keeps"]), data["parent"], data["created"], size,
            data["machine"], data.get("template", ""), data["files"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_recipe(path: Path) -> Recipe | None:
    try:
        data = json.loads((path / RECIPE).read_text())
        return Recipe(data["counts"], data["labels"], data.get("texts", {}))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_index(folder: Path, about: Mapping[str, Any], recipe: Recipe) -> None:
    """Describes all files of *folder*, makes them private, and writes recipe and index. Hashes everything."""
    write_json(folder / RECIPE, recipe.to_json())
    paths = [p for p in sorted(folder.rglob("*")) if not p.is_symlink()]
    for path in paths:
        path.chmod(0o700 if path.is_dir() else 0o600)
    files = {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size, "sha256": file_digest(path), "stamp": _stamp(path),
        }
        for path in paths
        if path.is_file()
    }  # fmt: skip
    write_json(folder / INDEX, {"format": LAYER_FORMAT, **about, "files": files})


def is_undamaged(layer: Layer, remembered: Path) -> bool:
    """True when every file is as it was stored.

    A file whose size, mtime and inode are as in the index, or as *remembered* (a file beside the layers), is taken as
    unchanged; any other is hashed, and remembered when its content is right: a store that was copied is read once.
    """
    seen, hashed = _remembered(remembered), False
    for name, entry in layer.files.items():
        path = layer.path / name
        try:
            stamp = _stamp(path)
            if stamp in (entry["stamp"], seen.get(name)):
                continue
            if stamp[0] != entry["size"] or file_digest(path) != entry["sha256"]:
                return False
        except OSError:
            return False
        seen[name], hashed = stamp, True
    if hashed:
        try:
            write_json(remembered, seen)
        except OSError:
            return True  # a store that can't be written is read again the next time
    return True


def is_whole(layer: Layer) -> bool:
    """True when every file of *layer* still has its digest. Reads it all."""
    try:
        return all(file_digest(layer.path / name) == entry["sha256"] for name, entry in layer.files.items())
    except OSError:
        return False


def why_unusable(layer: Layer, wanted: Mapping[str, str]) -> str:
    """Why *layer*'s memory can't be resumed in a machine with the fingerprint *wanted*; empty when it can.

    Powered-off layers always can.
    """
    if layer.keeps is not Keeps.MEMORY:
        return ""
    for name in (*layer.machine, *(n for n in wanted if n not in layer.machine)):
        ours, its = wanted.get(name, ""), layer.machine.get(name, "")
        if ours != its:
            what = _WORDS.get(name, name)
            return f"its memory is bound to {what} {its or '(unknown)'}, and the machine has {ours or 'none'} now"
    return ""


def size_on_disk(path: Path) -> int:
    """Bytes that a folder really takes; what vanishes meanwhile does not count."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in (".", *names):
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return total


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _remembered(path: Path) -> dict[str, list[int]]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
