"""The dossier for programs: ``report.json`` says what ``report.html`` shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from factory.dossier.record import Entry, Record
from factory.dossier.verdict import Verdict

FORMAT = 1


def report_json(record: Record, verdict: Verdict) -> str:
    """A JSON object; times are seconds since the epoch, files are named relative to the run directory."""
    return json.dumps(_report(record, verdict), ensure_ascii=False) + "\n"


def _report(record: Record, verdict: Verdict) -> dict[str, Any]:
    step, broke, machine = record.failed_step, record.broke, record.machine
    ended = record.last("machine_ended")
    return {
        "format": FORMAT,
        "template": record.template,
        "run": record.folder.name,
        "outcome": record.outcome,
        "began": record.began,
        "ended": record.ended,
        "phase": record.phase,
        "step": step.text("title") if step else "",
        "cause": {
            "rule": verdict.rule,
            "sentence": verdict.sentence,
            "try": list(verdict.advice),
            "quotes": [{"source": quote.source, "text": quote.text} for quote in verdict.quotes],
        },
        "error": dict(broke.data) if broke else {"message": record.message},
        "screen": {"text": record.screen, "screenshot": _relative(record)},
        "serial": record.serial,
        "machine": dict(machine.data) if machine else {},
        "qemu": {"stderr": ended.text("stderr"), "exit_status": ended.number("exit_status")} if ended else {},
        "seed_requests": _rows(record, "seed_requested"),
        "ssh_attempts": _rows(record, "connect_attempt"),
        "qmp_events": _rows(record, "qmp_event"),
        "activity": _rows(record, "machine_activity"),
        "guest_logs": _rows(record, "guest_log"),
        "timeline": [_without_text(entry) for entry in record.entries],
    }


def _rows(record: Record, name: str) -> list[Mapping[str, Any]]:
    return [_row(entry) for entry in record.named(name)]


def _row(entry: Entry) -> Mapping[str, Any]:
    return {"time": entry.time, "event": entry.name, **{k: v for k, v in entry.data.items() if k != "build"}}


def _without_text(entry: Entry) -> Mapping[str, Any]:
    """A guest's logs stand once, below ``guest_logs``."""
    row = _row(entry)
    return {k: v for k, v in row.items() if k != "text"} if entry.name == "guest_log" else row


def _relative(record: Record) -> str:
    shot = record.screenshot
    return str(shot.relative_to(record.folder)) if shot else ""
