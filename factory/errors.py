"""The errors of factory, as one tree.

::

    FactoryError                 exit code 1, never raised itself
    ├─ TemplateError          3  all problems of a template at once, each with its place
    ├─ HostError              4  this computer lacks something
    ├─ StepError              5  a step of a build failed
    │   ├─ CommandFailed         a program on the host ended badly
    │   ├─ MachineDied           QEMU ended without being asked to
    │   │  └─ MemoryRefused      because it can't go on from a live layer's memory
    │   ├─ MachineSilent         QEMU runs, but does not answer
    │   ├─ GuestUnreachable      no usable connection into the guest
    │   ├─ GuestCommandFailed    a command inside the guest ended badly
    │   ├─ UnexpectedScreen      the screen shows something else than what was waited for
    │   ├─ DeadlineExpired       a named deadline passed
    │   │   └─ MachineStalled    … or would have: the machine has stopped doing anything
    │   └─ SeedError             an answer file could not be rendered or was never fetched
    ├─ StoreError             6  the layer store is damaged, full or read-only
    ├─ PluginError            7  a plug-in is missing or broken
    └─ VerificationFailed     8  built, but does not pass its checks

Everything else that escapes is a bug of ours (exit code 70). An error carries a *hint* (the next thing to
try, one sentence) and *evidence* (what is kept to explain it), so that a reporter below ``cli/`` never has to
guess. Nothing below ``cli/`` prints or exits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file a problem is. Lines and columns count from 1; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what a person wrote."""

    message: str
    place: Place | None = None
    hint: str = ""
    source_line: str = ""
    severity: str = "error"  # "error" or "warning"

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text} ({self.hint})" if self.hint else text


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is kept to explain a failure. Every field may be empty; texts are tails, already redacted."""

    argv: tuple[str, ...] = ()
    exit_status: int | None = None
    stderr: str = ""
    serial: str = ""
    screen: str = ""
    screenshot: Path | None = None
    http_log: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a dossier found out about an error: the cause in one sentence, what to try, and the page with all of it."""

    sentence: str
    advice: tuple[str, ...]
    report: Path


class FactoryError(Exception):
    """Base of every error that a user is meant to see. ``explanation`` is set when a dossier was made.

    Args:
        message: one sentence, what happened.
        hint: one sentence, the next thing to try.
        evidence: what explains it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", evidence: Evidence | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.evidence = evidence or Evidence()
        self.explanation: Explanation | None = None


class TemplateError(FactoryError):
    """A template, profile, variable or boot command is wrong. Carries *all* problems found."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem] | str, *, hint: str = "") -> None:
        self.problems: tuple[Problem, ...] = (
            (Problem(problems, hint=hint),) if isinstance(problems, str) else tuple(problems)
        )
        super().__init__("\n".join(str(p) for p in self.problems), hint=hint)


def unwrapped(error: BaseException) -> BaseException:
    """The one error in a group of one (a TaskGroup wraps what its tasks raise)."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def in_one_line(error: BaseException) -> str:
    """The first problem of a template with its place, or the first line of what else happened; without hints.

    A line that announces what follows is followed by the last of that: what a screen showed is in its last line.
    """
    if isinstance(error, TemplateError) and error.problems:
        first = next((p for p in error.problems if p.severity == "error"), error.problems[0])
        return f"{first.place}: {first.message}" if first.place else first.message
    line, _, more = (error.message if isinstance(error, FactoryError) else repr(error)).partition("\n")
    said = more.strip().splitlines()
    return f"{line} {said[-1].strip()}" if said and line.endswith(":") else line


class HostError(FactoryError):
    """This computer lacks something that the plan needs."""

    exit_code = 4


class StepError(FactoryError):
    """A step of a build failed."""

    exit_code = 5


class CommandFailed(StepError):
    """A program on the host ended with an unexpected status. ``evidence.argv`` and ``.stderr`` say more."""


class MachineDied(StepError):
    """QEMU ended without being asked to."""


class MemoryRefused(MachineDied):
    """QEMU ended because it can't go on from the memory of a live layer; an earlier layer does."""


class MachineSilent(StepError):
    """QEMU is there, but does not answer: its process is stopped, held by a debugger, or waits for a disk."""


class GuestUnreachable(StepError):
    """No usable connection into the guest. ``layer`` names what failed: see ``drivers.protocols.ConnectState``."""

    def __init__(self, message: str, *, layer: str = "", hint: str = "", evidence: Evidence | None = None) -> None:
        super().__init__(message, hint=hint, evidence=evidence)
        self.layer = layer


class GuestCommandFailed(StepError):
    """A command inside the guest ended with a status that is not allowed."""

    def __init__(
        self, message: str, *, exit_status: int | None = None, hint: str = "", evidence: Evidence | None = None
    ) -> None:
        super().__init__(message, hint=hint, evidence=evidence)
        self.exit_status = exit_status


class UnexpectedScreen(StepError):
    """The screen or serial line shows something else than what was waited for."""


class DeadlineExpired(StepError):
    """A named deadline passed."""


class MachineStalled(DeadlineExpired):
    """A machine that is waited for does nothing any more: no disk, network, serial line or screen moves."""


class SeedError(StepError):
    """An answer file could not be rendered, or the installer never asked for it."""


class StoreError(FactoryError):
    """The layer store is damaged, full, locked or read-only."""

    exit_code = 6


class PluginError(FactoryError):
    """A plug-in is missing or broken."""

    exit_code = 7


class VerificationFailed(FactoryError):
    """The artifact was built, but does not pass its checks."""

    exit_code = 8


INTERNAL_ERROR_EXIT_CODE = 70
INTERRUPTED_EXIT_CODE = 130


@dataclass(slots=True)
class ProblemList:
    """Collects problems so that all of them can be reported at once.

    >>> problems = ProblemList()
    >>> problems.add("unknown field 'sizee'", hint="did you mean 'size'?")
    >>> len(problems.items)
    1
    """

    items: list[Problem] = field(default_factory=list)

    def add(self, message: str, *, place: Place | None = None, hint: str = "", severity: str = "error") -> None:
        self.items.append(Problem(message, place, hint, severity=severity))

    def raise_if_any(self) -> None:
        """Raises: TemplateError with every *error* collected (warnings alone do not raise)."""
        if any(p.severity == "error" for p in self.items):
            raise TemplateError(self.items)
