"""Sends keys to a machine over QMP, as many at a time as fit the guest's queue, each when the ones before are taken.

A keystroke's down and up travel in one ``input-send-event``, so no key is ever held long enough to repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from factory.boot_command.keymap import Chord, Layout
from factory.deadline import Deadline, pause
from factory.drivers.keyboard.pace import SPEEDS, Pace, sense_pace
from factory.drivers.keyboard.portions import batches, event
from factory.drivers.protocols import Qmp
from factory.errors import FactoryError


class Keystrokes:
    """The keys of one machine, and which of them are held.

    Args:
        layout: of the guest that reads them.
        pace: default: found out when the first key is sent.

    Every call that sends raises DeadlineExpired when the guest takes no keys.
    """

    def __init__(self, qmp: Qmp, layout: Layout, pace: Pace | None = None) -> None:
        self._qmp = qmp
        self._layout = layout
        self._pace = pace
        self._held: list[str] = []
        self._speed = 0
        self.count = 0
        """Keystrokes that were sent."""

    @property
    def any_held(self) -> bool:
        """Whether a key is held that the boot command has pressed."""
        return bool(self._held)

    def slow_down(self) -> None:
        """From now on keys come slower, as slow as SPEEDS have it at last."""
        self._speed = min(self._speed + 1, len(SPEEDS) - 1)

    async def write(self, text: str) -> None:
        """Types *text* as the layout has it."""
        await self.send([chord for character in text for chord in self._layout.chords(character)])

    async def send(self, chords: Sequence[Chord]) -> None:
        """Presses *chords* one after the other, in batches that fit the queue."""
        pace, speed = await self._paced(), SPEEDS[self._speed]
        for batch in batches(chords, speed.bytes):
            events = [e for chord in batch for e in self._events(chord)]
            await pace.ready(len(batch))
            await self._qmp.execute("input-send-event", {"events": events})
            await pace.sent(len(batch), len(events))
            self.count += len(batch)
            if speed.pause:
                await pause(speed.pause)

    async def hold(self, chord: Chord) -> None:
        """Presses the keys of *chord*, and leaves them down."""
        for code in (*chord.modifiers, chord.key):
            await self._move(code, down=True)

    async def release(self, chord: Chord) -> None:
        """Lets the keys of *chord* go."""
        for code in (chord.key, *reversed(chord.modifiers)):
            await self._move(code, down=False)

    async def release_all(self) -> None:
        """Lets every held key go, the last first. A machine that is gone holds none."""
        held, self._held = self._held[::-1], []
        for code in held:
            with suppress(FactoryError):
                await self._qmp.execute("input-send-event", {"events": [event(code, down=False)]})

    async def taken(self, deadline: Deadline) -> bool:
        """Waits until the guest has taken all keys; False when *deadline* passes before."""
        return await (await self._paced()).drained(deadline)

    async def _paced(self) -> Pace:
        if self._pace is None:
            self._pace = await sense_pace(self._qmp)
        return self._pace

    def _events(self, chord: Chord) -> Iterator[dict[str, Any]]:
        # A modifier that the boot command holds already is neither pressed again nor let go.
        modifiers = [m for m in chord.modifiers if m not in self._held]
        for code in (*modifiers, chord.key):
            yield event(code, down=True)
        for code in (chord.key, *reversed(modifiers)):
            yield event(code, down=False)

    async def _move(self, code: str, *, down: bool) -> None:
        pace = await self._paced()
        await pace.ready(1)
        # Noted before it is sent: a key whose command was cancelled half-way may be down.
        if down and code not in self._held:
            self._held.append(code)
        await self._qmp.execute("input-send-event", {"events": [event(code, down=down)]})
        if not down and code in self._held:
            self._held.remove(code)
        await pace.sent(0, 1)
