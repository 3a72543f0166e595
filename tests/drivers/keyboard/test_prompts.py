"""Whatever a guest does to a line that it shows: Enter is pressed on what was meant, or not at all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from factory.errors import UnexpectedScreen
from tests.drivers.keyboard.prompts import SCREENS, Prompt, Shown, type_at

pytestmark = pytest.mark.unit

LINES = (
    "install seed=http://10.0.2.2:41679/8GksuX-ndNvQppqk/seed quiet",
    "auto=true priority=critical url=http://10.0.2.2:40001/abcd/preseed.cfg debian-installer/locale=en_US "
    "keyboard-configuration/xkb-keymap=us netcfg/get_hostname=debian vga=788 --- quiet",
    "inst.ks=http://10.0.2.2/ks.cfg inst.ks=http://10.0.2.2/ks.cfg inst.ks=http://10.0.2.2/ks.cfg",
    "  indented  text",
    "root",
)
PRINTABLE = "".join(map(chr, random.Random(5).sample(range(0x21, 0x7F), 0x7F - 0x21))) * 2
"""Also what frames and marks of a wrap are made of."""
REPEATED = "0000000000000000 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
"""In a field that has scrolled nobody could tell how many of them there are."""


WORDS = ("root", "halt -p", "en-US", " single")


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely a key is lost, and comes twice; after how many characters the guest empties the line, once."""

    lost: float = 0
    twice: float = 0
    emptied: int = 0
    late: float = 0  # seconds before anything is shown
    only: tuple[int, int] = (-1, 0)  # which key alone, and how many times it comes
    unread: str = ""  # characters that no sense knows in the guest's font


class FaultyPrompt(Prompt):
    def __init__(self, shown: Shown, faults: Faults, seed: int) -> None:
        super().__init__("us", str)
        self._screen, self._faults, self._random, self._emptied = shown, faults, random.Random(seed), False
        self._keys = 0

    def _press(self, key: str) -> None:
        if self.entered or key in {"ret", "backspace"}:
            super()._press(key)
            return
        chance = self._random.random()
        times = 0 if chance < self._faults.lost else 2 if chance > 1 - self._faults.twice else 1
        times = self._faults.only[1] if self._keys == self._faults.only[0] else times
        self._keys += 1
        for _ in range(times):
            super()._press(key)
        if not self._emptied and len(self.line) == self._faults.emptied:
            self.line, self._emptied = "", True

    async def read_lines(self) -> Sequence[str]:
        shown = self._screen(self.line if self.now >= self._faults.late else "", self.now)
        return [row.translate(dict.fromkeys(map(ord, self._faults.unread), "\ufffd")) for row in shown]


def type_faulty(screen: str, line: str, faults: Faults, patch: pytest.MonkeyPatch, seed: int = 0) -> FaultyPrompt:
    """Raises nothing but what it may."""
    prompt = FaultyPrompt(SCREENS[screen], faults, seed)
    with suppress(UnexpectedScreen):
        type_at(prompt, line, "us", patch)
    assert prompt.line == line or not prompt.entered, (faults, seed)
    return prompt


@pytest.mark.parametrize("screen", SCREENS)
def test_where_no_key_is_lost_nothing_fails_and_nothing_is_typed_again(
    screen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in (*LINES, *((PRINTABLE, PRINTABLE[40:]) if "field" not in screen else ())):
        prompt = type_faulty(screen, line, Faults(), monkeypatch)
        assert (prompt.entered, prompt.wiped) == (True, 0), line


UNREAD = "fv'`~"


@pytest.mark.parametrize("screen", ["console-64", "clock-40", "log-80", "box-44", "editor-66", "editor-middle-76"])
def test_characters_that_no_sense_knows_are_not_wrong(screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (*LINES, "mount /dev/vda1 /mnt && cat /etc/fstab", "echo 'five `~' && vi", "'`f~"):
        prompt = type_faulty(screen, line, Faults(unread=UNREAD), monkeypatch)
        assert (prompt.entered, prompt.wiped) == (True, 0), line


@pytest.mark.parametrize("screen", ["console-64", "log-40", "box-66", "editor-middle-76"])
@pytest.mark.parametrize("faults", [Faults(lost=0.03, unread=UNREAD), Faults(twice=0.03, unread=UNREAD)], ids=str)
def test_lost_keys_are_seen_beside_characters_that_no_sense_knows(
    screen: str, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_faulty(screen, "mount /dev/vda1 /mnt && cat /etc/fstab", faults, monkeypatch)


@pytest.mark.parametrize("screen", [name for name in SCREENS if "field" not in name])
def test_an_echo_that_comes_late_is_none_that_fails(screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in LINES:
        assert type_faulty(screen, line, Faults(late=2.5), monkeypatch).entered


@pytest.mark.parametrize(
    "faults",
    [Faults(lost=0.03), Faults(lost=0.15), Faults(twice=0.03), Faults(0.03, 0.03), Faults(lost=0.05, late=2.5)],
    ids=lambda faults: f"lost {faults.lost} twice {faults.twice} late {faults.late}",
)
@pytest.mark.parametrize("screen", SCREENS)
def test_lost_and_doubled_keys_are_not_entered(screen: str, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    type_faulty(screen, LINES[len(screen) % 3], faults, monkeypatch)
    if "field" not in screen:
        type_faulty(screen, REPEATED, faults, monkeypatch)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("times", [0, 2], ids=["lost", "twice"])
def test_a_single_key_that_is_lost_or_comes_twice_is_seen_wherever_it_is(
    screen: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in WORDS:
        first = len(line) - len(line.lstrip())  # a blank before it is like the prompt's
        for at in (first, len(line) // 2, len(line) - 1):
            type_faulty(screen, line, Faults(only=(at, times)), monkeypatch)


@pytest.mark.parametrize("lost", [0, 0.03])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_line_that_is_emptied_in_the_middle_is_not_entered(
    screen: str, lost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(3, 60, 19):
        type_faulty(screen, LINES[at % 3], Faults(lost=lost, emptied=at), monkeypatch, seed=at)


def test_some_lost_keys_are_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not do to fail always."""
    outcomes = [
        type_faulty(screen, line, Faults(lost=0.03), monkeypatch, seed).entered
        for seed, screen in enumerate(SCREENS)
        for line in LINES[:1]
    ]
    assert sum(outcomes) > 0.8 * len(outcomes)
