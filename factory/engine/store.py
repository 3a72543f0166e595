"""The layer store: what a machine was after a phase, named by the phase's key.

Layout below the cache folder (folders 0700, files 0600: a layer holds keys and, if live, the machine's memory)::

    layers/<key>/            a layer; appears by rename, is never changed afterwards
        layer.json           what it is, with size, digest and stamp of each file; its mtime says when it was used last
        recipe.json          what its key is made of, to say why something runs again
        disk-<id>.qcow2      overlay on ../<parent key>/disk-<id>.qcow2
        uefi-variables.fd, tpm/, build.json, memory
    layers/.draft-<key>-<pid>-<random>/    one that is being made; whoever finds it unlocked may remove it
    locks/<key>.lock         held while a layer is made
    checked/<key>.json       stamps of files that were found right although their date had changed
    checked/<key>.damaged    a layer whose digests were found wrong although its dates are right: bits rot without one
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
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from factory.deadline import Deadline, poll
from factory.engine.filesystem import (
    fsync_path,
    make_folder,
    remove_anything,
    remove_temporaries,
    rename_durably,
    store_errors,
    write_json,
    write_text,
)
from factory.engine.layer_index import Layer, is_undamaged, is_whole, read_layer, read_recipe, write_index
from factory.engine.locks import is_locked, locked, try_lock
from factory.errors import StoreError
from factory.plan.model import Keeps, Recipe
from factory.quantity import Duration

WAIT_FOR_OTHER_BUILD = Duration(6 * 3600)
_SALT_BYTES = 32

__all__ = ["Draft", "Layer", "LayerGone", "LayerInUse", "LayerStore"]


class LayerInUse(StoreError):
    """A build holds it."""


class LayerGone(StoreError):
    """Somebody has removed the layer since it was looked up: look again."""


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
        self.locks, self.names, self.checked = root / "locks", root / "names", root / "checked"
        with store_errors(root):
            if not self.layers.exists():  # a new store, whoever made the folder: host facts come first
                _make_private(root)
            for folder in (self.layers, self.locks, self.names, self.checked):
                _make_private(folder)

    @property
    def salt(self) -> bytes:
        """This store's own random 32 bytes."""
        path = self.root / "salt"
        with store_errors(self.root):
            known = _read_salt(path)
            if known:
                return known
            fresh = self.root / f".salt.{os.getpid()}-{secrets.token_hex(4)}.tmp"
            write_text(fresh, secrets.token_hex(_SALT_BYTES))
            try:
                if path.exists():
                    fresh.replace(path)  # one that can't be read
                else:
                    with suppress(FileExistsError):  # another process was faster: its salt holds
                        os.link(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)
            return _read_salt(path) or self.salt

    # --- reading ---------------------------------------------------------------------------------------------------

    def find(self, key: str) -> Layer | None:
        """The layer named *key*, when it is whole, undamaged, and so are all those it builds on."""
        layer = self._read(key)
        if layer is None or self.is_condemned(layer) or not is_undamaged(layer, self.checked / f"{key}.json"):
            return None
        if layer.parent and self.find(layer.parent) is None:
            return None
        return layer

    def all(self) -> tuple[Layer, ...]:
        """Every readable layer, the most recently used last."""
        keys = (p.name for p in self.layers.iterdir() if not p.name.startswith("."))
        found = [layer for key in keys if (layer := self._read(key))]
        return tuple(sorted(found, key=self.last_used))

    def has_folder(self, key: str) -> bool:
        """True where ``find`` could find something: when it does not, that is damaged."""
        return (self.layers / key).is_dir()

    def unreadable(self) -> tuple[Path, ...]:
        """Folders that should be layers and are none: damaged, or of another version of factory."""
        folders = sorted(p for p in self.layers.iterdir() if not p.name.startswith("."))
        return tuple(p for p in folders if self._read(p.name) is None)

    def recipe(self, key: str) -> Recipe | None:
        return read_recipe(self.layers / key) if key else None

    def last_used(self, layer: Layer) -> float:
        """Seconds since the epoch, as the clock was then; good for an order, see ``touch``."""
        try:
            return layer.index.stat().st_mtime
        except OSError:
            return 0.0

    def touch(self, layer: Layer) -> None:
        """Marks *layer* and its parents as used now.

        A moment is never earlier than one that was written before, so that the order of use stays right when the clock
        is set back. (Not the access time: that changes when somebody merely reads.)
        """
        newest = max((self.last_used(other) for other in self.all()), default=0.0)
        now = max(time.time(), newest + 0.001)
        for member in self.ancestry(layer):
            try:
                os.utime(member.index, (now, now))
            except OSError:
                return  # a read-only store can still be read

    def ancestry(self, layer: Layer) -> Iterator[Layer]:
        """*layer*, its parent, its parent's parent, …"""
        current: Layer | None = layer
        while current:
            yield current
            current = self._read(current.parent) if current.parent else None

    @contextmanager
    def hold(self, layer: Layer) -> Iterator[None]:
        """Keeps *layer* and its parents from being removed while the body runs (shared locks on their indexes).

        Raises: LayerGone when one of them was removed before the lock was there.
        """
        with ExitStack() as stack:
            for member in self.ancestry(layer):
                descriptor = _lock_index(member, fcntl.LOCK_SH)
                if descriptor is None:
                    raise LayerGone(f"the layer {member.key[:12]} was removed meanwhile", hint="build again")
                stack.callback(os.close, descriptor)
            yield

    def in_use(self, layer: Layer) -> bool:
        """True while a build holds it."""
        try:
            descriptor = _lock_index(layer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        if descriptor is not None:
            os.close(descriptor)
        return False

    def verify(self, layer: Layer) -> bool:
        """True when every file of *layer* still has its digest. Reads it all; what is damaged is not found any more.

        Of a layer that is removed meanwhile nothing is damaged.
        """
        whole = is_whole(layer)
        if not whole and ((now := self._read(layer.key)) is None or now.created != layer.created):
            return True
        with suppress(OSError):  # of a store that can't be written it is told, at least
            if whole:
                self._condemned(layer.key).unlink(missing_ok=True)
            else:
                write_json(self._condemned(layer.key), {"created": layer.created})
        return whole

    def is_condemned(self, layer: Layer) -> bool:
        """True when ``verify`` has found this very layer damaged, not one that had its key before."""
        try:
            return bool(json.loads(self._condemned(layer.key).read_text()) == {"created": layer.created})
        except (OSError, ValueError):
            return False

    def newest_keys(self, template: str) -> dict[str, str]:
        """Phase → key of the newest build of *template* here."""
        try:
            data = json.loads((self.names / f"{template}.json").read_text())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    # --- writing ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def draft(self, key: str, *, waiting: Callable[[], None]) -> AsyncIterator[Draft]:
        """A folder for a new layer, under the lock of its key; what is not committed is removed.

        *waiting* is called when another build is making the same layer: look it up afterwards, it may be there.
        """
        self.sweep()
        deadline = Deadline.after(WAIT_FOR_OTHER_BUILD, "another build that makes the same layer")
        lock = self.locks / f"{key}.lock"
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
        about = {
            "key": draft.key, "phase": phase, "keeps": keeps.value, "parent": parent, "created": time.time(),
            "machine": dict(machine), "template": template,
        }  # fmt: skip
        with store_errors(self.root):
            write_index(draft.path, about, recipe)
            destination = self.layers / draft.key
            # Damaged, built afresh, or taken away by hand: what stands on the old one has lost its ground.
            self.remove(draft.key)
            rename_durably(draft.path, destination)
            write_json(self.names / f"{template}.json", {**self.newest_keys(template), phase: draft.key})
        layer = self._read(draft.key)
        if layer is None:
            raise StoreError(f"the layer {draft.key[:12]} vanished while it was stored", hint="is the cache shared?")
        return layer

    async def vacate(self, key: str, *, waiting: Callable[[], None]) -> None:
        """Waits until no build uses the layers in whose place a new one is to come, and removes them.

        *waiting* is called once when there is something to wait for.
        """
        if not (self.layers / key).exists():
            return
        told: list[bool] = []

        async def attempt() -> bool | None:
            try:
                self.remove(key)
            except LayerInUse:
                if not told:
                    told.append(True)
                    waiting()
                return None
            return True

        deadline = Deadline.after(WAIT_FOR_OTHER_BUILD, "the build that uses the layer to be replaced")
        await poll(attempt, deadline, every=Duration(0.5))

    def remove(self, key: str) -> None:
        """Removes a layer and every layer that stands on it, by rename first, so that nobody sees half of one.

        Overwrites nothing: what was secret in it may be read from the bare disk until the space is used again.
        Raises: LayerInUse; then all of them are still there.
        """
        with store_errors(self.root):
            with ExitStack() as stack:
                doomed = self._with_descendants(key)
                for layer in doomed:
                    try:
                        descriptor = _lock_index(layer, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        raise LayerInUse(
                            f"the layer {layer.key[:12]} (after {layer.phase}) is in use by a running build",
                            hint="wait for that build, or end it, and try again",
                        ) from None
                    if descriptor is not None:
                        stack.callback(os.close, descriptor)
                # *key* once more: also when its index can't be read.
                names = [*(layer.key for layer in reversed(doomed)), key]
                aside = {name: path for name in names if (path := self._set_aside(self.layers / name))}
                fsync_path(self.layers)
            for name, path in aside.items():
                remove_anything(path)
                for known in (self.checked / f"{name}.json", self._condemned(name)):
                    known.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes drafts whose makers are gone, and temporary files of killed processes."""
        with suppress(OSError):  # a read-only store has none that matter
            for path in self.layers.glob(".*"):
                key = path.name.removeprefix(".draft-").split("-")[0]
                if not is_locked(self.locks / f"{key}.lock"):
                    remove_anything(path)
            for folder in (self.root, self.names, self.checked):
                remove_temporaries(folder)

    def remove_unused_locks(self) -> None:
        """Removes the lock files of layers that are neither there nor being made."""
        for path in self.locks.glob("*.lock"):
            if (self.layers / path.stem).exists():
                continue
            descriptor = try_lock(path)
            if descriptor is not None:
                path.unlink(missing_ok=True)  # whoever has it open sees that it is no longer the same file
                os.close(descriptor)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _condemned(self, key: str) -> Path:
        return self.checked / f"{key}.damaged"

    def _read(self, key: str) -> Layer | None:
        return read_layer(self.layers / key)

    def _with_descendants(self, key: str) -> list[Layer]:
        """The layer and all that stand on it, parents first."""
        layers = self.all()
        found = [layer for layer in layers if layer.key == key]
        keys = {key}
        while more := [x for x in layers if x.parent in keys and x.key not in keys]:
            found += more
            keys |= {x.key for x in more}
        return found

    def _set_aside(self, path: Path) -> Path | None:
        aside = self.layers / f".draft-{path.name}-removed-{secrets.token_hex(4)}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return None
        return aside


def _lock_index(layer: Layer, operation: int) -> int | None:
    """Locks *layer*'s index and returns the descriptor; None when the layer is gone. Raises: BlockingIOError."""
    try:
        descriptor = os.open(layer.index, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, operation)
        if os.path.samestat(os.fstat(descriptor), layer.index.stat()):
            return descriptor
    except FileNotFoundError:  # it was set aside between the opening and the lock
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _make_private(folder: Path) -> None:
    """Makes a folder that is this user's alone. Raises: OSError, StoreError."""
    make_folder(folder)
    status = folder.stat()
    if status.st_mode & 0o077 and status.st_uid == os.geteuid():
        folder.chmod(0o700)


def _read_salt(path: Path) -> bytes:
    """Empty when there is none, or only what a power cut has left of one."""
    try:
        value = bytes.fromhex(path.read_text().strip())
    except (FileNotFoundError, ValueError):
        return b""
    return value if len(value) == _SALT_BYTES else b""
