"""Collects what explains a failure, at the two moments when it can be had, and writes the report.

Everything goes through events: the bus masks secrets, the journal keeps it, and the report is made from the journal.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from factory.dossier.guest_logs import read_guest_logs
from factory.dossier.page import page
from factory.dossier.record import read_record
from factory.dossier.report_json import report_json
from factory.dossier.rules import judge
from factory.dossier.verdict import Verdict
from factory.drivers.protocols import ApplianceDriver
from factory.errors import FactoryError, GuestUnreachable
from factory.events import BuildBroke
from factory.log_files import owner_only
from factory.plan.step import Scope

HTML, JSON = "report.html", "report.json"
_OF_A_MACHINE = ("DeadlineExpired", "MachineStalled", "GuestUnreachable", "UnexpectedScreen", "StepError", "SeedError")


class Collector:
    """Is told of a failure (implements ``engine.failure.FailureHook``)."""

    def __init__(self) -> None:
        self._scope: Scope | None = None

    async def failed(self, error: BaseException, phase: str, scope: Scope) -> None:
        """Keeps the error and its evidence."""
        self._scope = scope
        scope.emit(broke(error, phase))

    async def stopped(self, error: BaseException, folder: Path | None) -> None:
        """Reads the logs on the guest's disk, where it is the guest that failed."""
        scope = self._scope
        if scope is None or folder is None or type(error).__name__ not in _OF_A_MACHINE:
            return
        driver = scope.find(ApplianceDriver)
        if driver is not None:
            await read_guest_logs(driver, folder, scope.runtime_dir, scope.emit)


def broke(error: BaseException, phase: str) -> BuildBroke:
    """An error as an event."""
    kind = type(error).__name__
    if not isinstance(error, FactoryError):
        return BuildBroke(phase, kind, str(error) or repr(error))
    evidence = error.evidence
    return BuildBroke(
        phase=phase,
        kind=kind,
        message=error.message,
        hint=error.hint,
        layer=error.layer if isinstance(error, GuestUnreachable) else "",
        command=shlex.join(evidence.argv),
        exit_status=evidence.exit_status or 0,
        stderr=evidence.stderr,
        serial=evidence.serial,
        screen=evidence.screen,
        screenshot=str(evidence.screenshot or ""),
        notes=(*evidence.notes, *getattr(error, "__notes__", ())),
    )


def write_report(run: Path, *, alive: bool) -> tuple[Verdict, Path | None]:
    """Writes ``report.html`` and ``report.json`` into a run directory, each whole or not at all.

    Returns what failed, and the page; none is written for a build that went well. Raises: OSError when there is no
    journal, or no place to write.
    """
    record = read_record(run, alive=alive)
    verdict = judge(record)
    if record.outcome == "succeeded":
        return verdict, None
    for name, text in ((JSON, report_json(record, verdict)), (HTML, page(record, verdict))):
        part = run / f".{name}.part"
        with open(part, "w", encoding="utf-8", opener=owner_only) as stream:
            stream.write(text)
        part.replace(run / name)
    return verdict, run / HTML
