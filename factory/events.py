"""What happens in a build, as frozen dataclasses.

The terminal, ``journal.jsonl``, ``--json``, metrics and tests all read the same events. Whoever causes one calls an
``Emit``; whoever wants them subscribes to an ``EventBus``. Text in an event is redacted by the bus, once, before any
reader sees it, so no emitter has to remember to.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from factory.secret import Redactor, Secret


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. ``build`` names the build it belongs to; empty means the whole command."""


@dataclass(frozen=True, slots=True)
class BuildStarted(Event):
    """A build begins to run its phases."""

    template: str
    run_dir: str
    phases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BuildWaiting(Event):
    """A build can't begin yet; ``reason`` completes "it waits for …"."""

    reason: str


@dataclass(frozen=True, slots=True)
class BuildFinished(Event):
    """A build has ended; ``message`` says why where there is a reason.

    The last line of each run's journal tells of that run alone; one that is tried again has several.
    """

    template: str
    outcome: str  # "succeeded", "failed" or "interrupted"
    seconds: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class PhaseStarted(Event):
    """A phase runs, and why."""

    phase: str
    reason: str = ""  # one sentence: why it runs


@dataclass(frozen=True, slots=True)
class PhaseSkipped(Event):
    """A phase is stored: its layer is used."""

    phase: str
    key: str  # the layer that is used instead


@dataclass(frozen=True, slots=True)
class PhaseFinished(Event):
    """A phase has ended; ``key`` names the layer that it left."""

    phase: str
    seconds: float
    key: str = ""


@dataclass(frozen=True, slots=True)
class LayerStored(Event):
    """What a phase left is in the store. ``pause``: seconds for which the guest of a live layer stood still."""

    phase: str
    key: str
    keeps: str  # "disks" or "memory"
    size: int  # bytes of its files
    seconds: float  # from the end of the phase's last step until it was there
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """A step begins."""

    phase: str
    step: str
    title: str


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    """A step has done its work; ``detail`` is a short remark."""

    phase: str
    step: str
    title: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """A step has failed."""

    phase: str
    step: str
    title: str
    seconds: float
    message: str


@dataclass(frozen=True, slots=True)
class TeardownFailed(Event):
    """Cleaning up after a step has failed; the build's own outcome stands."""

    step: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """How far a long task is. ``total`` 0 means unknown; ``done == total`` ends the bar."""

    task: str
    done: int
    total: int
    unit: str = "B"


@dataclass(frozen=True, slots=True)
class CommandStarted(Event):
    """A program on the host. ``command`` is shell-quoted, for pasting."""

    command: str
    pid: int


@dataclass(frozen=True, slots=True)
class CommandFinished(Event):
    """A program on the host has ended."""

    command: str
    pid: int
    exit_status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class GuestOutput(Event):
    """One line that a provisioner printed in the guest."""

    provisioner: str
    stream: str  # "stdout" or "stderr"
    line: str


@dataclass(frozen=True, slots=True)
class SeedRequested(Event):
    """The guest has asked the seed server for a file; ``method`` is `?` for what could not be read as a request."""

    method: str
    path: str
    status: int
    size: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class ConnectAttempt(Event):
    """One try to reach the guest; ``state`` is a ``drivers.protocols.ConnectState`` value."""

    address: str
    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class QmpEvent(Event):
    """QEMU has told of something."""

    name: str
    data: str  # JSON


@dataclass(frozen=True, slots=True)
class MachineStarted(Event):
    """QEMU runs. ``name`` is the folder of its logs in the run directory; ``command`` is for pasting into a shell."""

    name: str
    pid: int
    accelerator: str
    command: str


@dataclass(frozen=True, slots=True)
class MachineEnded(Event):
    """QEMU has ended. ``stderr`` is the tail of what it said."""

    name: str
    pid: int
    exit_status: int
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class SerialOutput(Event):
    """Whole lines that the guest wrote to its first serial line; of a flood only the beginning."""

    text: str


@dataclass(frozen=True, slots=True)
class MachineActivity(Event):
    """What a machine has done while something was waited for, since the last such event.

    ``disk`` and ``network`` are bytes, ``serial`` bytes, ``cpu`` the guest's CPU time over the time that passed (1.0:
    one CPU, busy throughout), ``screen`` how many times the screen showed something else; ``quiet`` is for how many
    seconds none of it has moved.
    """

    awaited: str
    seconds: float
    disk: int
    network: int
    serial: int
    cpu: float
    quiet: float
    screen: int = 0


@dataclass(frozen=True, slots=True)
class BuildBroke(Event):
    """A build's error with all that explains it, told while its machine still runs."""

    phase: str
    kind: str  # the error's class
    message: str
    hint: str = ""
    layer: str = ""
    command: str = ""
    exit_status: int = 0
    stderr: str = ""
    serial: str = ""
    screen: str = ""
    screenshot: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestLog(Event):
    """A log file that was read from the guest's disk after a failure; ``text`` is its tail, ``size`` the whole's."""

    path: str
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class ScreenChanged(Event):
    """The guest's screen shows something else; ``sense`` read the text: "none" is a picture that none can read."""

    sense: str
    text: str
    screenshot: str = ""


@dataclass(frozen=True, slots=True)
class ReportWritten(Event):
    """A failure has been explained: by which rule, in which sentence, and on which page."""

    rule: str
    sentence: str
    path: str


@dataclass(frozen=True, slots=True)
class Typed(Event):
    """A boot command has been typed."""

    characters: int
    retyped: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Note(Event):
    """Something a person may want to know. ``level`` is "info", "warning" or "debug"."""

    message: str
    level: str = "info"


@dataclass(frozen=True, slots=True)
class ArtifactReady(Event):
    """One delivered file."""

    path: str
    format: str
    size: int
    usage: str = ""


@dataclass(frozen=True, slots=True)
class PostProcessed(Event):
    """A post-processor has run; *files* are what it gives to the next one."""

    name: str
    files: tuple[str, ...]


Emit: TypeAlias = Callable[[Event], None]


def event_name(kind: type[Event]) -> str:
    """What ``--json`` and the journal call an event: its class name in snake case."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).lstrip("_")


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event with when it happened (seconds since the epoch) and the build that it belongs to."""

    time: float
    build: str
    event: Event

    def to_json(self) -> dict[str, Any]:
        """A flat mapping: ``time``, ``build``, ``event`` (the class name in snake case) and the event's own fields."""
        name = event_name(type(self.event))
        return {"time": round(self.time, 3), "build": self.build, "event": name, **dataclasses.asdict(self.event)}


class EventBus:
    """Hands every event to every subscriber, in order, with secrets masked.

    A subscriber that raises does not stop the build or the other subscribers; it is dropped, and the first who
    remain are told by a ``Note``.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.redactor = Redactor()
        self._clock = clock
        self._subscribers: list[Callable[[Stamped], None]] = []

    def subscribe(self, subscriber: Callable[[Stamped], None]) -> None:
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Callable[[Stamped], None]) -> None:
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def emitter(self, build: str) -> Emit:
        """An ``Emit`` for one build."""

        def emit(event: Event) -> None:
            self._publish(self.stamped(build, event))

        return emit

    def stamped(self, build: str, event: Event) -> Stamped:
        """*event* as subscribers get it: for one who is told alone."""
        return Stamped(self._clock(), build, self._redacted(event))

    def _publish(self, stamped: Stamped) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(stamped)
            except Exception as error:  # a broken reader must not break the build
                self._subscribers.remove(subscriber)
                self._publish(Stamped(stamped.time, stamped.build, Note(f"a report stopped: {error!r}", "warning")))

    def _redacted(self, event: Event) -> Event:
        changes = {
            f.name: self._clean(getattr(event, f.name))
            for f in dataclasses.fields(event)
            if isinstance(getattr(event, f.name), (str, tuple, Secret))
        }
        return dataclasses.replace(event, **changes) if changes else event

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redactor(value)
        if isinstance(value, tuple):
            return tuple(self._clean(v) for v in value)
        return str(value) if isinstance(value, Secret) else value


def ignore(event: Event) -> None:
    """An ``Emit`` for callers that want no events."""
