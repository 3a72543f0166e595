"""The run directory: journal, logs and evidence of one build, and who runs it.

``run.json`` names the process by pid *and* start time, so that ``factory clean`` ends what a dead run left and never a
stranger who got the same number. The lock says whether the run is alive.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from factory.engine.filesystem import make_folder, store_errors, write_json
from factory.engine.locks import is_locked, try_lock
from factory.errors import StoreError
from factory.events import CommandStarted, Stamped
from factory.log_files import open_text_log

RUN, PROCESSES, CLEANED = "run.json", "processes.jsonl", "cleaned"
RUNTIME_PREFIX = "factory-"
SCRATCH = ".scratch"
"""A folder, anywhere in a run directory, that goes when the run ends: a verifier's key and the disks it unpacks."""


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
    path = root / identifier
    runtime = Path(tempfile.gettempdir(), f"{RUNTIME_PREFIX}{secrets.token_hex(5)}")
    with store_errors(root):
        make_folder(root)
        path.mkdir(mode=0o700)
        lock = try_lock(path / "lock")
        if lock is None:
            raise StoreError(f"somebody holds the lock of the new run {path}", hint="run it again")
        try:
            # Said before it is made: whoever is killed in between leaves nothing that nobody knows of.
            write_json(
                path / RUN,
                {"id": identifier, "template": name, "pid": os.getpid(), "started": start_time(os.getpid()),
                 "boot": boot_id(), "runtime": str(runtime)},
            )  # fmt: skip
            runtime.mkdir(mode=0o700)
        except BaseException:
            os.close(lock)
            raise
    try:
        yield Run(identifier, path, runtime)
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
        _clean(path)  # as a rule nothing is left, and nobody needs to look again
        os.close(lock)


class ProcessRecord:
    """An event subscriber that notes every process of a run, with its start time, in ``processes.jsonl``."""

    def __init__(self, run: Run) -> None:
        self._stream: IO[str] = open_text_log(run.path / PROCESSES)

    def __call__(self, stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, CommandStarted):
            line = {"pid": event.pid, "started": start_time(event.pid), "command": event.command.split(" ")[0]}
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def runs(root: Path) -> tuple[Path, ...]:
    """Every run directory, the oldest first."""
    return tuple(sorted(p for p in root.glob("*/") if (p / RUN).exists())) if root.exists() else ()


def is_alive(run: Path) -> bool:
    return is_locked(run / "lock")


def clean(root: Path) -> tuple[str, ...]:
    """Ends what dead runs have left running and removes what they left outside their directories.

    A process is ended only when a process with its number *and* its start time is there, in the same boot of this
    computer. Returns what was done, in words.
    """
    done = []
    for run in runs(root):
        if (run / CLEANED).exists() or is_alive(run):
            continue
        done += _clean(run)
    return tuple(done)


def _clean(run: Path) -> list[str]:
    done, about = [], _read(run / RUN)
    if about.get("boot", boot_id()) == boot_id():
        done += [f"{name} (process {pid}) of {run.name}" for pid, name in _end_processes(run)]
    runtime = Path(str(about.get("runtime", "")))
    if runtime.name.startswith(RUNTIME_PREFIX) and runtime.exists():
        shutil.rmtree(runtime, ignore_errors=True)
        done.append(f"sockets of {run.name}")
    for scratch in list(run.rglob(SCRATCH)):
        with suppress(OSError):
            shutil.rmtree(scratch)
            done.append(f"{scratch.relative_to(run)} of {run.name}")
    # Of machines that were being verified; they may have grown.
    for disk in (path for path in run.rglob("*.qcow2") if path.is_file()):
        with suppress(OSError):
            disk.unlink()
            done.append(f"disk {disk.relative_to(run)} of {run.name}")
    _make_private(run)
    with suppress(OSError):
        (run / CLEANED).touch(0o600)
    return done


def _make_private(run: Path) -> None:
    """The run directory keeps others out, but a copy of what is in it may not."""
    for path in run.rglob("*"):
        if not path.is_symlink():
            with suppress(OSError):
                path.chmod(0o700 if path.is_dir() else 0o600)


def _end_processes(run: Path) -> list[tuple[int, str]]:
    ended = []
    try:
        lines = (run / PROCESSES).read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, OSError):
            record = json.loads(line)  # the last line of a killed run may be half
            pid, started = int(record["pid"]), int(record["started"])
            if pid > 1 and started and start_time(pid) == started:
                os.killpg(pid, signal.SIGKILL)  # each leads a group of its own: its children go with it
                ended.append((pid, str(record["command"])))
    return ended


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def boot_id() -> str:
    """Differs after each boot of this computer: start times are counted from there. proc(5)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int:
    """Clock ticks since boot at which *pid* started (field 22 of proc(5) stat); 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0
