"""What a guest says may be shown, and does nothing to the terminal that shows it."""

from __future__ import annotations

import io
import json

import click
import pytest

from factory.cli.report.failure import failure_lines
from factory.cli.report.terminal import Terminal
from factory.dossier.record import readable
from factory.drivers.screen.serial_terminal import terminal_lines
from factory.errors import Evidence, StepError
from factory.events import GuestOutput, Note, Stamped, StepFinished
from factory.visible import visible, visible_json

pytestmark = pytest.mark.unit

C1 = [chr(code) for code in range(0x80, 0xA0)]
BIDI = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
HOSTILE = [
    "\x1b]0;title\x07",
    "\x9d0;title\x9c",
    "\x9d0;title\x07",
    "\x1b[2J",
    "\x9b2J",
    "\x9b6n",
    "\x1bc",
    "\x90q\x9c",
    "\x1b",
    "\x07",
    "\x7f",
    *C1,
    *BIDI,
]


def is_harmless(text: str) -> bool:
    return all(c in "\t\n" or c.isprintable() for c in text)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_nothing_but_text_comes_through(hostile: str) -> None:
    for shown in (visible(f"a{hostile}b"), readable(f"a{hostile}b"), *terminal_lines(f"a{hostile}b\n")):
        assert is_harmless(shown), ascii(shown)
    assert visible(f"a{hostile}b")[0] == "a"


def test_colours_and_words_of_any_language_stay() -> None:
    line = "\x1b[1;31merror:\x1b[0m\tGrüße, 世界, ═══, שלום 😀\n"
    assert visible(line) == line


def test_what_turns_the_writing_around_is_seen() -> None:
    assert visible("safe\u202egpj.exe") == "safe\ufffdgpj.exe"


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_json_means_the_same(hostile: str) -> None:
    document = json.dumps({"line": f"a{hostile}b"}, ensure_ascii=False)
    assert json.loads(visible_json(document)) == {"line": f"a{hostile}b"}
    assert is_harmless(visible_json(document))


def test_the_8_bit_form_of_a_sequence_is_obeyed_on_the_serial_line() -> None:
    assert terminal_lines("wrong\x9b5Dright\n") == ("right",)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_the_terminal_of_a_build_gets_text(hostile: str) -> None:
    stream = io.StringIO()
    for event in (
        GuestOutput("shell", "stdout", f"a{hostile}b"),
        Note(f"the screen shows: a{hostile}b", "warning"),
        StepFinished("install", "step", f"title {hostile}", 1.0, detail=f"a{hostile}b"),
    ):
        Terminal(stream=stream)(Stamped(0.0, "build", event))
    assert stream.getvalue().count("\n") == 3
    assert is_harmless(stream.getvalue())


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_a_failure_is_told_in_text(hostile: str) -> None:
    said = f"it says: a{hostile}b"
    error = StepError(said, hint=said, evidence=Evidence(screen=said, serial=said, stderr=said, http_log=(said,)))
    assert all(is_harmless(click.unstyle(line)) for line in failure_lines(error))
