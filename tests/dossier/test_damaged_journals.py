"""A journal whose lines are damaged is read as far as it goes: what is wrong with one is never our error."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from factory import events
from factory.dossier.page import page
from factory.dossier.record import Record, read_record
from factory.dossier.report_json import report_json
from factory.dossier.rules import judge
from factory.events import Event, event_name

pytestmark = pytest.mark.unit

Line = dict[str, Any]
KINDS: tuple[type[Event], ...] = tuple(sorted(Event.__subclasses__(), key=lambda kind: kind.__name__))
USUAL = {"str": "text", "int": 7, "float": 1.5, "tuple[str, ...]": ["one"]}
WORDS = {"outcome": "failed", "kind": "StepError", "step": "serve-seed", "name": "install", "detail": "on port 4711"}
ODD: dict[str, Any] = {
    "null": None, "text": "nonsense", "list": [1, None], "mapping": {"a": 1}, "true": True,
    "negative": -7, "huge": 10**400, "large": 1e300, "long": "a" * 300, "zero": "a\0b", "control": "\x1b[31m",
}  # fmt: skip


def whole(kind: type[Event]) -> Line:
    """An event as our own journals have it."""
    fields = {f.name: WORDS.get(f.name, USUAL[str(f.type)]) for f in dataclasses.fields(kind)}
    return {"time": 1000.0, "build": "b", "event": event_name(kind), **fields}


def read(folder: Path, *lines: Line | str) -> Record:
    folder.mkdir(exist_ok=True)
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "journal.jsonl").write_text(text)
    return read_record(folder, alive=False)


def explain(record: Record) -> str:
    """Everything that `factory report` makes of it, ready to be written to a file."""
    verdict = judge(record)
    text = report_json(record, verdict)
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    (text + page(record, verdict)).encode()
    return verdict.rule


def test_every_event_is_here() -> None:
    assert {kind.__module__ for kind in KINDS} == {events.__name__}
    assert {str(f.type) for kind in KINDS for f in dataclasses.fields(kind)} <= set(USUAL)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("place", range(max(len(dataclasses.fields(kind)) for kind in KINDS)))
def test_a_field_of_any_event_may_hold_anything(odd: Any, place: int, tmp_path: Path) -> None:
    lines = [whole(kind) for kind in KINDS]
    for line, kind in zip(lines, KINDS, strict=True):
        fields = [f.name for f in dataclasses.fields(kind)]
        line |= {fields[place % len(fields)]: odd} if fields else {}
    record = read(tmp_path / "run", *lines)
    assert len(record.entries) == len(KINDS)
    assert explain(record)


@pytest.mark.parametrize("name", ["event", "build"])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_so_may_what_all_events_have(odd: Any, name: str, tmp_path: Path) -> None:
    assert explain(read(tmp_path / "run", *(whole(kind) | {name: odd} for kind in KINDS)))


@pytest.mark.parametrize(
    "time",
    ["Infinity", "-Infinity", "NaN", "1e999", "1e18", "9" * 400, "-1", '"noon"', "null", "[]", '"nan"', '"1e999"'],
)
def test_a_line_that_was_at_no_time_is_left_out(time: str, tmp_path: Path) -> None:
    broken = f'{{"time": {time}, "event": "note", "message": "x", "level": "info"}}'
    good = whole(events.BuildBroke)
    record = read(tmp_path / "run", broken, good, broken)
    assert [entry.name for entry in record.entries] == ["build_broke"]
    assert explain(record) == explain(read(tmp_path / "other", good))


@pytest.mark.parametrize(
    "line",
    [
        "", "null", "7", "[]", "{}", '{"time": 1}', '{"event": "note"}', "\0", "[" * 100_000,
        '{"time": 1, "event": "typed", "seconds": NaN}', '{"time": 1, "event": "note", "message": "\\ud800"}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_event_is_left_out(line: str, tmp_path: Path) -> None:
    record = read(tmp_path / "run", line, whole(events.BuildBroke))
    assert len(record.entries) == 1
    assert explain(record)
