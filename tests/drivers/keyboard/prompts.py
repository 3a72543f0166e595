"""Prompts that are made up, with a clock of their own, and what types at them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from factory.boot_command.keymap import Chord, layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers.keyboard import keyboard, keystrokes
from factory.drivers.keyboard.keyboard import Keyboard, TypingReport
from factory.drivers.keyboard.pace import Pace
from factory.quantity import Duration


class Prompt:
    """A guest with a prompt. ``shows`` turns what was typed into what stands there."""

    def __init__(self, reads: str, shows: Callable[[str], str], prompt: str = "boot:") -> None:
        self.now, self.line, self.entered, self.wiped = 0.0, "", False, 0
        self._reads, self._shows, self._prompt = layout(reads), shows, prompt
        self._shift = False

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        assert command == "input-send-event"
        for event in (arguments or {})["events"]:
            key, down = event["data"]["key"]["data"], event["data"]["down"]
            if key == "shift":
                self._shift = down
            elif down:
                self._press(key)

    def _press(self, key: str) -> None:
        if key == "ret":
            self.entered = True
        elif key == "backspace":
            self.line, self.wiped = self.line[:-1], self.wiped + 1
        else:
            self.line += "".join(self._reads.shows([Chord(key, ("shift",) if self._shift else ())]))

    async def read_lines(self) -> Sequence[str]:
        shown = self._shows(self.line)
        return ["a boot loader", f"{self._prompt} {shown}".rstrip()]

    # --- its pace: it takes every key at once

    async def ready(self, count: int) -> None: ...

    async def sent(self, count: int, events: int) -> None: ...

    async def drained(self, deadline: Deadline) -> None: ...


def type_at(prompt: Prompt, text: str, name: str, patch: pytest.MonkeyPatch, **further: Any) -> TypingReport:
    async def pause(duration: Duration) -> None:
        prompt.now += float(duration)

    for module in (keyboard, keystrokes):
        patch.setattr(module, "pause", pause)
    patch.setattr(time, "monotonic", lambda: prompt.now)
    hands = Keyboard(prompt, layout(name), screen=prompt, pace=cast("Pace", prompt), **further)
    return asyncio.run(hands.type(parse(text + "<enter>").actions, waits=cast("Any", None)))


# --- how guests show a line. Each: what stands on the screen for it, by the time -------------------------------------

Shown = Callable[[str, float], list[str]]


def console(width: int, label: str, beside: Callable[[float], list[str]] = lambda now: []) -> Shown:
    """A row that wraps at the edge of the screen, and what else is there."""

    def shown(line: str, now: float) -> list[str]:
        whole = label + line
        rows = [whole[i : i + width].rstrip() for i in range(0, len(whole), width)]
        return ["a boot loader", "", *rows, "", "", "", *beside(now)]

    return shown


def log(width: int, height: int, label: str) -> Shown:
    """The last row of a screen that is full: it scrolls when the line wraps."""

    def shown(line: str, now: float) -> list[str]:
        whole = label + line
        rows = [f"[{i:3}.0] a message" for i in range(height - 1)]
        return [*rows, *(whole[i : i + width].rstrip() for i in range(0, len(whole), width))][-height:]

    return shown


def box(width: int, label: str) -> Shown:
    """GRUB's: framed, and a backslash where the line goes on."""

    def shown(line: str, now: float) -> list[str]:
        whole = label + line
        rows = [whole[i : i + width - 1] for i in range(0, len(whole), width - 1)]
        rows = [row + "\\" for row in rows[:-1]] + [rows[-1]] + [""] * (7 - len(rows))
        framed = [f"│{row.ljust(width)}│" for row in rows]
        return [
            "GNU GRUB",
            "┌" + "─" * width + "┐",
            *framed,
            "└" + "─" * width + "┘",
            "   Minimum editing is supported",
        ]

    return shown


def field(width: int, before: str, behind: str, fill: str = " ", step: int = 1) -> Shown:
    """A field that scrolls at its left edge, by *step* characters, and has its cursor behind the line."""

    def shown(line: str, now: float) -> list[str]:
        gone = -(-max(0, len(line) - width + 1) // step) * step
        return ["A dialog", "", before + line[gone:].ljust(width, fill) + behind, "", "<Go Back>   <Continue>"]

    return shown


def editor(width: int, head: str, tail: str) -> Shown:
    """GRUB's editor of a menu entry, with the cursor between *head* and *tail* of a line; the next line moves down."""

    def shown(line: str, now: float) -> list[str]:
        whole = head + line + tail
        rows = [whole[i : i + width - 1] for i in range(0, len(whole), width - 1)]
        rows = ["setparams 'Install'", *[row + "\\" for row in rows[:-1]], rows[-1], "initrd /initrd.gz", "", "", ""]
        framed = [f"│{row.ljust(width)}│" for row in rows]
        return ["GNU GRUB", "┌" + "─" * width + "┐", *framed, "└" + "─" * width + "┘", "Minimum editing is supported"]

    return shown


def late(shown: Shown) -> Shown:
    """A prompt that appears only with the first key."""
    return lambda line, now: shown(line, now) if line else ["a boot loader"]


def cursor(width: int, label: str, drawn: str) -> Shown:
    """A cursor that is drawn behind the line."""
    prompt = console(width, label)
    return lambda line, now: prompt(line + drawn, now)


def clock(now: float) -> list[str]:
    return ["", f"Automatic boot in {max(0, 60 - int(now))} seconds"]


def spinner(now: float) -> list[str]:
    return ["", "|/-\\"[int(now * 10) % 4] + f" working {int(now * 10):03}"]


def kernel(now: float) -> list[str]:
    return ["", *[f"[ {at}.1] usb 1-{at}: new device" for at in range(1, min(4, int(now)))]]


SCREENS: Mapping[str, Shown] = {
    **{f"console-{w}": console(w, "boot: ") for w in (40, 64, 80)},
    **{f"{beside.__name__}-{w}": console(w, "boot: ", beside) for w in (40, 80) for beside in (clock, spinner, kernel)},
    **{f"log-{w}": log(w, 25, "# ") for w in (40, 80)},
    **{f"box-{w}": box(w, "grub> ") for w in (40, 44, 56, 66, 78)},
    **{f"field-{w}": field(w, "Host: ", "|") for w in (20, 32, 40, 56, 72)},
    **{f"field-filled-{w}": field(w, "| ", "  |", "_") for w in (20, 36, 60)},
    **{f"field-unlabelled-{w}": field(w, "", "") for w in (32, 48)},
    **{f"field-jumping-{w}": field(w, "Name [", "]", step=w // 2) for w in (32, 40, 72)},
    **{f"editor-{w}": editor(w, "linux /vmlinuz root=/dev/sda1", "") for w in (66, 76)},
    **{f"editor-middle-{w}": editor(w, "linux /vmlinuz vga=788", " --- quiet splash") for w in (66, 76)},
    "late-80": late(console(80, "boot: ")),
    **{f"cursor-{drawn}": cursor(80, "boot: ", drawn) for drawn in "_█"},
}
