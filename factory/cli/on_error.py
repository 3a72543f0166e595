"""What happens to a machine whose build has failed: ``--on-error``."""

from __future__ import annotations

import asyncio
import enum
import secrets
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from factory.deadline import pause
from factory.drivers.protocols import Machine
from factory.engine.freshness import PlanOutdated
from factory.engine.run_control import RunControl
from factory.engine.run_directory import Run, start_time
from factory.errors import FactoryError
from factory.events import Emit, Note
from factory.log_files import owner_only
from factory.plan.step import Scope
from factory.quantity import Duration
from factory.template.model import Loaded

RETRIES = 2
"""How often ``retry`` goes back to the last layer for one build."""
WORD = "release"
"""The file by which ``factory release`` tells a holding build what to do; it holds a ``Choice``."""
_LISTEN_EVERY = Duration(0.3)


class OnError(enum.StrEnum):
    """Values of ``--on-error``."""

    CLEAN = "clean"
    KEEP = "keep"
    ASK = "ask"
    RETRY = "retry"
    ABORT = "abort"
    """Packer's: end, and run nothing more in the guest."""
    CLEANUP_PROVISIONER = "run-cleanup-provisioner"
    """Packer's: run the error-cleanup-provisioner, and end."""


def as_wanted(loaded: Loaded, on_error: OnError) -> Loaded:
    """*loaded* without its error-cleanup-provisioner where that is not to run."""
    return replace(loaded, error_cleanup=None) if on_error is OnError.ABORT and loaded.error_cleanup else loaded


class Choice(enum.StrEnum):
    """What becomes of a failed build."""

    CLEAN = "clean"
    KEEP = "keep"
    RETRY = "retry"


_ENDS = (
    "a machine can't outlive its build, so it is stopped; what was stored stays stored, and the same command goes on "
    "from there (--on-error keep holds the machine)"
)
_NOBODY_TO_ASK = (
    "--on-error ask: there is no terminal to ask on, so this is cleaned up (--on-error keep holds the machine until "
    "`factory release`)"
)
_asking = asyncio.Lock()
"""There is one terminal, however many builds fail at once."""


MOST_RUNS, MOST_OUTDATED = 2, 4
"""How often a phase may run for nothing, and be planned for nothing, because of what it is made from."""


class Attempts:
    """The tries of one build; tells whether there is to be another one."""

    def __init__(self, on_error: OnError) -> None:
        self.on_error = on_error
        self._wanted = False
        self._retried = 0
        self._outdated: Counter[str] = Counter()
        self._ran: Counter[str] = Counter()
        self.once: dict[str, str] = {}
        """Phases that no key can name (``PlanInputs.once``): what they are made from never stands still. It may be by
        their own doing, as with a script on the host that writes what it reads."""

    def want_another(self) -> None:
        self._wanted = True

    def planned_anew(self, outdated: PlanOutdated) -> bool:
        """The build goes on with the files as they are now; True when it does so whatever they will be."""
        phase = outdated.phase
        self._outdated[phase] += 1
        self._ran[phase] += outdated.ran
        if self._ran[phase] < MOST_RUNS and self._outdated[phase] < MOST_OUTDATED:
            return False
        self.once.setdefault(phase, secrets.token_hex(8))
        return True

    def another(self) -> bool:
        """Whether to try again after a failure; to be asked once for each."""
        if self.on_error is OnError.RETRY and self._retried < RETRIES:
            self._wanted = True
        if not self._wanted:
            return False
        self._wanted = False
        self._retried += 1
        return True


class HoldsMachine:
    """``engine.failure.Holder``: keeps the machine of a failed step until a person has looked."""

    def __init__(self, run: Run, control: RunControl, attempts: Attempts, emit: Emit) -> None:
        self._run, self._control, self._attempts, self._emit = run, control, attempts, emit

    async def hold(self, error: BaseException, phase: str, scope: Scope) -> None:
        """Raises nothing; returns at once where nobody wants to look, or there is no machine to look at."""
        on_error = self._attempts.on_error
        machine = scope.find(Machine)
        alive = machine is not None and start_time(machine.pid) != 0
        if on_error in (OnError.ABORT, OnError.CLEANUP_PROVISIONER) and alive:
            self._emit(Note(f"-on-error={on_error.value}: {_ENDS}"))
        if on_error is OnError.ASK and not _has_terminal():
            self._emit(Note(_NOBODY_TO_ASK))
            return
        if on_error not in (OnError.ASK, OnError.KEEP):
            return
        message = error.message if isinstance(error, FactoryError) else repr(error)
        self._emit(Note(f"{phase} failed: {message}", "error"))
        if alive:
            for line in ways_in(self._run.path, self._control):
                self._emit(Note(line))
        self._control.kept(phase, message)
        try:
            choice = await self._choose(phase, alive=alive)
        finally:
            self._control.released()
        if choice is Choice.RETRY:
            self._attempts.want_another()

    async def _choose(self, phase: str, *, alive: bool) -> Choice:
        if self._attempts.on_error is OnError.ASK:
            choice = await self._ask(phase, alive=alive)
            if choice is not Choice.KEEP:
                return choice
        if not alive:
            self._emit(Note("no machine is running: there is nothing to keep"))
            return Choice.CLEAN
        return await _told(self._run.path / WORD)

    async def _ask(self, phase: str, *, alive: bool) -> Choice:
        async with _asking:
            keep = ", [k]eep the machine" if alive else ""
            question = f"{phase}: [r]etry from the last layer{keep} or [c]lean up? "
            choices = {"r": Choice.RETRY, "c": Choice.CLEAN} | ({"k": Choice.KEEP} if alive else {})
            while True:
                click.echo(question, nl=False, err=True)
                answer = await _answer(self._run.path / WORD)
                if answer is None:  # the terminal is gone
                    return Choice.CLEAN
                if choice := choices.get(answer.strip().lower()[:1]):
                    return choice


def ways_in(run: Path, control: RunControl) -> list[str]:
    """How a person gets to the kept machine of *run*, and how it ends, one line each."""
    name, known = run.name, control.now
    machine, guest = known.machine, known.guest
    lines = ["the machine is kept as it is; look at it from another terminal:"]
    lines.append(f"  factory screen {name}")
    if guest is not None and guest.kind == "SSH":
        lines.append(f"  factory ssh {name}")
    elif guest is not None:
        lines.append(f"  {guest.kind} on {guest.host}:{guest.port} as {guest.user}")
    if machine is not None and machine.serial:
        lines.append(f"  factory attach {name}    (serial line; Ctrl-] leaves)")
    if machine is not None and machine.vnc:
        lines.append(f"  VNC on the socket {machine.vnc}")
    lines.append(f"Ctrl-C or `factory release {name}` ends it; `factory release {name} --retry` tries again from the "
                 "last layer, with what you have mended")  # fmt: skip
    return lines


def tell(run: Path, choice: Choice) -> None:
    """Tells the build that holds the machine of *run* what to do. Raises: OSError."""
    part = run / f".{WORD}"
    with open(part, "w", opener=owner_only) as stream:
        stream.write(choice.value)
    part.rename(run / WORD)


async def _told(place: Path) -> Choice:
    while (choice := _word(place)) is None:
        await pause(_LISTEN_EVERY)
    return choice


def _word(place: Path) -> Choice | None:
    """What ``factory release`` has left in *place*; taken away once it is read."""
    try:
        text = place.read_text()
    except OSError:
        return None
    place.unlink(missing_ok=True)
    return Choice.RETRY if text.strip() == Choice.RETRY.value else Choice.CLEAN


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def _answer(place: Path) -> str | None:
    """A line that a person types, or what ``factory release`` says meanwhile; None at the end of input.

    Leaves no thread behind when it is cancelled.
    """
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str | None] = loop.create_future()

    def ready() -> None:
        if not typed.done():
            line = sys.stdin.readline()
            typed.set_result(line or None)

    loop.add_reader(sys.stdin.fileno(), ready)
    try:
        while not typed.done():
            if choice := _word(place):
                return choice.value
            await pause(_LISTEN_EVERY)
        return typed.result()
    finally:
        loop.remove_reader(sys.stdin.fileno())
