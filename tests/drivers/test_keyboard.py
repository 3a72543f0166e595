"""Typing with open eyes, at prompts that are made up: when Enter is pressed, and when it must not be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from factory.boot_command.keymap import Chord, layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers import keyboard
from factory.drivers.keyboard import Keyboard, TypingReport
from factory.drivers.keyboard_pace import Pace
from factory.errors import UnexpectedScreen
from factory.quantity import Duration

pytestmark = pytest.mark.unit


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


def type_at(prompt: Prompt, text: str, name: str, patch: pytest.MonkeyPatch) -> TypingReport:
    async def pause(duration: Duration) -> None:
        prompt.now += float(duration)

    patch.setattr(keyboard, "pause", pause)
    patch.setattr(time, "monotonic", lambda: prompt.now)
    hands = Keyboard(prompt, layout(name), screen=prompt, pace=cast("Pace", prompt))
    return asyncio.run(hands.type(parse(text + "<enter>").actions, waits=cast("Any", None)))


SEED = "install seed=http://10.0.2.2:41679/8GksuX-ndNvQppqk/seed"


@pytest.mark.parametrize("text", [SEED, "192.168.100.200", "yaz"])
def test_another_layout_ends_it_before_enter(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("us", lambda line: line)
    with pytest.raises(UnexpectedScreen, match="as the layout 'us' has it") as caught:
        type_at(prompt, text, "fr", monkeypatch)
    assert "set `keyboard: us`" in caught.value.hint
    assert (prompt.entered, prompt.wiped) == (False, 0)


@pytest.mark.parametrize("shows", [lambda line: "*" * len(line), lambda line: ""])
@pytest.mark.parametrize("reads", ["us", "fr"])
def test_a_password_is_typed_once_and_entered(
    shows: Callable[[str], str], reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt(reads, shows, "Password:")
    assert type_at(prompt, "correct-horse-battery-staple-and-more", "us", monkeypatch).retyped == 0
    assert (prompt.entered, prompt.wiped) == (True, 0)


def test_what_was_wrong_and_is_not_shown_again_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("us", lambda line: "" if prompt.wiped else line.replace("s", ""))
    with pytest.raises(UnexpectedScreen, match=r"typed '.*' again, but the screen does not show it"):
        type_at(prompt, "install quiet", "us", monkeypatch)
    assert not prompt.entered


def test_what_shows_late_and_wrong_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest so slow that nothing stands there when the rest is typed."""

    def shows(line: str) -> str:
        return "" if prompt.now < 3 else line.replace("http", "")

    prompt = Prompt("us", shows)
    with pytest.raises(UnexpectedScreen, match="but the screen shows 'install seed=://"):
        type_at(prompt, f"{SEED} and so on and so forth", "us", monkeypatch)
    assert not prompt.entered


def test_what_shows_late_and_right_is_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("us", lambda line: "" if prompt.now < 3 else line)
    assert type_at(prompt, f"{SEED} and so on and so forth", "us", monkeypatch).retyped == 0
    assert prompt.entered
