"""The layer store: what a machine was after a phase, named by the phase's key.

Layout below the cache folder (folders 0700, files 0600: a layer holds keys and, if live, the machine's memory)::

    layers/<key>/            a layer; appears by rename, is never changed afterwards
        layer.json           what it is, with size, digest and stamp of each file
        recipe.json          what its key is made of, to say why something runs again
        disk-<id>.qcow2      overlay on ../<parent key>/disk-<id>.qcow2
        uefi-variables.fd, tpm/, build.json, memory
    layers/.draft-<key>-<pid>-<random>/    one that is being made; whoever finds it unlocked may remove it
    locks/<key>.lock         held while a layer is made
    names/<template>.json    the newest key of each phase of a template
    salt                     makes digests of secrets useless elsewhere

A file is checked by its stamp (size, mtime, inode) on each use, and by its digest when the stamp differs.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.digest import file_digest
from factory.engine.filesystem import fsync_path, rename_durably, store_errors, write_json
from factory.engine.locks import is_locked, locked
from factory.errors import StoreError
from factory.plan.model import Keeps, Recipe
from factory.quantity import Duration, Size

LAYER_FORMAT = 1
WAIT_FOR_OTHER_BUILD = Duration(6 * 3600)


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

    @property
    def memory(self) -> Path | None:
        return self.path / "memory" if self.keeps is Keeps.MEMORY else None


@dataclass(frozen=True, slots=True)
class Draft:
    """A layer in the making: ``path`` is its folder, beside the finished ones so that relative names stay true."""

    key: str
    path: Path


class LayerStore:
    """Raises ``StoreError`` for everything that a disk can do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layers = root / "layers"
        with store_errors(root):
            for folder in (root, self.layers, root / "locks", root / "names"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def salt(self) -> bytes:
        """This store's own random 32 bytes."""
        path = self.root / "salt"
        with store_errors(self.root):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return bytes.fromhex(path.read_text().strip())
            with os.fdopen(descriptor, "w") as stream:
                value = secrets.token_bytes(32)
                stream.write(value.hex())
            return value

    # --- reading ---------------------------------------------------------------------------------------------------

    def find(self, key: str) -> Layer | None:
        """The layer named *key*, when it is whole, undamaged, and so are all those it builds on."""
        layer = self._read(key)
        if layer is None or not self._undamaged(layer):
            return None
        if layer.parent and self.find(layer.parent) is None:
            return None
        return layer

    def all(self) -> tuple[Layer, ...]:
        """Every readable layer, the most recently used last."""
        keys = (p.name for p in self.layers.iterdir() if not p.name.startswith("."))
        found = [layer for key in keys if (layer := self._read(key))]
        return tuple(sorted(found, key=lambda layer: self.last_used(layer)))

    def recipe(self, key: str) -> Recipe | None:
        try:
            data = json.loads((self.layers / key / "recipe.json").read_text())
            return Recipe(data["counts"], data["labels"])
        except (OSError, ValueError, KeyError):
            return None

    def last_used(self, layer: Layer) -> float:
        try:
            return (layer.path / "layer.json").stat().st_atime
        except OSError:
            return 0.0

    def touch(self, layer: Layer) -> None:
        """Marks *layer* and its parents as used now (the access time of ``layer.json``)."""
        current: Layer | None = layer
        while current:
            index = current.path / "layer.json"
            try:
                os.utime(index, (time.time(), index.stat().st_mtime))
            except OSError:
                return  # a read-only store can still be read
            current = self._read(current.parent) if current.parent else None

    @contextmanager
    def hold(self, layer: Layer) -> Iterator[None]:
        """Keeps *layer* and its parents from being removed while the body runs (shared locks on their indexes)."""
        with ExitStack() as stack:
            current: Layer | None = layer
            while current:
                descriptor = os.open(current.path / "layer.json", os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                current = self._read(current.parent) if current.parent else None
            yield

    def in_use(self, layer: Layer) -> bool:
        """True while a build holds it."""
        try:
            descriptor = os.open(layer.path / "layer.json", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def verify(self, layer: Layer) -> bool:
        """True when every file of *layer* still has its digest. Reads it all."""
        files = json.loads((layer.path / "layer.json").read_text())["files"]
        try:
            return all(file_digest(layer.path / name) == entry["sha256"] for name, entry in files.items())
        except OSError:
            return False

    def newest_keys(self, template: str) -> dict[str, str]:
        """Phase → key of the newest build of *template* here."""
        try:
            data: dict[str, str] = json.loads((self.root / "names" / f"{template}.json").read_text())
            return data
        except (OSError, ValueError):
            return {}

    # --- writing ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def draft(self, key: str, *, waiting: Callable[[], None]) -> AsyncIterator[Draft]:
        """A folder for a new layer, under the lock of its key; what is not committed is removed.

        *waiting* is called when another build is making the same layer: look it up afterwards, it may be there.
        """
        self.sweep()
        deadline = Deadline.after(WAIT_FOR_OTHER_BUILD, "another build that makes the same layer")
        lock = self.root / "locks" / f"{key}.lock"
        path = self.layers / f".draft-{key}-{os.getpid()}-{secrets.token_hex(4)}"
        with store_errors(self.root):
            async with locked(lock, deadline, waiting=waiting):
                path.mkdir(mode=0o700)
                try:
                    yield Draft(key, path)
                finally:
                    if path.exists():
                        shutil.rmtree(path, ignore_errors=True)

    def commit(
        self, draft: Draft, *, phase: str, template: str, keeps: Keeps, parent: str, recipe: Recipe,
        machine: Mapping[str, str],
    ) -> Layer:  # fmt: skip
        """Makes *draft* a layer: index, fsync, rename. Blocks for as long as hashing takes: call it in a thread."""
        with store_errors(self.root):
            files = {
                p.relative_to(draft.path).as_posix(): _index_entry(p)
                for p in sorted(draft.path.rglob("*"))
                if p.is_file() and not p.is_symlink()
            }
            for path in draft.path.rglob("*"):
                path.chmod(0o700 if path.is_dir() else 0o600)
            write_json(draft.path / "recipe.json", recipe.to_json())
            write_json(
                draft.path / "layer.json",
                {
                    "format": LAYER_FORMAT, "key": draft.key, "phase": phase, "keeps": keeps.value, "parent": parent,
                    "created": time.time(), "machine": dict(machine), "files": files,
                },
            )  # fmt: skip
            destination = self.layers / draft.key
            if destination.exists():  # damaged, or built afresh: what stands on the old one has lost its ground
                self.remove(draft.key)
            rename_durably(draft.path, destination)
            self._remember(template, phase, draft.key)
        layer = self._read(draft.key)
        if layer is None:
            raise StoreError(f"the layer {draft.key[:12]} vanished while it was stored", hint="is the cache shared?")
        return layer

    def remove(self, key: str) -> None:
        """Removes a layer and every layer that stands on it, by rename first, so that nobody sees half of one.

        Overwrites nothing: what was secret in it may be read from the bare disk until the space is used again.
        """
        with store_errors(self.root):
            layer = self._read(key)
            if layer and self.in_use(layer):
                raise StoreError(
                    f"the layer {key[:12]} (after {layer.phase}) is in use by a running build",
                    hint="wait for that build, or end it, and try again",
                )
            for other in self.all():
                if other.parent == key:
                    self.remove(other.key)
            self._set_aside(self.layers / key)

    def sweep(self) -> None:
        """Removes drafts whose makers are gone."""
        for path in self.layers.glob(".*"):
            key = path.name.removeprefix(".draft-").split("-")[0]
            if not is_locked(self.root / "locks" / f"{key}.lock"):
                shutil.rmtree(path, ignore_errors=True)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _read(self, key: str) -> Layer | None:
        path = self.layers / key
        try:
            data: dict[str, Any] = json.loads((path / "layer.json").read_text())
            if data["format"] != LAYER_FORMAT or data["key"] != key:
                return None
            size = Size(sum(f["size"] for f in data["files"].values()))
            return Layer(
                key, path, data["phase"], Keeps(data["keeps"]), data["parent"], data["created"], size, data["machine"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _undamaged(self, layer: Layer) -> bool:
        files: dict[str, dict[str, Any]] = json.loads((layer.path / "layer.json").read_text())["files"]
        for name, entry in files.items():
            path = layer.path / name
            try:
                stat = path.stat()
                if [stat.st_size, stat.st_mtime_ns, stat.st_ino] == entry["stamp"]:
                    continue
                if stat.st_size != entry["size"] or file_digest(path) != entry["sha256"]:
                    return False
            except OSError:
                return False
        return True

    def _set_aside(self, path: Path) -> None:
        if not path.exists():
            return
        aside = self.layers / f".draft-{path.name}-removed-{secrets.token_hex(4)}"
        path.rename(aside)
        fsync_path(self.layers)
        shutil.rmtree(aside, ignore_errors=True)

    def _remember(self, template: str, phase: str, key: str) -> None:
        keys = self.newest_keys(template)
        keys[phase] = key
        write_json(self.root / "names" / f"{template}.json", keys)


def _index_entry(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {
        "size": stat.st_size,
        "sha256": file_digest(path),
        "stamp": [stat.st_size, stat.st_mtime_ns, stat.st_ino],
    }
