"""``factory build`` when nothing has changed since the same command ended well: answered in hundredths of a second.

A build that ends well notes what its plans were made from (``cli.noticing``): files by size, mtime and inode, folders
by the names in them, modules of ours too. While all of that and the artifacts are as they were, the same command, in
the same folder and with the same environment, can only plan the same and find it delivered. Whatever is not surely so
is left to the long way, which costs a second and no truth.

Nothing heavy may be imported here: what takes the second is loading Python modules.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from factory import __version__
from factory.cli.places import places

FORMAT = 1
FOLDER = "unchanged"
_ENVIRONMENT = ("FACTORY_", "XDG_", "HOME", "PATH", "PYTHON")
"""Beginnings of the names that plans depend on; Packer's templates, which may read any, are never noted."""


def answered(arguments: Sequence[str]) -> bool:
    """Tells of ``factory build ARGUMENTS`` what the long way would, where nothing has changed; else False."""
    started = time.monotonic()
    try:
        with open(note_of(arguments), encoding="utf-8") as stream:
            note: dict[str, Any] = json.load(stream)
        if not _holds(note):
            return False
        _tell(note, time.monotonic() - started)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def note_of(arguments: Sequence[str]) -> str:
    """The file for this command in this folder, host and environment. Raises: OSError, ValueError without a store.

    Its name is a digest under the store's own salt: a command line may hold a password.
    """
    cache = places().cache
    salt = bytes.fromhex((cache / "salt").read_text().strip())
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        boot = stream.read()
    about = [
        FORMAT, __version__, sys.version, sys.prefix, boot, sorted(os.sched_getaffinity(0)), os.getcwd(),
        list(arguments), sorted((n, v) for n, v in os.environ.items() if n.startswith(_ENVIRONMENT)),
    ]  # fmt: skip
    name = hmac.new(salt, json.dumps(about).encode(), hashlib.sha256).hexdigest()
    return str(cache / FOLDER / f"{name}.json")


def stamp(path: str) -> list[int] | None:
    """Size, mtime (ns), inode and mode; None for what is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode]


def names_in(folder: str, without: Iterable[str] = ()) -> str | None:
    """Digest of the names in *folder*, and of where its links lead; None for what is no folder."""
    try:
        with os.scandir(folder) as entries:
            names = [f"{e.name}\0{os.readlink(e.path) if e.is_symlink() else ''}" for e in entries
                     if e.name not in without]  # fmt: skip
    except OSError:
        return None
    return hashlib.sha256("\0".join(sorted(names)).encode(errors="surrogateescape")).hexdigest()


def _holds(note: Mapping[str, Any]) -> bool:
    if any(stamp(path) != known for path, known in note["files"].items()):
        return False
    output = note["output"]
    without = {os.path.dirname(output): [os.path.basename(output)]}
    if any(names_in(path, without.get(path, ())) != known for path, known in note["folders"].items()):
        return False
    return not _something_to_sweep(output)


def _something_to_sweep(output: str) -> bool:
    """Whether a killed build has left something, which every build removes; what a living one uses is locked."""
    runs, temporary = str(places().runs), tempfile.gettempdir()
    left = [entry.path for entry in _entries(temporary) if entry.name.startswith("factory-tmp-")]
    left += [entry.path for entry in _entries(os.path.join(output, ".staging"))]
    left += [
        os.path.join(e.path, "lock") for e in _entries(runs) if not os.path.exists(os.path.join(e.path, "cleaned"))
    ]
    return any(_is_abandoned(path) for path in left)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _is_abandoned(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # gone by now, or somebody else's
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _tell(note: Mapping[str, Any], seconds: float) -> None:
    if note["json"]:
        for name in note["builds"]:
            event = {
                "time": round(time.time(), 3), "build": name, "event": "build_finished", "template": name,
                "outcome": "succeeded", "seconds": seconds, "message": "nothing has changed",
            }  # fmt: skip
            sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    from factory.cli.report.unchanged import tell

    tell(note["builds"], seconds)
