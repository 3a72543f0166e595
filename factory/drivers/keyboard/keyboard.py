"""Hands: types boot commands on a machine's keyboard over QMP, as fast as the guest takes keys and no faster.

Where the screen can be read, what was typed is read back; what came out wrong is wiped and typed again, slower.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from factory.boot_command.actions import (
    Action,
    Hold,
    Literal,
    Press,
    Release,
    Wait,
    WaitSeed,
    WaitSerial,
    WaitStill,
    WaitText,
)
from factory.boot_command.keymap import Chord, Layout, check
from factory.deadline import Deadline, pause
from factory.drivers.keyboard.echo import Echo, Judgement, judge, left_over, row_now, so_far
from factory.drivers.keyboard.keystrokes import Keystrokes
from factory.drivers.keyboard.likeness import misread_by
from factory.drivers.keyboard.pace import Pace
from factory.drivers.keyboard.portions import pieces, runs
from factory.drivers.keyboard.words import LineWords, SecretsOnScreen
from factory.drivers.protocols import Qmp
from factory.errors import TemplateError
from factory.events import Emit, Note, Typed, ignore
from factory.quantity import Duration

CHUNK = 32
"""Characters typed between two looks at the screen, at most."""
ATTEMPTS = 4
_SMALLEST = 4
_FIRST = 8  # a field may be narrow: no more is typed at once than it has been seen to hold
_ECHO_BUDGET = Duration(6)  # from the last character that came to stand as it should
_STILL_FOR = 0.6  # a wrong line must stand still this long before it counts as wrong
_NOTHING_FOR = 1.5
_UNSEEN_CHUNKS = 2  # without an echo, before the rest of a line is typed without looking
_LOOK_EVERY = Duration(0.05)


class WaitHandler(Protocol):
    """Who waits, when a boot command says so. Each raises DeadlineExpired (or UnexpectedScreen, SeedError)."""

    async def wait(self, duration: Duration) -> None: ...

    async def wait_text(self, pattern: re.Pattern[str], budget: Duration) -> None: ...

    async def wait_serial(self, pattern: re.Pattern[str], budget: Duration) -> None: ...

    async def wait_still(self, still: Duration, budget: Duration) -> None: ...

    async def wait_seed(self, path: str, budget: Duration) -> None:
        """An empty *path* means any file of the seed."""


class LineReader(Protocol):
    """What can read back typed lines."""

    async def read_lines(self) -> Sequence[str] | None:
        """The lines of the screen; None when no sense can read it exactly."""


@dataclass(frozen=True, slots=True)
class TypingReport:
    """How typing went."""

    characters: int
    keystrokes: int
    verified: int
    """Characters that were read back and right."""
    retyped: int
    """Characters that came out wrong, were wiped and typed again."""
    duration: Duration
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    characters: int = 0
    verified: int = 0
    retyped: int = 0
    warnings: list[str] = field(default_factory=list)


class Keyboard:
    """The keyboard of one machine.

    Args:
        layout: of the guest that reads the keys.
        screen: reads typed lines back; None types without checking.
        pace: default: found out when typing begins.
        redact: masks secrets in messages and evidence.
        secrets: masks them on the screen.
    """

    def __init__(
        self,
        qmp: Qmp,
        layout: Layout,
        *,
        screen: LineReader | None = None,
        pace: Pace | None = None,
        emit: Emit = ignore,
        redact: Callable[[str], str] = str,
        secrets: SecretsOnScreen | None = None,
    ) -> None:
        self._keys = Keystrokes(qmp, layout, pace)
        self._layout = layout
        self._screen = screen
        self._emit = emit
        self._redact = redact
        self._secrets = secrets
        self._tally = _Tally()
        self._known = ""
        self._words = LineWords("", layout, redact)
        self._untyped = ""
        self._pending = ""
        self._unseen = 0
        self._echoes = False
        self._room = _FIRST
        self._field = 0

    async def type(self, actions: Iterable[Action], *, waits: WaitHandler) -> TypingReport:
        """Types *actions*, and waits where they say so. Every key is up again when it returns, however it does.

        Raises:
            TemplateError: a character that the layout can't type (before the first key is sent).
            UnexpectedScreen: a line keeps coming out wrong, or is read in another layout.
            DeadlineExpired: the guest takes no keys; or what *waits* raises.
        """
        actions = tuple(actions)
        problems = check(actions, self._layout)
        if problems:
            raise TemplateError(problems)
        self._tally = _Tally()
        self._known = ""
        started, sent = time.monotonic(), self._keys.count
        try:
            for run in runs(actions):
                if isinstance(run, str):
                    await self._literals(run)
                else:
                    self._known = ""
                    await self._act(run, waits)
        finally:
            await self._keys.release_all()
        tally, duration = self._tally, Duration(time.monotonic() - started)
        self._emit(Typed(tally.characters, tally.retyped, float(duration)))
        return TypingReport(
            tally.characters,
            self._keys.count - sent,
            tally.verified,
            tally.retyped,
            duration,
            tuple(tally.warnings),
        )

    async def _act(self, action: Action, waits: WaitHandler) -> None:
        match action:
            case Press(key):
                await self._keys.send(self._layout.keycodes(key))
            case Hold(key):
                (chord,) = self._layout.keycodes(key)
                await self._keys.hold(chord)
            case Release(key):
                (chord,) = self._layout.keycodes(key)
                await self._keys.release(chord)
            case Wait(duration):
                await waits.wait(duration)
            case WaitText(pattern, budget):
                await waits.wait_text(pattern.compiled(), budget)
            case WaitSerial(pattern, budget):
                await waits.wait_serial(pattern.compiled(), budget)
            case WaitStill(still, budget):
                await waits.wait_still(still, budget)
            case WaitSeed(path, budget):
                await waits.wait_seed(path, budget)
            case Literal(character):
                await self._literals(character)

    # --- checked typing -----------------------------------------------------------------------------------------------

    async def _literals(self, run: str) -> None:
        """Types a run of characters, line by line and chunk by chunk."""
        for part in re.findall(r"[^\n\r\t]+|[\n\r\t]", run):
            if part in "\n\r\t":
                self._known = ""
                await self._keys.send(self._layout.chords(part))
            else:
                self._words = LineWords(part, self._layout, self._redact, self._secrets)
                await self._line(part)
            self._tally.characters += len(part)

    async def _line(self, part: str) -> None:
        """Types what stands on one line."""
        self._pending, self._unseen, self._echoes, self._room, self._field = "", 0, False, _FIRST, 0
        self._untyped = part
        screen = await self._look() if not self._keys.any_held else None
        while self._untyped and screen is not None and self._unseen < _UNSEEN_CHUNKS:
            chunk = next(pieces(self._untyped, self._room))
            self._untyped = self._untyped[len(chunk) :]
            screen = await self._checked(chunk, screen, ATTEMPTS)
        if rest := self._untyped:
            await self._keys.write(rest)
            if self._pending and screen is not None:
                await self._look_again(screen, self._pending + rest)

    async def _checked(self, chunk: str, before: Sequence[str], attempts: int) -> Sequence[str]:
        """Types *chunk* until it stands on the screen as it should; in ever smaller pieces, and slower.

        What was typed before it and is not seen yet is looked for, and typed again, together with it.

        Args:
            before: the screen as it was before what is not seen yet.

        Returns: the screen as it is now; as it was before what is not seen yet.
        """
        await self._keys.write(chunk)
        chunk, self._pending = self._pending + chunk, ""
        if not chunk.strip():
            self._known += chunk
            return before
        judgement, after = await self._echo(before, chunk)
        if judgement.echo is Echo.RIGHT:
            self._saw(chunk, judgement.field)
            return after
        if judgement.echo is Echo.UNSEEN and self._echoes:
            # This line is shown, or was and has been wiped: what is not to be seen now is not right.
            again = " again" if attempts < ATTEMPTS else ""
            raise self._words.error(
                f"{self._words.quoted(chunk)}{again}, but the screen does not show it", after, "", chunk
            )
        if judgement.echo is Echo.UNSEEN:
            # A password, or a program that shows nothing: typing it again would do harm, and looking takes time.
            self._pending, self._unseen = chunk, self._unseen + 1
            # Of a prompt that appears late, enough must be seen to know the line again.
            self._room = max(self._room, CHUNK - len(chunk))
            return before
        self._echoes = True
        what = self._words.what_went_wrong(chunk, judgement.shown)
        if misread_by(judgement.shown, chunk, self._layout):  # it would be so however often it is typed
            await self._say_who_misread(before, after, chunk, judgement.shown)
        self._tally.retyped += len(chunk)
        if attempts <= 1:
            raise self._words.error(f"{what}, however slowly it is typed", after, judgement.shown, chunk)
        self._keys.slow_down()  # also for the keys that wipe: one that came twice would take what stands right
        current = await self._wipe(before, after, judgement, chunk)
        if current is None:
            raise self._words.error(f"{what}, and it cannot be wiped", after, judgement.shown, chunk)
        self._warn(f"{what}: wiped it, typing it again slower")
        for piece in pieces(chunk, max(_SMALLEST, len(chunk) // 4)):
            current = await self._checked(piece, current, attempts - 1)
        return current

    async def _say_who_misread(self, before: Sequence[str], after: Sequence[str], chunk: str, shown: str) -> NoReturn:
        """Types on first, which does no harm without Enter: the more stands there, the fewer layouts it fits."""
        if rest := self._untyped[: max(0, CHUNK - len(chunk))]:
            await self._keys.write(rest)
            judgement, longer = await self._echo(before, chunk + rest)
            if misread_by(judgement.shown, chunk + rest, self._layout):
                after, chunk, shown = longer, chunk + rest, judgement.shown
        what = self._words.what_went_wrong(chunk, shown)
        other = misread_by(shown, chunk, self._layout)
        raise self._words.error(f"{what}, as the layout '{other}' has it", after, shown, chunk)

    def _saw(self, chunk: str, field: int) -> None:
        """Notes that *chunk* stands as it should, in a *field* that shows so many characters of the line (0: all)."""
        self._tally.verified += min(len(chunk), field) if field else len(chunk)
        self._known += chunk
        self._unseen, self._echoes = 0, True
        # Some of what stands before a chunk must be seen with it, or nobody knows where it begins.
        self._field = max(self._field, field)
        # Fields that jump by half their width show little more than that.
        seen = (self._field or len(self._known)) // 2 - _SMALLEST
        room = max(_SMALLEST if self._field else _FIRST, seen)
        self._room = min(room, CHUNK)

    async def _look_again(self, before: Sequence[str], unseen: str) -> None:
        """A guest may show late what could not be seen at first. Raises: UnexpectedScreen when that is wrong."""
        judgement, after = await self._echo(before, unseen)
        if judgement.echo is Echo.RIGHT:
            self._saw(unseen, judgement.field)
        if judgement.echo is Echo.WRONG:
            what = self._words.what_went_wrong(unseen, judgement.shown)
            raise self._words.error(what, after, judgement.shown, unseen)

    def _warn(self, message: str) -> None:
        self._tally.warnings.append(message)
        self._emit(Note(message, "warning"))

    async def _echo(self, before: Sequence[str], chunk: str) -> tuple[Judgement, Sequence[str]]:
        """Looks until the chunk stands there, or the screen has come to rest without it."""

        def stands(after: Sequence[str]) -> bool:
            return judge(before, after, self._known, chunk).echo is Echo.RIGHT

        def begun(after: Sequence[str]) -> int:
            return so_far(before, after, self._known, chunk)

        after = await self._rest(before, stands, begun)
        if not self._untyped and stands(after):
            # Enter may come next: a last key that came twice is shown after the first of it.
            await pause(_LOOK_EVERY)
            after = await self._rest(before, stands, begun)
        return judge(before, after, self._known, chunk, self._layout), after

    async def _wipe(
        self, before: Sequence[str], wrong: Sequence[str], judgement: Judgement, chunk: str
    ) -> Sequence[str] | None:
        """Takes back what the screen *wrong* shows behind the known part of the line.

        Returns: the screen without it; None when it does not go away.
        """

        def left(after: Sequence[str]) -> str | None:
            return left_over(before, after, self._known, row_now(judgement.row, wrong, after))

        last, shown = "", judgement.shown
        for _ in range(ATTEMPTS):
            await self._keys.send([Chord("backspace")] * len(shown))
            after = await self._rest(before, lambda after: left(after) == "")
            rest = left(after)
            if rest is None:  # the known part is gone, too: nobody knows how much of it
                return None
            if not rest:
                return after  # a field may show another part of the line than before
            if rest == last and judge(before, after, self._known, chunk).echo is Echo.UNSEEN:
                return after  # a prompt, which has appeared only after the first keys
            last = shown = rest
        return None

    async def _rest(
        self,
        before: Sequence[str],
        done: Callable[[Sequence[str]], bool],
        begun: Callable[[Sequence[str]], int] = lambda _: 0,
    ) -> Sequence[str]:
        """The screen as soon as it is *done*, else when the guest has taken all keys and the screen stands still.

        Args:
            begun: how much is there of what is waited for; while that becomes more, the guest is slow, not wrong.
        """
        deadline = Deadline.after(_ECHO_BUDGET, "the echo of typed text")
        await self._keys.taken(deadline)
        last: Sequence[str] | None = None
        still_since = time.monotonic()
        there = most = 0
        while True:
            after = await self._look() or before
            if last is None or list(after) != list(last):
                if done(after):
                    return after
                last, still_since, there = after, time.monotonic(), begun(after)
            if there > most:
                most, deadline = there, Deadline.after(_ECHO_BUDGET, "the rest of an echo")
            # Where nothing has appeared at all, or only the beginning has, the guest may just be slow.
            patience = _STILL_FOR if list(after) != list(before) else _NOTHING_FOR
            if there or (self._echoes and patience == _NOTHING_FOR):
                patience = float(_ECHO_BUDGET)
            if deadline.expired or time.monotonic() - still_since > patience:
                return after
            await pause(_LOOK_EVERY)

    async def _look(self) -> Sequence[str] | None:
        return await self._screen.read_lines() if self._screen else None
