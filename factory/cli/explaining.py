"""Makes a failed build's dossier, and says on the terminal what it found."""

from __future__ import annotations

from pathlib import Path

from factory.dossier.collector import write_report
from factory.errors import Explanation, FactoryError
from factory.events import Emit, Note, ReportWritten


def explain_failure(run: Path, error: BaseException, emit: Emit) -> None:
    """Writes the report of the build in *run*, and puts its sentence on *error*; never fails for it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    try:
        verdict, page = write_report(run, alive=True)
    except Exception as failure:  # the build's own error matters more than ours
        emit(Note(f"no report: {failure!r}", "warning"))
        return
    emit(ReportWritten(verdict.rule, verdict.sentence, str(page)))
    if isinstance(error, FactoryError):
        error.explanation = Explanation(verdict.sentence, verdict.advice, page)
