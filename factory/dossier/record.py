"""What a run directory says of a build: its journal, read back, and what follows from it.

Everything that a dossier shows was redacted when it was an event, so a dossier can be made again at any time, also of
a build that was killed: by the journal alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from factory.control_sequences import plain
from factory.opening import read_content, require_content

JOURNAL, PLAN = "journal.jsonl", "plan.json"
_LARGEST = 2**63
"""Of a number in a journal: as much as a file or a clock can count."""
_LAST_DAY = 253_402_214_400.0
"""The last day of the year 9999, in seconds since the epoch: later days have no names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the journal: when (seconds since the epoch), its name in snake case, and its fields."""

    time: float
    name: str
    data: Mapping[str, Any]

    def text(self, field_name: str) -> str:
        value = self.data.get(field_name)
        return "" if value is None else str(value)

    def number(self, field_name: str) -> float:
        """0.0 for what no event of ours could have said: journals are damaged, and are edited by hand."""
        value = self.data.get(field_name, 0)
        return float(value) if isinstance(value, (int, float)) and abs(value) < _LARGEST else 0.0

    def amount(self, field_name: str) -> float:
        """A number of bytes or seconds, of which there are no less than none."""
        return max(0.0, self.number(field_name))

    def texts(self, field_name: str) -> tuple[str, ...]:
        value = self.data.get(field_name)
        return tuple(map(str, value)) if isinstance(value, list) else ()


@dataclass(frozen=True)
class Record:
    """A build as its journal tells it. ``alive`` is true while its process is there."""

    folder: Path
    entries: tuple[Entry, ...]
    plan: Mapping[str, Any] = field(default_factory=dict)
    alive: bool = False

    # --- the build -------------------------------------------------------------------------------------------------

    @cached_property
    def template(self) -> str:
        started = self.first("build_started")
        return started.text("template") if started else str(self.plan.get("name", self.folder.name))

    @property
    def began(self) -> float:
        return self.entries[0].time if self.entries else 0.0

    @property
    def ended(self) -> float:
        return self.entries[-1].time if self.entries else 0.0

    @cached_property
    def outcome(self) -> str:
        """ "succeeded", "failed", "interrupted", "running", or "killed": its process ended without a word."""
        finished = self.last("build_finished")
        if finished:
            return finished.text("outcome")
        if self.broke:
            return "failed"
        if self.alive:
            return "running"
        # Whoever interrupts a build lets it clean up: its open step says that it was ended early.
        failed = self.last("step_failed")
        return "interrupted" if failed and failed.text("message") == "ended early" else "killed"

    @cached_property
    def broke(self) -> Entry | None:
        return self.last("build_broke")

    @cached_property
    def kind(self) -> str:
        """The class of the error."""
        return self.broke.text("kind") if self.broke else ""

    @cached_property
    def message(self) -> str:
        """The build's own words for its failure."""
        for name in ("build_broke", "build_finished", "step_failed"):
            entry = self.last(name)
            if entry and entry.text("message"):
                return entry.text("message")
        return ""

    @cached_property
    def failed_step(self) -> Entry | None:
        """The step that failed, or the one that was open when the build was killed."""
        if (failed := self.last("step_failed")) is not None:
            return failed
        open_steps = [e for e in self.entries if e.name in ("step_started", "step_finished")]
        last = open_steps[-1] if open_steps else None
        return last if last and last.name == "step_started" else None

    @cached_property
    def phase(self) -> str:
        started = self.last("phase_started")
        return started.text("phase") if started else ""

    # --- its machines ----------------------------------------------------------------------------------------------

    @cached_property
    def machine(self) -> Entry | None:
        """The start of the newest machine."""
        return self.last("machine_started")

    @cached_property
    def accelerator(self) -> str:
        if self.machine:
            return self.machine.text("accelerator")
        facts = self.plan.get("facts", {})
        return str(facts.get("accelerator", "")) if isinstance(facts, Mapping) else ""

    @cached_property
    def since_start(self) -> tuple[Entry, ...]:
        """What happened since the newest machine was started (everything, where none was)."""
        began = self.entries.index(self.machine) if self.machine else 0
        return self.entries[began:]

    @cached_property
    def serial(self) -> str:
        """What the newest machine's guest wrote to its serial line, without control characters."""
        text = "".join(e.text("text") for e in self.since_start if e.name == "serial_output")
        return readable(text or (self.broke.text("serial") if self.broke else ""))

    @cached_property
    def screen(self) -> str:
        """The last text that was read from the newest machine's screen."""
        if self.broke and self.broke.text("screen"):
            return readable(self.broke.text("screen"))
        seen = [e.text("text") for e in self.since_start if e.name == "screen_changed" and e.text("text").strip()]
        return readable(seen[-1]) if seen else ""

    @cached_property
    def screenshot(self) -> Path | None:
        """The last picture of the screen that is still there."""
        shots = [e.text("screenshot") for e in self.entries if e.name in ("screen_changed", "build_broke")]
        return next((p for shot in reversed(shots) if shot and (p := self.file(shot)) is not None), None)

    @cached_property
    def guest_output(self) -> tuple[str, ...]:
        """The lines that provisioners printed."""
        return tuple(e.text("line") for e in self.entries if e.name == "guest_output")

    @cached_property
    def last_output(self) -> tuple[str, ...]:
        """The lines of the provisioner that printed last."""
        said = self.named("guest_output")
        return tuple(e.text("line") for e in said if e.text("provisioner") == said[-1].text("provisioner"))

    @cached_property
    def guest_logs(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.name == "guest_log")

    # --- looking up ------------------------------------------------------------------------------------------------

    def named(self, *names: str) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.name in names)

    def first(self, name: str) -> Entry | None:
        return next((e for e in self.entries if e.name == name), None)

    def last(self, name: str) -> Entry | None:
        return next((e for e in reversed(self.entries) if e.name == name), None)

    def recent(self, name: str) -> tuple[Entry, ...]:
        """Events since the newest machine was started."""
        return tuple(e for e in self.since_start if e.name == name)

    def file(self, name: str) -> Path | None:
        """A file that the journal names, if it is in the run directory still; a run directory may have been moved."""
        path = Path(name)
        for candidate in (
            self.folder / path,
            *(self.folder / Path(*path.parts[i:]) for i in range(1, len(path.parts))),
        ):
            try:
                if candidate.is_file() and candidate.resolve().is_relative_to(self.folder.resolve()):
                    return candidate
            except OSError:  # a name that no file can have
                continue
        return None


def read_record(folder: Path, *, alive: bool) -> Record:
    """Reads a run directory. Lines that are damaged (the last one of a killed build is not whole) are left out.

    Raises: OSError when there is no journal.
    """
    require_content(folder / JOURNAL)
    with (folder / JOURNAL).open(encoding="utf-8", errors="replace") as stream:
        entries = tuple(_entries(stream))
    try:
        plan = json.loads(read_content(folder / PLAN))
    except (OSError, ValueError, RecursionError):
        plan = {}
    return Record(folder, entries, plan if isinstance(plan, dict) else {}, alive)


def _entries(lines: Iterator[str]) -> Iterator[Entry]:
    for line in lines:
        try:
            data = json.loads(line, parse_float=_finite, parse_constant=_finite)
            json.dumps(data, ensure_ascii=False).encode()  # half a character can be in JSON, and in no file
            time, name = data.pop("time"), data.pop("event")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(time, (int, float)) and 0 <= time < _LAST_DAY:
            yield Entry(float(time), str(name), data)


def _finite(text: str) -> float:
    """Raises: ValueError for what is no number that can be counted with, which Python's JSON reads all the same."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number in JSON")
    return number


def readable(text: str) -> str:
    """Text from a terminal without its control sequences; a carriage return alone begins its line anew."""
    return "\n".join(map(_last_written, text.replace("\r\n", "\n").split("\n")))


def _last_written(line: str) -> str:
    """What was written last from the start of the line on: not what only sets a colour or erases the rest."""
    return next((said for piece in reversed(line.split("\r")) if (said := plain(piece))), "")
