"""Looks at a machine while something is awaited of it: a guest that hangs ends the wait, one that works prolongs it.

Two limits bound every long wait. ``stall`` is the inner one: when nothing but time has passed for so long (no disk,
network, serial line or screen has moved), the guest has hung. The deadline is the outer one, and it ends guests that do
not get on: one that is at work when it passes, by what its disks and connections carry or by what new things it says,
goes on, up to ``GRACE`` times the deadline, so that a slow computer does not kill what a quick one would have finished.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeAlias

from factory.control_sequences import plain
from factory.deadline import Deadline, Shift, pause
from factory.drivers.protocols import LOOP, Activity, ActivityProbe, GuestConnection, Machine
from factory.errors import (
    DeadlineExpired,
    Evidence,
    FactoryError,
    GuestUnreachable,
    MachineDied,
    MachineSilent,
    MachineStalled,
)
from factory.events import Emit, MachineActivity, Note
from factory.plan.step import Scope
from factory.quantity import Duration, Size
from factory.verify.model import Watch

GRACE = 3
"""A guest at work may take so many times its deadline."""
WORK = 32 * 1024
"""Bytes a second, of disks and network: what a guest at work carries at least. A system that idles does less."""
SPIN = 4
"""A guest that computes may be silent so many times longer than one that sleeps before it counts as hung."""
ASLEEP = 0.2
"""CPU time over time: a guest below this is waiting for something."""
LOOPING = 5
"""So many reboots of a guest's own within ``LOOP`` are one."""
_LOOK_EVERY = Duration(5)
_TELL_EVERY = Duration(30)
_RECENTLY = Duration(30)
_SLOWEST_LOOK = Duration(20)
_LAST_WORDS = Size(8 * 1024)
_LEAVE = Duration(5)
"""For whoever waits by the deadline to notice that it has been moved to now, and to say what he has seen; then he is
cancelled."""
_ANSWER = Duration(120)
_FOR_EVER = Duration(365 * 24 * 3600)
_PANIC = re.compile(
    r"(?:^(?:<\d+>)?|\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? )Kernel panic - not syncing: ([^\r\n]+)[\r\n]", re.MULTILINE
)
"""A kernel's own line, not somebody's talk of one."""


def panic_in(serial: str) -> str:
    """Why a Linux kernel says that it panicked; empty when it does not."""
    found = _PANIC.search(plain(serial))
    return found[1].strip() if found else ""


Answers: TypeAlias = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Patience:
    """What a guest is given.

    Args:
        stall: how long it may do nothing; 0: for ever.
        grace: how many times the deadline it may take while it works; 1: the deadline holds, come what may.
        answers: asked before a silent guest counts as hung: one that answers is alive, it has only nothing to do.
        silence: how long QEMU may not answer; 0: for ever, None: as long as ``stall``.
    """

    stall: Duration
    grace: int = GRACE
    answers: Answers | None = None
    silence: Duration | None = None


def watching(
    scope: Scope, deadline: Deadline, stall: Duration, *, grace: int = GRACE, answers: Answers | None = None
) -> AbstractAsyncContextManager[Deadline]:
    """``watching_machine`` on the scope's machine. Without one, or an ``ActivityProbe``, nothing is watched."""
    probe, machine = scope.find(ActivityProbe), scope.find(Machine)
    if probe is None or machine is None:
        return nullcontext(deadline)
    return watching_machine(machine, probe, scope.emit, deadline, Patience(stall, grace, answers))


def watching_qemu(scope: Scope, what: str, silence: Duration) -> AbstractAsyncContextManager[Deadline]:
    """Notices while *what* is done, for as long as that may take, that QEMU does not answer, and ends it in the end.

    What its guest does in the meantime is not judged: waits inside have watches of their own.
    """
    probe, machine = scope.find(ActivityProbe), scope.find(Machine)
    deadline = Deadline.after(_FOR_EVER, what)
    if probe is None or machine is None:
        return nullcontext(deadline)
    return watching_machine(machine, probe, scope.emit, deadline, Patience(Duration(0), 1, silence=silence))


def watcher(probe: ActivityProbe | None, emit: Emit, stall: Duration) -> Watch:
    """Watches whichever machine it is given, such as one that verification has started."""

    def watch(
        machine: Machine, deadline: Deadline, connection: GuestConnection | None = None
    ) -> AbstractAsyncContextManager[Deadline]:
        if probe is None:
            return nullcontext(deadline)
        answers = by_connection(connection) if connection else None
        return watching_machine(machine, probe, emit, deadline, Patience(stall, answers=answers))

    return watch


def by_connection(connection: GuestConnection) -> Answers:
    """Whether the guest at the other end still answers."""

    async def answers() -> bool:
        try:
            async with asyncio.timeout(float(_ANSWER)):
                await connection.boot_id()
        except (FactoryError, OSError, TimeoutError):
            return False
        return True

    return answers


@asynccontextmanager
async def watching_machine(
    machine: Machine, probe: ActivityProbe, emit: Emit, deadline: Deadline, patience: Patience
) -> AsyncIterator[Deadline]:
    """Yields the deadline to wait by, and moves it as the machine works or hangs.

    A body that does not wait by it is cancelled when the guest has hung. Raises: what the body raises; MachineStalled
    in place of its DeadlineExpired or GuestUnreachable when it was the watch that ended the wait, MachineSilent when
    QEMU itself does not answer.
    """
    watch = _Watch(machine, probe, emit, deadline, patience)
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(watch.run())
            try:
                yield watch.deadline
            except Exception as error:  # raised below: a task group would wrap it
                failure = error
            finally:
                looking.cancel()
    except* _HungError:
        failure = failure or deadline.error(evidence=Evidence(serial=machine.serial_text(_LAST_WORDS)))
    if failure is not None:
        watch.tell()
        raise watch.explained(failure) from failure.__cause__


class _HungError(Exception):
    """Ends a body that does not wait by the deadline it was given."""


class _Watch:
    def __init__(
        self, machine: Machine, probe: ActivityProbe, emit: Emit, deadline: Deadline, patience: Patience
    ) -> None:
        self._machine, self._probe, self._emit = machine, probe, emit
        self._patience, self._stall = patience, patience.stall
        self._silence = patience.stall if patience.silence is None else patience.silence
        self._shift = Shift()
        self.deadline = deadline.movable(self._shift)
        self._budget = float(deadline.left)
        self._every = min(float(_LOOK_EVERY), *(f / 10 for f in (float(self._silence), self._budget) if f))
        self._looks: deque[Activity] = deque(maxlen=2 + int(float(_TELL_EVERY) / max(self._every, 0.05)))
        self._told: Activity | None = None
        self._moved: Activity | None = None
        self._first: Activity | None = None
        self._silent: tuple[float, MachineSilent] | None = None
        self._why = ""

    async def run(self) -> None:
        """Raises: _HungError when the body has not ended by itself after its deadline was moved to now."""
        while True:
            try:
                async with asyncio.timeout(float(_SLOWEST_LOOK)):
                    look = await self._probe.sample(self._machine)
            except MachineDied:
                return  # whoever waits is told
            except MachineSilent as error:
                if self._keeps_silent(error):
                    self._shift.move(-float(self.deadline.left) - 0.001)
                    await pause(_LEAVE)
                    raise _HungError from None
                await pause(Duration(self._every))
                continue
            except (FactoryError, OSError, TimeoutError):
                await pause(Duration(self._every))
                continue
            except Exception as error:  # whoever only looks must not break the build
                self._emit(Note(f"nobody watches the machine any more: {error!r}", "warning"))
                return
            if await self._take(look):
                await pause(_LEAVE)
                raise _HungError
            await pause(Duration(min(self._every, max(0.02, float(self.deadline.left) / 3))))

    def _keeps_silent(self, error: MachineSilent) -> bool:
        """True when QEMU has not answered for as long as it may: it may be let go on before."""
        if self._silent is None:
            self._silent = (time.monotonic(), error)
            self._emit(Note(f"{error.message}: {error.hint}", "warning"))
        self._moved = None  # what it did not do meanwhile is not the guest's fault
        return bool(self._silence) and time.monotonic() - self._silent[0] >= self._silence

    async def _take(self, look: Activity) -> bool:
        """Judges one look. Returns True when the wait is over."""
        self._silent = None
        self._first = self._first or look
        self._looks.append(look)
        if self._moved is None or look.moved_since(self._moved):
            self._moved = look
        if self._told is None:
            self._told = look
        elif look.at - self._told.at >= _TELL_EVERY:
            self.tell()
        self._why = self._panicked(look) or self._loops(look)
        if not self._why and (hung := self._hung(look)) and not await self._answers(look):
            self._why = hung
        if self._why:
            self._shift.move(-float(self.deadline.left) - 0.001)
            return True
        if self.deadline.left <= max(2 * self._every, 0.2) and self._works(look):
            self._prolong(look)
        return False

    def _hung(self, look: Activity) -> str:
        """How the guest hangs, in words; empty when it does not."""
        moved = self._moved
        quiet = look.at - moved.at if moved else 0.0
        if not self._stall or moved is None or quiet < self._stall:
            return ""
        busy = (look.cpu - moved.cpu) / quiet
        if busy < ASLEEP:
            doing = "its CPUs sleep"
        elif quiet >= SPIN * self._stall:
            doing = f"its CPUs spin ({busy:.0%}) and get nowhere"
        else:
            return ""
        still = Duration(round(quiet, 1))
        return f"the guest hung: no disk, network, serial line or screen has moved for {still}, and {doing}"

    async def _answers(self, look: Activity) -> bool:
        """A guest that answers has moved."""
        alive = self._patience.answers is not None and await self._patience.answers()
        if alive:
            self._moved = look
        return alive

    def _panicked(self, look: Activity) -> str:
        """A kernel that has panicked spins, and would be given long before it counts as hung.

        Many an installer's kernel has the screen alone for its console.
        """
        found = panic_in(self._machine.serial_text(_LAST_WORDS)) or panic_in(f"{look.shown}\n")
        return f"the guest's kernel panicked: {found}" if found else ""

    def _loops(self, look: Activity) -> str:
        before = len(self._first.reboots) if self._first else 0
        mine = [at for at in look.reboots[before:] if look.at - at <= LOOP]
        return f"the guest rebooted {len(mine)} times" if len(mine) >= LOOPING else ""

    def _works(self, look: Activity) -> bool:
        """True when its disks and connections have carried enough of late, or it has gone on saying new things.

        One that is silent for half of the time may be idle: a system that has booted logs something now and then, and
        a boot menu has been read from its disk before it waits for a key.
        """
        late = [a for a in self._looks if look.at - a.at <= _RECENTLY]
        past, middle = late[0], late[len(late) // 2]
        carries = all(_carried(before, after) >= WORK for before, after in ((past, middle), (middle, look)))
        return carries or look.serial > middle.serial > past.serial

    def _prolong(self, look: Activity) -> None:
        left = (self._patience.grace - 1) * self._budget - self._shift.seconds
        more = min(max(float(_RECENTLY), 0.1 * self._budget), self._budget, left)
        if more <= 0:
            return
        if not self._shift.seconds:
            longest = Duration(self._patience.grace * self._budget)
            message = (
                f"{self.deadline.budget} for {self.deadline.what} have passed, but the guest is still at work: "
                f"it may go on, for {longest} in all"
            )
            self._emit(Note(message, "warning"))
        self._shift.move(more)

    def tell(self) -> None:
        """Emits what has been done since it was last told."""
        if not self._looks or self._told is None or self._moved is None:
            return
        last, past = self._looks[-1], self._told
        if last is past and len(self._looks) > 1:
            past = self._looks[0]
        seconds = max(last.at - past.at, 0.001)
        self._told = last
        self._emit(
            MachineActivity(
                awaited=self.deadline.what,
                seconds=round(seconds, 1),
                disk=last.disk - past.disk,
                network=last.network - past.network,
                serial=last.serial - past.serial,
                cpu=round((last.cpu - past.cpu) / seconds, 2),
                quiet=round(last.at - self._moved.at, 1),
                screen=last.screen - past.screen,
            )
        )

    def explained(self, error: Exception) -> Exception:
        """The error with what was seen of the machine: a wait that the watch has ended is a stall."""
        if not isinstance(error, (DeadlineExpired, GuestUnreachable)) or isinstance(error, MachineStalled):
            return error  # one that a watch inside this one has explained
        if self._silent:
            silent = self._silent[1]
            message = f"while waiting for {self.deadline.what}, {silent.message}"
            return MachineSilent(message, hint=silent.hint, evidence=replace(error.evidence))
        if not self._why:
            return error
        words = error.message.partition("; ")[2]
        return MachineStalled(
            f"while waiting for {self.deadline.what}, {self._why}" + (f"; {words}" if words else ""),
            hint="look at the screen for what it waits for; if it may be silent for longer, raise `stall`",
            evidence=replace(error.evidence),
        )


def _carried(before: Activity, after: Activity) -> float:
    """Bytes a second that its disks and connections have carried in between."""
    seconds = after.at - before.at
    return (after.disk + after.network - before.disk - before.network) / seconds if seconds > 0 else 0.0
