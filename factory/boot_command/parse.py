"""Reads boot commands: Packer's language exactly, and in our own dialect the waits that see what they wait for.

Packer's language (packer-plugin-sdk, ``bootcommand/boot_command.pigeon``) tries, at each place and in this order:

- ``<wait>``, ``<wait5>``, ``<wait1m20s>``: lower case only; a bare number means seconds and has no leading zero;
- ``<Xon>``, ``<Xoff>``: hold and release any single character;
- ``<name>``, ``<nameOn>``, ``<nameOff>``: special keys, in any case;
- any other single character, which is typed.

It has no escape and no unknown token; in QEMU a character that is not printable ASCII types nothing.

In the factory dialect a ``<word>`` that means nothing is an error, and so is one that the next ``<`` breaks off; a
``<`` that no letter follows, or that nothing closes, is typed; ``<lt>`` types ``<`` anywhere. It adds::

    <waitText "Install" 60s>   <waitText /[Pp]ress .* key/ 60s>   <waitText /press/i>   the screen shows it
    <waitSerial "login:" 60s>                                                           the serial line says it
    <waitStill 2s>  <waitStill 2s 60s>                                                  the screen stands still
    <waitSeed preseed.cfg 60s>  <waitSeed>                                              the guest fetched the file

The last argument is the budget and may be left out. ``\\"`` and ``\\\\`` stand for ``"`` and ``\\`` inside quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

from factory.boot_command.actions import SPECIAL_KEYS, Action, Hold, Literal, Press, Release, Wait
from factory.boot_command.meant import meant
from factory.boot_command.sensed_waits import OPENING, SensedWaitError, sensed_wait
from factory.errors import Place, Problem, TemplateError
from factory.quantity import Duration

_WAIT = re.compile(
    r"<wait(?:(?P<duration>(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+)|(?P<seconds>0|[1-9][0-9]*))?>"
)
_TOGGLE = re.compile(r"<(?P<key>.)(?P<state>on|off)>", re.IGNORECASE | re.ASCII | re.DOTALL)
_SPECIAL = re.compile(
    rf"<(?P<key>{'|'.join(sorted(SPECIAL_KEYS, key=len, reverse=True))})(?P<state>on|off)?>", re.IGNORECASE | re.ASCII
)
_ESCAPE = re.compile(r"<lt>", re.IGNORECASE | re.ASCII)
_TOKEN = re.compile(r"<(?P<word>[^\W\d_][^<>\n]{0,60})>")
_UNCLOSED = re.compile(
    rf"<(?P<word>wait(?:(?:text|serial|still|seed)[\w.]*|[0-9.]*(?:ms|[smh])?)|(?:{'|'.join(SPECIAL_KEYS)})(?:on|off)?)(?![\w>])"
    r"|<[a-z]\w*(?=<)",
    re.IGNORECASE | re.ASCII,
)
"""What was begun as a token and is followed by something else, also by the next token: ``<waitText5<enter>``."""
_NOT_A_KEY = "write <enter> or <tab> if the key is meant"


class Dialect(Enum):
    """Which rules a boot command is read by."""

    FACTORY = "factory"
    PACKER = "packer"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a boot command means, and what is doubtful about it."""

    actions: tuple[Action, ...]
    warnings: tuple[Problem, ...] = ()


def parse(text: str, dialect: Dialect = Dialect.FACTORY, *, origin: str = "boot command") -> Parsed:
    """Reads *text* as actions.

    Args:
        origin: what problems name as their place; their columns count characters of *text*, from 1, on line 1.

    Raises:
        TemplateError: with every problem found (unknown tokens, waits that are not above zero, wrong expressions).
    """
    actions, problems = read(text, dialect, origin=origin)
    if any(p.severity == "error" for p in problems):
        raise TemplateError(problems)
    return Parsed(actions, problems)


def read(
    text: str, dialect: Dialect = Dialect.FACTORY, *, origin: str = "boot command"
) -> tuple[tuple[Action, ...], tuple[Problem, ...]]:
    """As ``parse``, but gives the errors beside the actions of all that could be read, to check those as well."""
    reader = _Reader(text, dialect, origin)
    reader.read()
    reader.warn_held()
    return tuple(reader.actions), tuple(reader.problems)


class _Reader:
    def __init__(self, text: str, dialect: Dialect, origin: str) -> None:
        self.text = text
        self.dialect = dialect
        self.origin = origin
        self.actions: list[Action] = []
        self.problems: list[Problem] = []
        self.unheard: set[str] = set()

    def read(self) -> None:
        position = 0
        while position < len(self.text):
            if self.text[position] == "<":
                end = self._token(position)
                if end:
                    position = end
                    continue
            self._literal(self.text[position], position + 1)
            position += 1

    def _literal(self, character: str, column: int) -> None:
        if self.dialect is Dialect.PACKER and not " " <= character <= "~":
            # Packer sends the code point as a keysym, and QEMU's VNC server knows no such key (tried with QEMU 7.2:
            # line feed, tab, é, 界). Templates with line breaks in their boot command rely on that.
            if character not in self.unheard:
                self.unheard.add(character)
                self._warn(column, f"{character!r} types nothing in QEMU under Packer: it is left out", _NOT_A_KEY)
            return
        self.actions.append(Literal(character, column))

    def warn_held(self) -> None:
        """Keys that stay down at the end are let go when typed; what was written is probably not what was meant."""
        held: dict[str, int] = {}
        for action in self.actions:
            if isinstance(action, Hold):
                held[action.key] = action.column
            elif isinstance(action, Release) and held.pop(action.key, None) is None:
                self._warn(action.column, f"<{action.key}Off> lets go a key that is not held")
        for key, column in held.items():
            self._warn(column, f"<{key}On> is never let go", f"write <{key}Off> where it ends; it is let go at the end")

    def _token(self, start: int) -> int:
        """Reads a token at *start*; returns where it ends, or 0 where ``<`` is to be typed."""
        if match := _WAIT.match(self.text, start):
            self._wait(match)
        elif match := _TOGGLE.match(self.text, start):
            toggle: type[Hold] | type[Release] = Hold if match["state"].lower() == "on" else Release
            self.actions.append(toggle(match["key"], start + 1))
        elif match := _SPECIAL.match(self.text, start):
            kinds: dict[str, type[Press] | type[Hold] | type[Release]] = {"": Press, "on": Hold, "off": Release}
            self.actions.append(kinds[(match["state"] or "").lower()](SPECIAL_KEYS[match["key"].lower()], start + 1))
        elif self.dialect is Dialect.FACTORY:
            return self._factory_token(start)
        else:
            self._packer_literal(start)
            return 0
        return match.end()

    def _packer_literal(self, start: int) -> None:
        """Warns where something looks like a token and Packer types it nonetheless."""
        match = _TOKEN.match(self.text, start)
        if not match:
            return
        ours = OPENING.match(self.text, start)
        hint = "this wait works in factory's own templates only" if ours else _hint(match["word"])
        self._warn(start + 1, f"{match[0]} is no token of Packer's: it is typed as it stands", hint)

    def _wait(self, match: re.Match[str]) -> None:
        column = match.start() + 1
        if match["duration"]:
            written = match["duration"]
            if "-" in written:
                self._error(column, f"{match[0]} waits for a negative time", "a wait must be longer than 0")
                return
            duration = Duration.parse(written)
        elif match["seconds"] == "0" and self.dialect is Dialect.PACKER:
            duration = Duration(1)  # its grammar makes no number of a lone 0, so there it is a plain <wait>
        else:
            duration = Duration(int(match["seconds"] or 1))
        if duration <= 0:
            self._error(column, f"{match[0]} does not wait", "a wait must be longer than 0")
            return
        self.actions.append(Wait(duration, column))

    def _factory_token(self, start: int) -> int:
        if match := _ESCAPE.match(self.text, start):
            self.actions.append(Literal("<", start + 1))
            return match.end()
        if OPENING.match(self.text, start):
            try:
                action, end = sensed_wait(self.text, start)
            except SensedWaitError as error:
                self._error(error.position + 1, str(error), error.hint)
                return error.resume
            self.actions.append(action)
            return end
        if match := _TOKEN.match(self.text, start):
            self._error(start + 1, f"unknown token {match[0]}", _hint(match["word"]) or "write <lt> to type '<'")
            return match.end()
        if match := _UNCLOSED.match(self.text, start):
            self._error(start + 1, f"{match[0]} is never closed", "write '>' after it, or <lt> to type '<'")
            return match.end()
        return 0

    def _error(self, column: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(message, Place(self.origin, 1, column), hint))

    def _warn(self, column: int, message: str, hint: str = "") -> None:
        self.problems.append(replace(Problem(message, Place(self.origin, 1, column), hint), severity="warning"))


def _hint(word: str) -> str:
    """What may have been meant by ``<word>``: only what would be read."""
    return next((f"did you mean {token}?" for token in meant(word) if _reads(token)), "")


def _reads(token: str) -> bool:
    if not any(p.match(token) for p in (_WAIT, _SPECIAL, _ESCAPE, OPENING)):
        return False  # an unknown token, too: asking the reader would ask for a guess again
    reader = _Reader(token, Dialect.FACTORY, "")
    reader.read()
    return not reader.problems and len(reader.actions) == 1
