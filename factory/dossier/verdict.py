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
SEED_WAIT = re.compile(r"(?:waited \S+|while waiting) for the guest to fetch ")
"""How ``steps/machine_waits`` names the wait for a seed in a boot command."""
_LONGEST_QUOTE = 300
_LAST, _SCREEN, _LOG = 10, 25, 40
"""Lines at the end of an output, a screen and a log among which the cause stands, if it was said at all. A full disk
stops an installer's log, not its serial line."""
_ANOTHER = re.compile(
    r"\b\w*(?:errors?|exception)\b:|\bfatal\b|\btraceback\b|\bsegmentation fault\b|\bassert|\bcannot\b|\bcan't\b"
    r"|\bnot found\b|\bno such file\b|\bpermission denied\b|\bundefined\b",
    re.IGNORECASE,
)
"""A line of a command's output that says what went wrong. That something failed is said by whatever called it."""
_FOLLOWS = re.compile(
    r"\*\*\*|^\s|^[EW]: |^dpkg(?:-\w+)?: |^tar: |^Errors? (?:were|occurred)|^Error: (?:Transaction|Failed to download)"
    r"|\bprevious (?:error|failure)|\b(?:returned|exited?|exit (?:code|status)|status|code) \D{0,20}\d"
    r"|No space left|download|fetch|retriev|mirror|repositor|installation step failed",
    re.IGNORECASE,
)
"""… and that may only follow from what was said before: what calls a program that failed fails as well."""
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


def last_said(record: Record, patterns: Sequence[re.Pattern[str]], but: re.Pattern[str] | None = None) -> Quote | None:
    """The last match among the last things that were said: by the command that failed, else by the machine's guest.

    What was said long before, or before something else went wrong, did not end the build.

    Args:
        but: what a line must not contain.
    """
    by_command = record.kind in ("GuestCommandFailed", "CommandFailed")
    if by_command:
        places = [("the provisioner's output", "\n".join(record.last_output), _LAST)]
    elif waited(record) and not let_in(record):
        places = [("the serial line", record.serial[-SEARCHED:], _LAST), ("the screen", record.screen, _SCREEN)]
        places += [(entry.text("path"), entry.text("text"), _LOG) for entry in record.guest_logs]
    else:
        return None
    for source, text, many in places:
        lines = [line for line in text.splitlines() if line.strip()][-many:]
        for at in reversed(range(len(lines))):
            line = lines[at]
            if any(pattern.search(line) for pattern in patterns):
                if not (but and but.search(line)):
                    return Quote(source, shorten(unframed(line)))
            elif by_command and _ANOTHER.search(line) and not _FOLLOWS.search(line):
                break
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


def let_in(record: Record) -> bool:
    """True when a guest's SSH server answered, and let nobody in: its system was up, whatever it had said before."""
    layer = record.broke.text("layer") if record.broke else ""
    return record.kind == "GuestUnreachable" and layer in ("authentication", "key-exchange", "installer")


def expected_address(record: Record) -> str:
    """``10.0.2.2:PORT`` of the seed server, as far as the journal tells; empty when none was started."""
    for entry in record.named("step_finished"):
        found = re.search(r"on port (\d+)", entry.text("detail")) if entry.text("step") == "serve-seed" else None
        if found:
            return f"10.0.2.2:{found[1]}"
    return ""
