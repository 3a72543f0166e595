"""Waits for what the screen or the serial line shows, and says what was there instead when it does not come."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace

from factory.boot_command.sensed_waits import SERIAL_BUDGET, STILL_FOR, TEXT_BUDGET, still_budget
from factory.control_sequences import PlainText, plain
from factory.deadline import Deadline, pause
from factory.drivers.protocols import Outcome, Where
from factory.drivers.screen.blankness import is_blank
from factory.drivers.screen.senses import ScreenMachine, ScreenText, Sense, Senses
from factory.errors import Evidence, UnexpectedScreen
from factory.quantity import Duration, Size

LOOK_EVERY = Duration(0.2)
_SERIAL_TAIL = Size(2**20)
_LAST_WORDS = Size(8 * 1024)


class ScreenWaits:
    """Waits on one machine. Without a deadline, each has the budget that it has in a boot command."""

    def __init__(self, senses: Senses, machine: ScreenMachine) -> None:
        self._senses, self._machine = senses, machine
        self._heard = SerialReader(machine)

    async def look(self) -> ScreenText:
        """The screen as it is now."""
        return await self._senses.read_screen()

    async def for_text(self, pattern: re.Pattern[str], deadline: Deadline | None = None) -> ScreenText:
        """Waits until the screen shows *pattern*. Raises: DeadlineExpired that quotes the screen."""
        deadline = deadline or Deadline.after(TEXT_BUDGET, f"the screen to show /{pattern.pattern}/")
        _, read = await self.for_any((Outcome(pattern.pattern, pattern),), deadline)
        return read

    async def for_any(
        self, outcomes: Sequence[Outcome], deadline: Deadline | None = None
    ) -> tuple[Outcome, ScreenText]:
        """Waits for one of *outcomes*: of several at once a fatal one, else the first named.

        Raises: UnexpectedScreen when a fatal one appears; DeadlineExpired that quotes screen and serial line.
        """
        if deadline is None:
            deadline = Deadline.after(TEXT_BUDGET, " or ".join(repr(outcome.name) for outcome in outcomes))
        ordered = sorted(outcomes, key=lambda outcome: not outcome.fatal)
        seen_places = {outcome.where for outcome in outcomes}
        while True:
            read = await self.look() if Where.SCREEN in seen_places else self._senses.read_serial()
            for outcome in ordered:
                line = self._found(outcome, read)
                if line is None:
                    continue
                if outcome.fatal:
                    raise UnexpectedScreen(
                        f"while waiting for {deadline.what}, the {outcome.where.value} showed {outcome.name!r}: "
                        f"{self._senses.masked(line)}",
                        evidence=self._evidence(read),
                    )
                return outcome, read
            if deadline.expired:
                seen = [self._seen(read)] if Where.SCREEN in seen_places else []
                seen += [self._said(self._senses.read_serial())] if Where.SERIAL in seen_places else []
                raise deadline.error(seen="; ".join(seen), hint=_HINT, evidence=self._evidence(read))
            await pause(Duration(min(LOOK_EVERY, deadline.left + 0.001)))

    def _found(self, outcome: Outcome, read: ScreenText) -> str | None:
        """The line that shows it; None when it is not there."""
        if outcome.where is Where.SERIAL:
            heard = self._heard.find(outcome.pattern)
            return _line_of(heard) or heard[0] if heard else None
        match = read.search(outcome.pattern)
        return (_line_of(match) or self._senses.shown(read).excerpt(1)) if match else None

    async def for_serial(self, pattern: re.Pattern[str], deadline: Deadline | None = None) -> str:
        """Waits until the serial line says *pattern*, after what earlier waits have found there. Returns the match.

        Raises: DeadlineExpired that quotes the line's last words.
        """
        deadline = deadline or Deadline.after(SERIAL_BUDGET, f"the serial line to say /{pattern.pattern}/")
        while True:
            match = self._heard.search(pattern)
            if match:
                return match
            if deadline.expired:
                serial = self._senses.read_serial()
                raise deadline.error(seen=self._said(serial), hint=_SERIAL_HINT, evidence=self._evidence())
            await pause(Duration(min(LOOK_EVERY, deadline.left + 0.001)))

    async def for_still(self, still: Duration = STILL_FOR, deadline: Deadline | None = None) -> ScreenText:
        """Waits until the screen has looked the same for *still*; a blinking cursor does not count as change.

        Raises: DeadlineExpired.
        """
        if deadline is None:
            deadline = Deadline.after(still_budget(still), f"the screen to stand still for {still}")
        last: object = None
        changes, since = -1, time.monotonic()  # the first look is no change
        while True:
            read = await self.look()
            # Where there is text it is compared, so that a cursor may blink; a picture is compared pixel by pixel.
            now: object = read.lines
            if read.sense in (Sense.NONE, Sense.SERIAL):
                frame = await self._senses.frame()
                now = (read.lines, frame.pixels if frame and not is_blank(frame) else b"")
            if now != last:
                changes, last, since = changes + 1, now, time.monotonic()
            elif time.monotonic() - since >= still:
                return read
            if deadline.expired:
                stood = _stood(Duration(round(time.monotonic() - since, 1)), changes)
                raise deadline.error(seen=f"{stood}; {self._seen(read)}", hint=_HINT, evidence=self._evidence(read))
            await pause(Duration(min(LOOK_EVERY, still / 4, deadline.left + 0.001)))

    # What is quoted is an excerpt, in which nobody would know a piece of a secret: it is masked as a whole before.

    def _evidence(self, read: ScreenText | None = None) -> Evidence:
        screen = self._senses.shown(read).text if read else ""
        return Evidence(screen=screen, serial=self._senses.shown(self._senses.read_serial()).text)

    def _seen(self, read: ScreenText) -> str:
        if read.sense is Sense.NONE:
            return "the screen shows a picture, or text in a font that nobody knows"
        shown = self._senses.shown(read).excerpt()
        where = "the serial line" if read.sense is Sense.SERIAL else "the screen"
        return f"{where} shows:\n{shown}" if shown else f"{where} is blank"

    def _said(self, serial: ScreenText) -> str:
        if not serial.lines:  # a screen that has been cleared: what was said before tells more than that it is blank
            serial = replace(serial, lines=tuple(plain(self._machine.serial_text(_LAST_WORDS)).splitlines()))
        said = self._senses.shown(serial).excerpt(3)
        return f"the serial line said last: {said}" if said else "the serial line has said nothing"


class SerialReader:
    """Reads the serial line on and on, as a person does: what was matched once is not matched again.

    Control sequences are no text (``control_sequences.PlainText``). The first look goes back to the machine's start, as
    far as the machine still knows what it said.
    """

    def __init__(self, machine: ScreenMachine) -> None:
        self._machine = machine
        self._seen = ""
        self._read = PlainText()
        self._text = ""
        self._consumed = 0

    def search(self, pattern: re.Pattern[str]) -> str | None:
        """As ``find``: what matched."""
        match = self.find(pattern)
        return match[0] if match else None

    def find(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match in what has not been consumed, with what was said around it; consumes up to its end."""
        self._fetch()
        match = pattern.search(self._text, self._consumed)
        if match:
            self._consumed = match.end()
        return match

    def _fetch(self) -> None:
        # What may still become something else is left for the next look: half a line end, half a character.
        tail = self._machine.serial_text(_SERIAL_TAIL).replace("\r\n", "\n").rstrip("\r\ufffd")
        new = self._read.feed(added(self._seen, tail))
        self._seen = tail
        forgotten = max(0, len(self._text) + len(new) - int(_SERIAL_TAIL))
        if new:
            self._text = (self._text + new)[forgotten:]
        self._consumed = max(0, self._consumed - forgotten)


def _stood(quiet: Duration, changes: int) -> str:
    """How a screen stood still, but not for long enough."""
    if not changes:
        return f"it had not changed since the wait began, {quiet} before, and no time was left"
    return f"it kept changing, the last time {quiet} before"


def added(before: str, after: str) -> str:
    """What *after* has more than *before*, both being the end of one growing text of which the start may be lost.

    By the longest overlap: a prompt or an empty line comes again and again, so that a short one proves nothing.
    """
    if after.startswith(before):
        return after[len(before) :]
    start = after[_CUT : _CUT + _PROOF]  # the first character may have been cut in two
    shift = before.find(start) if start else -1
    while shift >= 0:
        if after.startswith(before[shift:], _CUT):
            return after[_CUT + len(before) - shift :]
        shift = before.find(start, shift + 1)
    return after


_CUT, _PROOF = 4, 4096
_HINT = "look at the screenshot of this run; if the guest is only slow, raise the budget of this wait"
_SERIAL_HINT = "does the guest write to its first serial line at all (console=ttyS0)?"


def _line_of(match: re.Match[str]) -> str:
    """The whole line that a match is in."""
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return text[start : len(text) if end < 0 else end].strip()
