"""The run directory: journal, logs and evidence of one build, and who runs it.

``run.json`` names the process by pid *and* start time, so that ``factory clean`` ends what a dead run left and never a
stranger who got the same number. The lock says whether the run is alive.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factory.engine.filesystem import store_errors, write_json
from factory.engine.locks import is_locked, try_lock
from factory.errors import StoreError


@dataclass(frozen=True, slots=True)
class Run:
    """``path`` is kept, ``runtime`` (a short path, for sockets) is removed with the build."""

    id: str
    path: Path
    runtime: Path


@contextmanager
def open_run(root: Path, name: str) -> Iterator[Run]:
    """Makes a run directory below *root* (0700). Raises: StoreError."""
    identifier = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{secrets.token_hex(2)}"
    with store_errors(root):
        path = root / identifier
        path.mkdir(parents=True, mode=0o700)
        runtime = Path(tempfile.mkdtemp(prefix="factory-"))
    lock = try_lock(path / "lock")
    if lock is None:
        raise StoreError(f"somebody holds the lock of the new run {path}", hint="run it again")
    try:
        write_json(
            path / "run.json",
            {"id": identifier, "template": name, "pid": os.getpid(), "started": start_time(os.getpid()),
             "runtime": str(runtime)},
        )  # fmt: skip
        yield Run(identifier, path, runtime)
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
        os.close(lock)


def runs(root: Path) -> tuple[Path, ...]:
    """Every run directory, the oldest first."""
    return tuple(sorted(p for p in root.glob("*/") if (p / "run.json").exists())) if root.exists() else ()


def is_alive(run: Path) -> bool:
    return is_locked(run / "lock")


def clean(root: Path) -> tuple[str, ...]:
    """Removes what dead runs left outside their directories. Returns what was removed, in words."""
    removed = []
    for run in runs(root):
        if is_alive(run):
            continue
        try:
            runtime = Path(json.loads((run / "run.json").read_text())["runtime"])
        except (OSError, ValueError, KeyError):
            continue
        if runtime.exists() and runtime.name.startswith("factory-"):
            shutil.rmtree(runtime, ignore_errors=True)
            removed.append(f"sockets of {run.name}")
    return tuple(removed)


def start_time(pid: int) -> int:
    """Clock ticks since boot at which *pid* started (field 22 of proc(5) stat); 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0
