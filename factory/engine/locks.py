"""Locks between processes, by ``flock``: the kernel releases them when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from factory.deadline import Deadline, poll
from factory.quantity import Duration


def try_lock(path: Path) -> int | None:
    """Takes the lock and returns its descriptor, or None when somebody holds it. Closing releases it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not _same_file(descriptor, path):  # removed by a clean-up between open and flock
        os.close(descriptor)
        return try_lock(path)
    return descriptor


def is_locked(path: Path) -> bool:
    """True when a living process holds it."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


@asynccontextmanager
async def locked(path: Path, deadline: Deadline, *, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Holds the lock for the body. Calls *waiting* once when somebody else has it. Raises: DeadlineExpired."""
    descriptor = try_lock(path)
    if descriptor is None:
        waiting()

        async def attempt() -> int | None:
            return try_lock(path)

        descriptor = await poll(attempt, deadline, every=Duration(0.2))
    try:
        yield
    finally:
        os.close(descriptor)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
