"""Reads the waits of our own dialect: ``<waitText …>``, ``<waitSerial …>``, ``<waitStill …>``, ``<waitSeed …>``."""

from __future__ import annotations

import re

from factory.boot_command.actions import (
    Action,
    PatternKind,
    TextPattern,
    WaitSeed,
    WaitSerial,
    WaitStill,
    WaitText,
)
from factory.quantity import Duration

TEXT_BUDGET = Duration(120)
SERIAL_BUDGET = Duration(120)
STILL_FOR = Duration(2)
STILL_BUDGET = Duration(120)
SEED_BUDGET = Duration(300)

OPENING = re.compile(r"<(?P<name>waitText|waitSerial|waitStill|waitSeed)\b", re.IGNORECASE | re.ASCII)
_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"(?P<body>(?:[^"\\]|\\.)*)"', re.DOTALL)
_REGEX = re.compile(r"/(?P<body>(?:[^/\\\n]|\\.)*)/(?P<flags>[a-zA-Z]*)")
_BARE = re.compile(r"[^\s<>]+")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+")


def still_budget(still: Duration) -> Duration:
    """How long to wait for a screen to stand still for so long."""
    return max(STILL_BUDGET, Duration(still * 4))


class SensedWaitError(ValueError):
    """Such a wait is written wrongly. ``position``: where; ``resume``: where reading goes on; both from 0."""

    def __init__(self, message: str, position: int, resume: int, hint: str) -> None:
        super().__init__(message)
        self.position = position
        self.resume = resume
        self.hint = hint


def sensed_wait(text: str, start: int) -> tuple[Action, int]:
    """Reads the wait at *start*, where ``OPENING`` matches. Returns the action and where it ends.

    Raises: SensedWaitError.
    """
    opening = OPENING.match(text, start)
    assert opening is not None
    arguments = _Arguments(text, start, opening)
    column = start + 1
    action: Action
    match opening["name"].lower():
        case "waittext":
            pattern = arguments.pattern()
            action = WaitText(pattern, arguments.duration() or TEXT_BUDGET, column)
        case "waitserial":
            pattern = arguments.pattern()
            action = WaitSerial(pattern, arguments.duration() or SERIAL_BUDGET, column)
        case "waitstill":
            still = arguments.duration() or STILL_FOR
            action = WaitStill(still, arguments.budget_for(still), column)
        case _:
            budget = arguments.duration()
            path = "" if budget else arguments.file()
            action = WaitSeed(path, budget or arguments.duration() or SEED_BUDGET, column)
    return action, arguments.close()


class _Arguments:
    """A cursor over what stands between the name and ``>``."""

    def __init__(self, text: str, start: int, opening: re.Match[str]) -> None:
        self.text = text
        self.start = start
        self.name = opening["name"]
        self.position = opening.end()

    def pattern(self) -> TextPattern:
        self._skip()
        if match := _QUOTED.match(self.text, self.position):
            if not match["body"]:
                raise self._error(f"<{self.name}> looks for an empty text")
            self.position = match.end()
            return TextPattern(re.sub(r"\\(.)", r"\1", match["body"], flags=re.DOTALL), PatternKind.TEXT)
        if match := _REGEX.match(self.text, self.position):
            if match["flags"] not in ("", "i"):
                raise self._error(f"unknown flag {match['flags']!r} behind the expression", "the only one is 'i'")
            source = match["body"].replace("\\/", "/")
            try:
                if re.compile(source).search(""):
                    raise self._error(f"/{match['body']}/ matches an empty screen, so it would never wait")
            except re.error as error:
                raise self._error(f"/{match['body']}/ is not a regular expression: {error}") from None
            self.position = match.end()
            return TextPattern(source, PatternKind.REGEX, ignore_case=match["flags"] == "i")
        raise self._error(f"<{self.name}> needs a text in quotes or a /regular expression/", self._example())

    def duration(self) -> Duration | None:
        """The duration that stands here; None where none does."""
        self._skip()
        match = _DURATION.match(self.text, self.position)
        if not match or (match.end() < len(self.text) and self.text[match.end()] not in " \t\r\n>"):
            return None
        duration = Duration.parse(match[0])
        if duration <= 0:
            raise self._error(f"{match[0]} does not wait", "a duration must be longer than 0")
        self.position = match.end()
        return duration

    def budget_for(self, still: Duration) -> Duration:
        """The budget that stands here, for a screen to stand still."""
        self._skip()
        position = self.position
        budget = self.duration() or still_budget(still)
        if budget <= still:
            self.position = position
            raise self._error(
                f"within {budget} the screen can't stand still for {still}",
                f"the first is how long it must not change, the second the budget: <{self.name} {still} "
                f"{still_budget(still)}>",
            )
        return budget

    def file(self) -> str:
        """The name of a file; empty where none stands."""
        self._skip()
        if match := _QUOTED.match(self.text, self.position):
            self.position = match.end()
            return re.sub(r"\\(.)", r"\1", match["body"], flags=re.DOTALL).lstrip("/")
        if match := _BARE.match(self.text, self.position):
            if _NUMBER.fullmatch(match[0]):
                raise self._unit_missing(match[0], f'; a file of this name: "{match[0]}"')
            self.position = match.end()
            return match[0].lstrip("/")
        return ""

    def close(self) -> int:
        self._skip()
        if self.text[self.position : self.position + 1] == ">":
            return self.position + 1
        if self.position >= len(self.text):
            raise self._error(f"<{self.name} is never closed", "write '>' after it, or <lt> to type '<'")
        rest = re.match(r"[^\s>]*", self.text[self.position :])
        word = rest[0] if rest else ""
        if _NUMBER.fullmatch(word):
            raise self._unit_missing(word)
        raise self._error(f"<{self.name}> does not understand {word!r}", self._example())

    def _unit_missing(self, number: str, otherwise: str = "") -> SensedWaitError:
        return self._error(
            f"<{self.name}> does not understand {number!r}: a duration has a unit",
            f"write {number}s{otherwise}; {self._example()}",
        )

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        if match:
            self.position = match.end()

    def _error(self, message: str, hint: str = "") -> SensedWaitError:
        end = self.text.find(">", self.position)
        return SensedWaitError(message, self.position, len(self.text) if end < 0 else end + 1, hint or self._example())

    def _example(self) -> str:
        examples = {
            "waittext": '<waitText "Install" 60s>',
            "waitserial": '<waitSerial "login:" 60s>',
            "waitstill": "<waitStill 2s 60s>",
            "waitseed": "<waitSeed preseed.cfg 60s>",
        }
        return f"for example {examples[self.name.lower()]}"
