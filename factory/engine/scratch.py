"""One folder for everything temporary of one command, so that nothing of a killed one stays in ``/tmp``.

The folder is locked (``flock``) for as long as its owner lives; the next command removes what it finds unlocked.
Children find it as ``TMPDIR``: scripts that put media together, Ansible, mmdebstrap.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from factory.engine.filesystem import store_errors

PREFIX = "factory-tmp-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Makes the folder, and Python's ``tempfile`` and ``TMPDIR`` use it. Raises: StoreError."""
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    root = Path(tempfile.gettempdir())
    sweep_scratch(root)
    folder = root / f"{PREFIX}{secrets.token_hex(4)}"
    with store_errors(root):
        # Others may pass through, not look: mmdebstrap works in it as another user. What is in it is private.
        folder.mkdir(mode=0o711)
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        yield folder
    finally:
        tempfile.tempdir = before
        if variable is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = variable
        _remove(folder)
        os.close(descriptor)


def sweep_scratch(root: Path) -> tuple[Path, ...]:
    """Removes this user's folders whose owners are gone. Returns what was removed."""
    removed = []
    for folder in root.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fresh = not any(folder.iterdir())
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # An empty one may have been made this very moment, and not be locked yet.
                if (
                    os.fstat(descriptor).st_uid == os.geteuid()
                    and not (fresh and _is_young(folder))
                    and _remove(folder)
                ):
                    removed.append(folder)
            finally:
                os.close(descriptor)
    return tuple(removed)


def _is_young(folder: Path) -> bool:
    """By comparing two times of one file system: right whatever the clock does meanwhile."""
    with tempfile.NamedTemporaryFile(dir=folder.parent) as now:
        return abs(os.fstat(now.fileno()).st_mtime - folder.stat().st_mtime) < 60


def _remove(folder: Path) -> bool:
    """False when something is still mounted in it (a killed mmdebstrap, run by root): that must not be emptied."""
    with suppress(OSError):
        mounted = Path("/proc/self/mounts").read_text(errors="replace")
        if f" {folder}/" in mounted:
            return False
    shutil.rmtree(folder, ignore_errors=True)
    return True
