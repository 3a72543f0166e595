"""What a boot command asks for, as frozen actions.

A key is either a special key's name as people write it (``"leftShift"``, ``"f10"``) or one character (``"a"``): names
have two characters at least, so the two never meet. Columns count characters of the boot command's text, from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from factory.quantity import Duration

SPECIAL_KEYS: dict[str, str] = {
    name.lower(): name
    for name in (
        "bs", "del", "enter", "esc", "return", "tab", "spacebar", "menu",
        "insert", "home", "end", "pageUp", "pageDown", "up", "down", "left", "right",
        "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12",
        "leftShift", "rightShift", "leftCtrl", "rightCtrl", "leftAlt", "rightAlt",
        "leftSuper", "rightSuper",
        "leftCommand", "rightCommand", "leftOption", "rightOption",
    )
}  # fmt: skip
"""Lower-case spelling → the spelling that is printed. The language ignores the case of key names."""


@dataclass(frozen=True, slots=True)
class TextPattern:
    """What a wait looks for: a plain text, or a regular expression."""

    source: str
    kind: PatternKind
    ignore_case: bool = False

    def compiled(self) -> re.Pattern[str]:
        """The same as a regular expression that is searched for in the lines, joined by newlines."""
        flags = re.MULTILINE | (re.IGNORECASE if self.ignore_case else 0)
        return re.compile(self.source if self.kind is PatternKind.REGEX else re.escape(self.source), flags)

    def __str__(self) -> str:
        if self.kind is PatternKind.TEXT:
            return '"' + self.source.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"/{self.source}/{'i' if self.ignore_case else ''}"


class PatternKind(Enum):
    TEXT = "text"
    REGEX = "regex"


@dataclass(frozen=True, slots=True)
class Literal:
    """Types one character."""

    character: str
    column: int


@dataclass(frozen=True, slots=True)
class Press:
    """Presses and releases a special key."""

    key: str
    column: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Presses a key and keeps it down."""

    key: str
    column: int


@dataclass(frozen=True, slots=True)
class Release:
    """Lets a held key go."""

    key: str
    column: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits blindly."""

    duration: Duration
    column: int


@dataclass(frozen=True, slots=True)
class WaitText:
    """Waits until the screen shows a text."""

    pattern: TextPattern
    budget: Duration
    column: int


@dataclass(frozen=True, slots=True)
class WaitSerial:
    """Waits until the serial line has said a text, behind what the serial wait before has matched."""

    pattern: TextPattern
    budget: Duration
    column: int


@dataclass(frozen=True, slots=True)
class WaitStill:
    """Waits until the screen has not changed for a while."""

    still: Duration
    budget: Duration
    column: int


@dataclass(frozen=True, slots=True)
class WaitSeed:
    """Waits until the guest has fetched a file of the seed; an empty path means any file."""

    path: str
    budget: Duration
    column: int


Action: TypeAlias = Literal | Press | Hold | Release | Wait | WaitText | WaitSerial | WaitStill | WaitSeed


def text(actions: Iterable[Action], *, redact: Callable[[str], str] = str) -> str:
    """The actions as a boot command again, for logs.

    Args:
        redact: masks secrets, such as ``factory.secret.Redactor``. It sees whole runs of literal characters, so that
            a secret is found although it is typed character by character.
    """
    parts: list[str] = []
    run: list[str] = []
    for action in actions:
        if isinstance(action, Literal):
            run.append(action.character)
            continue
        parts.append(_literals(run, redact))
        run.clear()
        parts.append(redact(_token(action)))
    parts.append(_literals(run, redact))
    return "".join(parts)


def _literals(run: list[str], redact: Callable[[str], str]) -> str:
    return redact("".join(run)).replace("<", "<lt>") if run else ""


def _token(action: Action) -> str:
    match action:
        case Wait(duration):
            return f"<wait{duration}>"
        case Press(key):
            return f"<{key}>"
        case Hold(key):
            return f"<{key}On>"
        case Release(key):
            return f"<{key}Off>"
        case WaitText(pattern, budget):
            return f"<waitText {pattern} {budget}>"
        case WaitSerial(pattern, budget):
            return f"<waitSerial {pattern} {budget}>"
        case WaitStill(still, budget):
            return f"<waitStill {still} {budget}>"
        case WaitSeed(path, budget):
            return f"<waitSeed {path} {budget}>" if path else f"<waitSeed {budget}>"
        case Literal(character):
            return character
