"""Media of a template: downloaded, local, or built by a script, always by content.

A file that a script builds is called as ``SCRIPT OUTPUT_FILE`` in the project's folder and is stored under the digest
of the script, its environment and its declared inputs; a second build with the same inputs finds it there.
"""

from __future__ import annotations

import asyncio
import glob
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.digest import digest_of, file_digest, tree_digest
from factory.drivers.protocols import Downloader, Programs
from factory.engine.filesystem import disk_full, fsync_path, remove_anything, store_errors, write_text
from factory.engine.locks import locked
from factory.errors import CommandFailed, StepError, StoreError, TemplateError
from factory.events import Emit, Note
from factory.plan.resources import Media
from factory.quantity import Size
from factory.template.late import render_late
from factory.template.model import BuiltFile, IsoSource, Text

_BUILD_VERSION = 1
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
"""What the C library calls ENOSPC and EDQUOT; programs of ours run without translations."""
_LOG_TAIL = Size(64 * 1024)


class Library:
    """Implements ``steps.fetch_media.MediaLibrary``.

    Args:
        store: folder for built files (and the downloader's own).
        root: the project; scripts run there.
        log_dir: takes what scripts print.
    """

    def __init__(self, store: Path, root: Path, log_dir: Path, programs: Programs, downloads: Downloader) -> None:
        self._store, self._root, self._log_dir = store, root, log_dir
        self._programs, self._downloads = programs, downloads

    async def fetch(self, source: IsoSource, *, emit: Emit) -> Media:
        if source.build:
            return await self.build(source.build, emit=emit)
        checksum = _plain(source.checksum) if source.checksum else "none"
        if source.path:
            path, digest = await self._downloads.local(_local(source.path, self._root), checksum, emit=emit)
        else:
            path, digest = await self._downloads.fetch(_urls(source), checksum, emit=emit)
        return Media(path, digest)

    async def build(self, built: BuiltFile, *, emit: Emit) -> Media:
        """Raises: CommandFailed with the script's last words; StepError when it made nothing; StoreError when
        a disk is full."""
        identity = await asyncio.to_thread(build_identity, built, self._root)
        folder = self._store / "built"
        path = folder / f"{Path(built.script).name}-{identity}"
        marker = _marker(path)
        deadline = Deadline.after(built.timeout, f"{built.script} to make its file")
        with store_errors(self._store):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = folder / f"{identity}.lock"
            async with locked(lock, deadline, waiting=lambda: emit(Note(f"{built.script} runs already: waiting"))):
                if not _digest_in(marker) or not path.exists():
                    await self._run(built, identity, path, deadline, emit)
            return Media(path, _digest_in(marker))

    async def _run(self, built: BuiltFile, identity: str, path: Path, deadline: Deadline, emit: Emit) -> None:
        _remove(path.parent.glob(f".{glob.escape(path.name)}.*"))  # of a build that was killed: we hold the lock
        draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(2)}")
        script = _local(built.script, self._root)
        log = self._log_dir / f"{script.name}.log"
        try:
            await self._programs.run(
                [str(script), str(draft)],
                deadline=deadline,
                emit=emit,
                cwd=self._root,
                env={name: _plain(value) for name, value in built.env.items()},
                log=log,
            )
            if not draft.is_file():
                raise StepError(
                    f"{built.script} ended well but made no file",
                    hint="it is called as SCRIPT OUTPUT_FILE and must write that file",
                )
            if await asyncio.to_thread(build_identity, built, self._root) != identity:
                raise StepError(
                    f"{built.script}, or what it reads, changed while it made its file", hint="run the command again"
                )
            digest = await asyncio.to_thread(file_digest, draft)
            fsync_path(draft)
            draft.rename(path)
            write_text(_marker(path), digest + "\n")
        except CommandFailed as error:
            full = await asyncio.to_thread(_out_of_space, built, path.parent, error, log)
            if full is None:
                raise
            raise full from error
        finally:
            # Also what the script made beside it to rename at its end: on a full disk that is what fills it.
            _remove(path.parent.glob(f"{glob.escape(draft.name)}*"))

    async def build_identity(self, built: BuiltFile) -> str:
        """What names a built file's content. Raises: TemplateError."""
        return await asyncio.to_thread(build_identity, built, self._root)

    async def identity(self, source: IsoSource) -> str:
        """What names the source's content in a key, without fetching or building it."""
        if source.build:
            return "built:" + await asyncio.to_thread(build_identity, source.build, self._root)
        checksum = _plain(source.checksum) if source.checksum else "none"
        if source.path:
            _, digest = await self._downloads.local(_local(source.path, self._root), checksum, emit=lambda event: None)
            return f"sha256:{digest}"
        return await self._downloads.identity(_urls(source), checksum)


def build_identity(built: BuiltFile, root: Path) -> str:
    """Digest of everything that a built file is made of, as far as it is declared. Raises: TemplateError."""
    parts: dict[str, Any] = {"version": _BUILD_VERSION, "env": _env(built.env)}
    try:
        parts["script"] = file_digest(_local(built.script, root))
        parts["inputs"] = [tree_digest(_local(name, root)) for name in built.inputs]
    except OSError as error:
        raise TemplateError(
            f"can't read {error.filename}, which a file is to be built from: {error.strerror}",
            hint="name scripts and inputs relative to the template or to the project's folder",
        ) from error
    return digest_of(parts)


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        remove_anything(path)


def _out_of_space(built: BuiltFile, folder: Path, error: CommandFailed, log: Path) -> StoreError | None:
    """What *error* is when the script said that a disk is full: which one, its own words say."""
    printed = error.evidence.stderr
    with suppress(OSError), log.open("rb") as stream:  # programs say it on either of their outputs
        stream.seek(max(0, log.stat().st_size - _LOG_TAIL))
        printed += "\n" + stream.read().decode(errors="replace")
    said = next((line.strip() for line in printed.splitlines() if _FULL.search(line)), "")
    if not said:
        return None
    full = disk_full(folder)
    message = f"{built.script} has no space left for its file: {said}"
    return StoreError(message, hint=f"{full.message}: {full.hint}", evidence=error.evidence)


def _marker(path: Path) -> Path:
    """What says that *path* is whole: it holds its SHA-256."""
    return path.with_name(path.name + ".sha256")


def _digest_in(marker: Path) -> str:
    """Empty when there is none, or only what a power cut has left of one."""
    try:
        text = marker.read_text().strip()
    except OSError:
        return ""
    return text if len(text) == 64 else ""


def _env(env: Mapping[str, Text]) -> dict[str, str]:
    return {name: _plain(value) for name, value in env.items()}


def _local(name: Text, root: Path) -> Path:
    path = Path(_plain(name)).expanduser()
    return path if path.is_absolute() else root / path


def _urls(source: IsoSource) -> list[str]:
    return [_plain(u) for u in ([source.url] if source.url else []) + list(source.urls)]


def _plain(text: Text) -> str:
    """Media are fetched before anything runs: late names have no value yet, and saying so is an error with a place."""
    return render_late(text, {})
