"""Makes a failed build's dossier, and says on the terminal what it found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from factory.dossier.collector import write_report
from factory.errors import Explanation, FactoryError
from factory.events import Emit, Note, ReportWritten


def explain_failure(run: Path, error: BaseException, emit: Emit, redact: Callable[[str], str]) -> None:
    """Writes the report of the build in *run*, and puts its sentence on *error*; never fails for it.

    What the error says is masked by *redact*: its evidence is what guests and programs have written.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, FactoryError):
        mask(error, redact)
    try:
        verdict, page = write_report(run, alive=True)
    except Exception as failure:  # the build's own error matters more than ours
        emit(Note(f"no report: {failure!r}", "warning"))
        return
    if page is None:
        return
    emit(ReportWritten(verdict.rule, verdict.sentence, str(page)))
    if isinstance(error, FactoryError):
        error.explanation = Explanation(verdict.sentence, verdict.advice, page)


def explain_interruption(run: Path) -> None:
    """Writes the report of a build that somebody has ended; they know why, so nothing is said of it."""
    with suppress(Exception):
        write_report(run, alive=False)


def mask(error: FactoryError, redact: Callable[[str], str]) -> None:
    """Masks secrets in all that *error* says."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return redact(value)
        return tuple(map(clean, value)) if isinstance(value, tuple) else value

    evidence = error.evidence
    error.message, error.hint = redact(error.message), redact(error.hint)
    error.args = tuple(map(clean, error.args))
    error.evidence = replace(evidence, **{f.name: clean(getattr(evidence, f.name)) for f in fields(evidence)})
