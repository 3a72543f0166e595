"""What a step is: one reversible action inside a phase.

A step is a frozen dataclass; its fields are its identity. ``enter`` returns an async context manager: what it does
before the body is the action, what follows is its teardown. The runner enters the steps of a phase on one exit stack,
so teardown is last-in-first-out on success, error and Ctrl-C, and a step never has to ask how far it got.

Steps hand typed *resources* on: a resource's key is its class. ``needs`` and ``provides`` are checked in the plan
(``plan.wiring``) before anything runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from factory.errors import Evidence
from factory.events import Emit

R = TypeVar("R")

CollectEvidence = Callable[[], Awaitable[Evidence]]


class Scope(Protocol):
    """What a running step may use."""

    @property
    def emit(self) -> Emit: ...

    @property
    def phase(self) -> str: ...

    @property
    def run_dir(self) -> Path:
        """Logs and evidence of this build; kept."""

    @property
    def runtime_dir(self) -> Path:
        """Short path for sockets; removed with the build."""

    @property
    def workspace(self) -> Path:
        """The folder that becomes this phase's layer; only what must be kept belongs here."""

    def get(self, kind: type[R]) -> R:
        """A resource that an earlier step has put. Raises: LookupError, which is a bug: wiring is checked before."""

    def find(self, kind: type[R]) -> R | None: ...

    def put(self, resource: object) -> None:
        """Hands *resource* on until the phase (or, for the steps of a session, the session) ends."""

    def put_as(self, kind: type, resource: object) -> None:
        """For what is known by its Protocol rather than by its class."""

    def on_failure(self, collect: CollectEvidence) -> None:
        """Registers something that can explain a failure while the step's own resource is still alive."""

    def detail(self, text: str) -> None:
        """A short remark for the report, shown behind the step's title."""


class Step(ABC):
    """Base of all steps. Subclasses are frozen dataclasses."""

    version: ClassVar[int] = 1
    """Counts in the phase's key: raise it when the step's effect on the machine changes."""
    needs: ClassVar[tuple[type, ...]] = ()
    wants: ClassVar[tuple[type, ...]] = ()
    """Used when there, not required."""
    provides: ClassVar[tuple[type, ...]] = ()

    @property
    @abstractmethod
    def title(self) -> str:
        """What a person reads: an imperative phrase, without a full stop."""

    @abstractmethod
    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]: ...

    @classmethod
    def step_name(cls) -> str:
        """The class name in kebab case, as plans and events have it."""
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("-")

    @property
    def name(self) -> str:
        return self.step_name()

    def describe(self) -> dict[str, Any]:
        """For ``factory plan --json``."""
        return {"step": self.name, "version": self.version, "title": self.title}
