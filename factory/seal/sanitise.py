"""Carries out operations, and proves afterwards that each has kept its promise."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from factory.errors import FactoryError
from factory.events import Emit, Progress
from factory.seal.files import ImaginedFiles, TouchedFiles
from factory.seal.model import Operation, Subject

_TYPE, _REGULAR = 0o170000, 0o100000
_LARGEST_TEXT = 4 * 2**20
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Done:
    """What one operation has done. ``paths``: how many files it removed, emptied, rewrote or made."""

    name: str
    what: str
    paths: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that does not hold."""

    operation: str
    message: str

    def __str__(self) -> str:
        return f"{self.operation}: {self.message}"


async def sanitise(subject: Subject, operations: Sequence[Operation], emit: Emit) -> list[Done]:
    """Carries out *operations*, in order. Raises: StepError when the guest's file system refuses."""
    done = []
    for number, operation in enumerate(operations):
        emit(Progress("sanitise", number, len(operations), "operations"))
        started = time.monotonic()
        paths = await _carry_out(subject, operation)
        done.append(Done(operation.name, operation.what, len(paths), round(time.monotonic() - started, 3)))
    emit(Progress("sanitise", len(operations), len(operations), "operations"))
    return done


async def preview(subject: Subject, operation: Operation) -> list[str]:
    """The paths that *operation* would remove, empty, rewrite or make. Changes nothing."""
    return sorted(await _carry_out(replace(subject, files=ImaginedFiles(subject.files)), operation))


async def _carry_out(subject: Subject, operation: Operation) -> set[str]:
    """The paths that were changed, whoever did it: the declarations or the operation's own code."""
    files = TouchedFiles(subject.files)
    subject = replace(subject, files=files)
    removed = await files.find(operation.remove, operation.keep)
    if removed:
        await files.remove(removed)
    full = await _full(subject, operation)
    if full:
        await files.empty(full)
    for path, content in (await _with_lines(subject, operation)).items():
        await files.write(path, content)
    if operation.act is not None:
        await operation.act(subject)
    return files.touched


async def _full(subject: Subject, operation: Operation) -> list[str]:
    """Regular files that the operation empties and that hold something."""
    if not operation.empty:
        return []
    statuses = await subject.files.status(await subject.files.find(operation.empty, operation.keep))
    return [path for path, status in statuses.items() if status.mode & _TYPE == _REGULAR and status.size > 0]


async def _with_lines(subject: Subject, operation: Operation) -> dict[str, bytes]:
    """Files from which the operation strips lines → what stays."""
    rewritten: dict[str, bytes] = {}
    for strip in operation.strip:
        pattern = re.compile(strip.line.encode())
        statuses = await subject.files.status(await subject.files.find(strip.globs))
        for path, status in statuses.items():
            if status.mode & _TYPE != _REGULAR or status.size > _LARGEST_TEXT:
                continue
            content = rewritten[path] if path in rewritten else await subject.files.read(path)
            rest = b"".join(line for line in content.splitlines(keepends=True) if not pattern.search(line))
            if rest != content:
                rewritten[path] = rest
    return rewritten


async def prove(subject: Subject, operations: Sequence[Operation]) -> list[Broken]:
    """Checks what every operation promises on what is there now."""
    broken: list[Broken] = []
    for operation in operations:
        try:
            messages = await _violations(subject, operation)
        except FactoryError as error:
            messages = [f"it could not be checked: {error.message}"]
        broken += [Broken(operation.name, message) for message in messages]
    return broken


async def _violations(subject: Subject, operation: Operation) -> list[str]:
    messages = []
    for promise, paths in (
        ("is still there", await subject.files.find(operation.remove, operation.keep)),
        ("is not empty", await _full(subject, operation)),
        ("still has lines that should be gone", list(await _with_lines(subject, operation))),
    ):
        messages += [f"{_printable(path)} {promise}" for path in paths[:_SHOWN]]
        if len(paths) > _SHOWN:
            messages.append(f"and {len(paths) - _SHOWN} more such paths")
    if operation.check is not None:
        messages += await operation.check(subject)
    return messages


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
