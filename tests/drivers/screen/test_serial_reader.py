"""What is new on a serial line that says the same again and again."""

from __future__ import annotations

import re
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


@given(st.text(".\nab", max_size=60), st.text(".\nab", max_size=60), st.integers(8, 40))
def test_nothing_is_lost_where_the_start_is_lost(before: str, more: str, kept: int) -> None:
    seen, now = before[-kept:], (before + more)[-kept:]
    found = added(seen, now)
    assert now.endswith(found)
    if len(before) + len(more) <= kept:
        assert found == more
