"""What is new on a serial line that says the same again and again."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.drivers.screen.waits import SerialReader, added
from factory.quantity import Size

pytestmark = pytest.mark.unit


class Line:
    """A machine of which only the serial line is asked."""

    def __init__(self) -> None:
        self.said = ""

    def serial_text(self, most: Size) -> str:
        return self.said[-most:]


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def reader(line: Line) -> SerialReader:
    machine: Any = line
    return SerialReader(machine)


def test_a_prompt_that_comes_again_hides_nothing_before_it(line: Line, reader: SerialReader) -> None:
    line.said = "boot: "
    assert reader.search(re.compile("boot: ")) == "boot: "
    line.said += "\r\nno such kernel\r\nboot: "
    assert reader.search(re.compile("no such kernel")) == "no such kernel"
    assert reader.search(re.compile("boot: ")) == "boot: "
    assert reader.search(re.compile("boot: ")) is None


def test_an_empty_line_at_first_hides_nothing(line: Line, reader: SerialReader) -> None:
    line.said = "\r\n"
    assert reader.search(re.compile("login")) is None
    line.said += "Welcome\r\nlogin:\r\n"
    assert reader.search(re.compile("login")) == "login"


def test_half_a_character_is_waited_for(line: Line, reader: SerialReader) -> None:
    line.said = "caf\ufffd"
    assert reader.search(re.compile("x")) is None
    line.said = "café au lait"
    assert reader.search(re.compile("café au lait")) == "café au lait"


OK = "[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mMulti-User System\x1b[0m.\r\n"


def test_what_a_person_reads_is_found(line: Line, reader: SerialReader) -> None:
    line.said = OK
    assert reader.search(re.compile(r"^\[  OK  \] Reached target Multi-User", re.MULTILINE))


def test_a_colour_that_has_come_in_half_hides_nothing(line: Line, reader: SerialReader) -> None:
    for end in range(len(OK)):
        line.said = OK[:end]
        assert reader.search(re.compile("never")) is None
    line.said = OK
    assert reader.search(re.compile("Reached target Multi-User System[.]"))


def test_a_title_that_never_ends_hides_little(line: Line, reader: SerialReader) -> None:
    line.said = "\x1b]0;"
    assert reader.search(re.compile("login")) is None
    line.said += "x" * 5000 + "login: "
    assert reader.search(re.compile("login")) == "login"


def test_a_match_is_found_in_its_line_also_where_its_start_is_consumed(line: Line, reader: SerialReader) -> None:
    line.said = "installer: started\ninstaller: copying files\n"
    assert reader.search(re.compile("\ninstaller:"))
    found = reader.find(re.compile("copying"))
    assert found
    assert found.string[: found.end()].endswith("\ninstaller: copying")


def test_a_flood_is_forgotten(line: Line, reader: SerialReader) -> None:
    for number in range(40):
        line.said += f"line {number}: {Random(number).randbytes(2**15).hex()}\n"
        assert reader.search(re.compile("never")) is None
    assert reader.search(re.compile(r"^line 39", re.MULTILINE)) == "line 39"


@given(st.text(".\nab", max_size=60), st.text(".\nab", max_size=60), st.integers(8, 40))
def test_nothing_is_lost_where_the_start_is_lost(before: str, more: str, kept: int) -> None:
    seen, now = before[-kept:], (before + more)[-kept:]
    found = added(seen, now)
    assert now.endswith(found)
    if len(before) + len(more) <= kept:
        assert found == more
