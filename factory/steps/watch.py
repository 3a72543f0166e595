"""Looks at a machine while something is awaited of it: a guest that hangs ends the wait, one that works prolongs it.

Two limits bound every long wait. ``stall`` is the inner one: when nothing but time has passed for so long (no disk,
network, serial line or screen has moved), the guest has hung. The deadline is the outer one, and it ends guests that do
not get on: one that is at work when it passes, by what its disks and connections carry, goes on, up to ``GRACE`` times
the deadline, so that a slow computer does not kill what a quick one would have finished.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from factory.deadline import Deadline, Shift, pause
from factory.drivers.protocols import Activity, ActivityProbe, Machine
from factory.errors import DeadlineExpired, FactoryError, GuestUnreachable, MachineDied, MachineStalled
from factory.events import MachineActivity, Note
from factory.plan.step import Scope
from factory.quantity import Duration, Size

GRACE = 3
"""A guest at work may take so many times its deadline."""
WORK = 32 * 1024
"""Bytes a second, of disks and network: what a guest at work carries at least. A system that idles does less."""
SPIN = 4
"""A guest that computes may be silent so many times longer than one that sleeps before it counts as hung."""
ASLEEP = 0.2
"""CPU time over time: a guest below this is waiting for something."""
LOOPING = 5
"""So many resets of a guest's own during one wait are a loop: an installation needs two or three."""
_LOOK_EVERY = Duration(5)
_TELL_EVERY = Duration(30)
_RECENTLY = Duration(30)
_SLOWEST_LOOK = Duration(20)
_LAST_WORDS = Size(8 * 1024)
_PANIC = re.compile(r"Kernel panic - not syncing: ([^\r\n]+)[\r\n]")


def panic_in(serial: str) -> str:
    """Why a Linux kernel says that it panicked; empty when it does not."""
    found = _PANIC.search(serial)
    return found[1].strip() if found else ""


@asynccontextmanager
async def watching(scope: Scope, deadline: Deadline, stall: Duration) -> AsyncIterator[Deadline]:
    """Yields the deadline to wait by, and moves it as the scope's machine works or hangs.

    *stall* 0 never takes a machine for hung. Without an ``ActivityProbe`` or a machine the deadline is the given one.
    Raises: what the body raises; MachineStalled in place of its DeadlineExpired or GuestUnreachable when it was the
    watch that ended the wait.
    """
    probe, machine = scope.find(ActivityProbe), scope.find(Machine)
    if probe is None or machine is None:
        yield deadline
        return
    watch = _Watch(scope, machine, probe, deadline, stall)
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(watch.run())
        try:
            yield watch.deadline
        except Exception as error:  # raised below: a task group would wrap it
            failure = error
        finally:
            looking.cancel()
    if failure is not None:
        watch.tell()
        raise watch.explained(failure) from failure.__cause__


class _Watch:
    def __init__(
        self, scope: Scope, machine: Machine, probe: ActivityProbe, deadline: Deadline, stall: Duration
    ) -> None:
        self._scope, self._machine, self._probe = scope, machine, probe
        self._stall = stall
        self._shift = Shift()
        self.deadline = deadline.movable(self._shift)
        self._budget = float(deadline.left)
        self._every = min(float(_LOOK_EVERY), *(f / 10 for f in (float(stall), self._budget) if f))
        self._looks: deque[Activity] = deque(maxlen=2 + int(float(_TELL_EVERY) / max(self._every, 0.05)))
        self._told: Activity | None = None
        self._moved: Activity | None = None
        self._first: Activity | None = None
        self._why = ""

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(float(_SLOWEST_LOOK)):
                    look = await self._probe.sample(self._machine)
            except MachineDied:
                return  # whoever waits is told
            except (FactoryError, OSError, TimeoutError):
                await pause(Duration(self._every))
                continue
            except Exception as error:  # whoever only looks must not break the build
                self._scope.emit(Note(f"nobody watches the machine any more: {error!r}", "warning"))
                return
            if self._take(look):
                return
            await pause(Duration(min(self._every, max(0.02, float(self.deadline.left) / 3))))

    def _take(self, look: Activity) -> bool:
        """Judges one look. Returns True when the wait is over."""
        self._first = self._first or look
        self._looks.append(look)
        if self._moved is None or look.moved_since(self._moved):
            self._moved = look
        if self._told is None:
            self._told = look
        elif look.at - self._told.at >= _TELL_EVERY:
            self.tell()
        self._why = self._panicked() or self._hung(look) or self._loops(look)
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

    def _panicked(self) -> str:
        """A kernel that has panicked spins, and would be given long before it counts as hung."""
        found = panic_in(self._machine.serial_text(_LAST_WORDS))
        return f"the guest's kernel panicked: {found}" if found else ""

    def _loops(self, look: Activity) -> str:
        resets = look.resets - (self._first.resets if self._first else 0)
        return f"the guest rebooted {resets} times" if resets >= LOOPING else ""

    def _works(self, look: Activity) -> bool:
        """True when its disks and connections have carried enough of late."""
        past = next((a for a in self._looks if look.at - a.at <= _RECENTLY), look)
        seconds = look.at - past.at
        return seconds > 0 and (look.disk + look.network - past.disk - past.network) / seconds >= WORK

    def _prolong(self, look: Activity) -> None:
        left = (GRACE - 1) * self._budget - self._shift.seconds
        more = min(max(float(_RECENTLY), 0.1 * self._budget), self._budget, left)
        if more <= 0:
            return
        if not self._shift.seconds:
            longest = Duration(GRACE * self._budget)
            message = (
                f"{self.deadline.budget} for {self.deadline.what} have passed, but the guest is still at work: "
                f"it may go on, for {longest} in all"
            )
            self._scope.emit(Note(message, "warning"))
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
        self._scope.emit(
            MachineActivity(
                awaited=self.deadline.what,
                seconds=round(seconds, 1),
                disk=last.disk - past.disk,
                network=last.network - past.network,
                serial=last.serial - past.serial,
                cpu=round((last.cpu - past.cpu) / seconds, 2),
                quiet=round(last.at - self._moved.at, 1),
            )
        )

    def explained(self, error: Exception) -> Exception:
        """The error with what was seen of the machine: a wait that the watch has ended is a stall."""
        if not self._why or not isinstance(error, (DeadlineExpired, GuestUnreachable)):
            return error
        words = error.message.partition("; ")[2]
        return MachineStalled(
            f"while waiting for {self.deadline.what}, {self._why}" + (f"; {words}" if words else ""),
            hint="look at the screen for what it waits for; if it may be silent for longer, raise `stall`",
            evidence=replace(error.evidence),
        )
