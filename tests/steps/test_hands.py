"""What is said of typing: each thing once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from factory.cli import adapters
from factory.cli.adapters import GuestTypist, MachineScreens
from factory.drivers.keyboard.keyboard import TypingReport as Typed
from factory.drivers.protocols import Machine, ScreenReader, Typist
from factory.engine.scope import StepScope
from factory.events import Emit, Event, Note
from factory.quantity import Duration
from factory.steps.expectation import Hands

pytestmark = pytest.mark.unit


class Guest:
    """As much of a machine as names one."""

    pid = 1


class Retypes:
    """A keyboard whose line came out wrong once, as ``drivers.keyboard`` tells it."""

    def __init__(self, machine: object, layout: object, *, emit: Emit, **rest: object) -> None:
        self._emit = emit

    async def type(self, actions: object, *, waits: object) -> Typed:
        self._emit(Note("typed it again", "warning"))
        return Typed(1, 1, 1, 1, Duration(0), ("typed it again",))


def test_each_warning_is_told_once_and_with_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "Keyboard", Retypes)
    events: list[Event] = []
    scope: Any = StepScope(events.append, "boot", tmp_path, tmp_path, tmp_path)
    scope.put_as(Machine, Guest())
    screens = MachineScreens(tmp_path)
    scope.put_as(ScreenReader, screens)
    scope.put_as(Typist, GuestTypist(screens))
    asyncio.run(Hands(scope, "us", Duration(1), dialect="packer").type("<nonsense>"))
    place, again = [e.message for e in events if isinstance(e, Note)]
    assert place.startswith("boot command:1:1: ")
    assert place.count("boot command") == 1
    assert again == "typed it again"
