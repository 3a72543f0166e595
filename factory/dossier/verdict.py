"""What a rule says of a failed build, and how rules look for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from factory.dossier.record import Record

WAITED = frozenset(
    {
        "DeadlineExpired",
        "MachineStalled",
        "GuestUnreachable",
        "UnexpectedScreen",
        "SeedError",
        "StepError",
        "MachineDied",
    }
)
"""Errors behind which there is a machine that did not do what was waited for."""
_LONGEST_QUOTE = 300
SEARCHED = 512 * 1024
"""Characters of the serial line's end that are looked through: what ended a build stands there."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The guest's, QEMU's or a server's own words, and where they were read."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``rule`` names the rule, ``sentence`` is the cause in one sentence, ``advice`` what to try, the best first."""

    rule: str
    sentence: str
    advice: tuple[str, ...] = ()
    quotes: tuple[Quote, ...] = ()


Rule: TypeAlias = Callable[[Record], Verdict | None]


def sources(record: Record) -> Iterator[tuple[str, str]]:
    """Where the guest may have said what went wrong, what is trusted most first: (source, text)."""
    yield "the serial line", record.serial[-SEARCHED:]
    yield "the screen", record.screen
    for entry in reversed(record.recent("screen_changed")):
        yield "an earlier screen", entry.text("text")
    for entry in record.guest_logs:
        yield entry.text("path"), entry.text("text")


def find(
    record: Record, patterns: Sequence[re.Pattern[str]], *, logs: bool = True
) -> tuple[re.Match[str], Quote] | None:
    """The last match of the first pattern that matches anywhere, with the line that it is in."""
    for pattern in patterns:
        for source, text in sources(record):
            if source.startswith("/") and not logs:
                continue
            found = list(pattern.finditer(text))
            if found:
                return found[-1], Quote(source, line_of(found[-1]))
    return None


def line_of(match: re.Match[str]) -> str:
    """The whole line in which a match begins, without frames drawn around it."""
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.start())
    return shorten(unframed(text[start : len(text) if end < 0 else end]))


def unframed(line: str) -> str:
    """A line without the box-drawing characters at its ends."""
    return line.strip().strip("│┤├║|█▒░─━┃ ").strip()


def shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE].rstrip()}…"


def installing(record: Record) -> bool:
    """True when the installer's machine was the last one, and the build had not gone on to what it exports."""
    return bool(record.machine and record.machine.text("name") == "install") and record.phase != "export"


def waited(record: Record) -> bool:
    """True when the build failed because a machine did not do what was waited for."""
    return record.kind in WAITED or record.outcome in ("killed", "interrupted", "running")


def expected_address(record: Record) -> str:
    """``10.0.2.2:PORT`` of the seed server, as far as the journal tells; empty when none was started."""
    for entry in record.named("step_finished"):
        found = re.search(r"on port (\d+)", entry.text("detail")) if entry.text("step") == "serve-seed" else None
        if found:
            return f"10.0.2.2:{found[1]}"
    return ""
