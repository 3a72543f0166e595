"""What running steps share: resources by type, and who can explain a failure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from factory.errors import Evidence
from factory.events import Emit
from factory.plan.step import CollectEvidence

R = TypeVar("R")


@dataclass(slots=True)
class StepScope:
    """Implements ``plan.step.Scope``. Look-ups go up to the parent; what is put stays here."""

    emit: Emit
    phase: str
    run_dir: Path
    runtime_dir: Path
    workspace: Path
    parent: StepScope | None = None
    details: list[str] = field(default_factory=list)
    _resources: dict[type, object] = field(default_factory=dict)
    _collectors: list[CollectEvidence] = field(default_factory=list)

    def child(self, *, phase: str, workspace: Path) -> StepScope:
        return StepScope(self.emit, phase, self.run_dir, self.runtime_dir, workspace, self)

    def get(self, kind: type[R]) -> R:
        found = self.find(kind)
        if found is None:
            raise LookupError(f"phase {self.phase}: nothing has provided {kind.__name__}")
        return found

    def find(self, kind: type[R]) -> R | None:
        scope: StepScope | None = self
        while scope is not None:
            if kind in scope._resources:
                value: R = scope._resources[kind]  # type: ignore[assignment]
                return value
            scope = scope.parent
        return None

    def put(self, resource: object) -> None:
        self.put_as(type(resource), resource)

    def put_as(self, kind: type, resource: object) -> None:
        """For what is known by its Protocol rather than by its class."""
        self._resources[kind] = resource

    def on_failure(self, collect: CollectEvidence) -> None:
        self._collectors.append(collect)

    def detail(self, text: str) -> None:
        self.details.append(text)

    async def collect_evidence(self) -> Evidence:
        """Asks everyone, the newest first; whoever fails adds a note instead."""
        merged = Evidence()
        scope: StepScope | None = self
        while scope is not None:
            for collect in reversed(scope._collectors):
                try:
                    merged = merge(merged, await collect())
                except Exception as error:
                    merged = replace(merged, notes=(*merged.notes, f"no evidence from {collect}: {error}"))
            scope = scope.parent
        return merged


def merge(first: Evidence, second: Evidence) -> Evidence:
    """Both pieces of evidence in one; where both say something, the first wins, lists are joined."""
    return Evidence(
        argv=first.argv or second.argv,
        exit_status=first.exit_status if first.exit_status is not None else second.exit_status,
        stderr=first.stderr or second.stderr,
        serial=first.serial or second.serial,
        screen=first.screen or second.screen,
        screenshot=first.screenshot or second.screenshot,
        http_log=first.http_log + second.http_log,
        files=first.files + tuple(f for f in second.files if f not in first.files),
        notes=first.notes + second.notes,
    )
