"""How fast a guest takes keys, seen from outside, so that none is lost and no time is wasted.

A PC's keys wait in two places. QEMU's PS/2 keyboard queues 16 bytes and drops what does not fit (QEMU,
``hw/input/ps2.c``, ``PS2_QUEUE_SIZE``); whether the guest has taken them all shows in bit 0 of the keyboard
controller's status register (port 0x64: reading it changes nothing). Firmware and boot loaders then keep 15 keystrokes
in the BIOS data area (head and tail at 0x41A, 0x41C) and drop the sixteenth. An operating system does not touch that
ring any more: a ring whose tail does not move while keys are taken is not in use, nor is one that stands still while
the CPU has paging on.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Protocol

from factory.deadline import Deadline, pause
from factory.drivers.protocols import Qmp
from factory.errors import DeadlineExpired, MachineDied, MachineSilent, StepError
from factory.quantity import Duration, Size

PS2_QUEUE = Size(16)
RING_KEYS = 15
_RING_BYTES = 32
_SPARE_KEYS = 2  # the ring is updated a moment after the controller was read
_SHORTEST, _LONGEST = 0.0005, 0.01
_RING_LATENCY = 0.05  # from the controller's port to the ring, in a guest that crawls
_SUSPICIOUS = 1.0  # a ring that does not change for so long may be stale
_OTHER_KEYBOARDS = re.compile(r"dev: (usb-kbd|virtio-keyboard|virtio-input-host)")


@dataclass(frozen=True, slots=True)
class Speed:
    """Bytes of PS/2 queue per command, and a pause behind each."""

    bytes: int
    pause: Duration


SPEEDS = (
    Speed(int(PS2_QUEUE) - 1, Duration(0)),
    Speed(9, Duration(0.005)),
    Speed(1, Duration(0.02)),
    Speed(1, Duration(0.1)),
)
"""From the one to begin with to the one for guests that lose keys."""


class Pace(Protocol):
    """Says when the guest can take more."""

    async def ready(self, keystrokes: int) -> None:
        """Returns when at least *keystrokes* fit. Raises: DeadlineExpired when the guest takes nothing for long."""

    async def sent(self, keystrokes: int, events: int) -> None:
        """Is told what was sent: characters or special keys, and how many times a key went down or up."""

    async def drained(self, deadline: Deadline) -> bool:
        """Waits until the guest has taken everything; False when *deadline* passes before."""


async def sense_pace(qmp: Qmp, *, patience: Duration = Duration(60)) -> Pace:
    """The best pace for this machine: by the PS/2 queue where that is the keyboard, otherwise by the clock."""
    try:
        others = _OTHER_KEYBOARDS.search(await _monitor(qmp, "info qtree"))
        status = await _status(qmp)
    except (MachineDied, MachineSilent):
        raise
    except (StepError, ValueError):
        return ClockPace()
    # Without a keyboard controller the port floats: all bits set.
    return ClockPace() if others or status == 0xFF else Ps2Pace(qmp, patience=patience)


class ClockPace:
    """For keyboards that QEMU does not let us look into (USB, virtio, other machines): a fixed, slow pace.

    QEMU queues 16 events of a USB keyboard (``hw/input/hid.c``, ``QUEUE_LENGTH``) and tells nobody how many are left;
    SeaBIOS fetches one per tick of the timer, 18.2 times a second.
    """

    def __init__(self, every: Duration = Duration(0.06)) -> None:
        self._every = every

    async def ready(self, keystrokes: int) -> None:
        return None

    async def sent(self, keystrokes: int, events: int) -> None:
        await pause(Duration(self._every * events))

    async def drained(self, deadline: Deadline) -> bool:
        return True


class Ps2Pace:
    """Follows the PS/2 queue and the BIOS' ring of keystrokes."""

    def __init__(self, qmp: Qmp, *, patience: Duration = Duration(60)) -> None:
        self._qmp = qmp
        self._patience = patience
        self._sent = 0
        self._tail = -1
        self._ring_in_use = True
        self._at_most = RING_KEYS
        """Keystrokes that can be in the ring: what was there when it was last read, and all sent since."""

    async def ready(self, keystrokes: int) -> None:
        room = max(0, RING_KEYS - _SPARE_KEYS - keystrokes)
        if not await self._wait(room, Deadline.after(self._patience, "the guest to take keys")):
            raise DeadlineExpired(
                f"the guest has taken no keys for {self._patience}",
                hint="it is not reading the keyboard: wait for its prompt first, for example with <waitText …>",
            )

    async def sent(self, keystrokes: int, events: int) -> None:
        self._sent += keystrokes
        self._at_most += keystrokes

    async def drained(self, deadline: Deadline) -> bool:
        return await self._wait(0, deadline)

    async def _wait(self, most_in_ring: int, deadline: Deadline) -> bool:
        """Until the queue is empty and the ring holds at most so many; False when nothing moves for the budget."""
        every = _SHORTEST
        last: tuple[int, int] | None = (-1, -1)
        still_since = time.monotonic()
        while True:
            state: tuple[int, int] | None = None
            if not await _status(self._qmp) & 1:
                if self._at_most <= most_in_ring and most_in_ring:
                    return True
                state = head, tail = await self._ring()
            if state != last:
                last, still_since, every = state, time.monotonic(), _SHORTEST
            still = time.monotonic() - still_since
            if state and self._ring_in_use and still > _SUSPICIOUS and await _paging(self._qmp):
                # Left behind by firmware that was typed at; its successor will never empty it.
                self._ring_in_use = False
            if state and self._in_ring(head, tail, Duration(still)) <= most_in_ring:
                self._at_most = self._in_ring(head, tail, Duration(still))
                self._tail, self._sent = tail, 0
                return True
            if still > deadline.budget:
                return False
            await pause(Duration(every))
            every = min(every * 1.5, _LONGEST)

    def _in_ring(self, head: int, tail: int, still: Duration) -> int:
        """Keystrokes in the BIOS' ring; 0 where nobody uses it (any more)."""
        if self._tail < 0:
            self._tail = tail
        elif tail != self._tail:
            self._ring_in_use = True
        elif self._sent and still > _RING_LATENCY:
            # Keys were sent and taken, but not into the ring: an operating system has the keyboard.
            self._ring_in_use = False
        return ((tail - head) % _RING_BYTES) // 2 if self._ring_in_use else 0

    async def _ring(self) -> tuple[int, int]:
        words = re.findall(r"0x([0-9a-f]{4})\b", await _monitor(self._qmp, "xp /2hx 0x41a"))
        return (int(words[0], 16), int(words[1], 16)) if len(words) == 2 else (0, 0)


async def _status(qmp: Qmp) -> int:
    """The keyboard controller's status register. Raises: ValueError when QEMU does not answer as it should."""
    answer = await _monitor(qmp, "i /b 0x64")
    match = re.search(r"= 0x([0-9a-f]+)", answer)
    if not match:
        raise ValueError(f"unexpected answer to a port read: {answer!r}")
    return int(match[1], 16)


async def _paging(qmp: Qmp) -> bool:
    """Whether the first CPU has paging on: an operating system or UEFI runs, and no BIOS."""
    match = re.search(r"CR0=([0-9a-f]{8})", await _monitor(qmp, "info registers"))
    return bool(match and int(match[1], 16) >> 31)


async def _monitor(qmp: Qmp, command: str) -> str:
    return str(await qmp.execute("human-monitor-command", {"command-line": command}))
