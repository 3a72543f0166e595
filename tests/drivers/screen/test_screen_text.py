"""What is found on a screen that was read, and what an error quotes of it."""

from __future__ import annotations

import re

import pytest

from factory.boot_command.parse import parse
from factory.drivers.screen.senses import ScreenText, Sense

pytestmark = pytest.mark.unit


def screen(*lines: str, columns: int = 80) -> ScreenText:
    return ScreenText(lines, Sense.VGA_MEMORY, 1.0, columns)


@pytest.mark.parametrize("columns", [80, 0])
@pytest.mark.parametrize(
    ("wait", "lines"),
    [
        ('<waitText "boot: " 8s>', ("ISOLINUX 6.04", "", "boot:")),
        ("<waitText /# $/ 8s>", ("BusyBox v1.36", "/ #")),
        ("<waitText /^boot: $/ 8s>", ("boot:", "more")),
        ('<waitText "boot:" 8s>', ("boot:",)),
        ("<waitText /boot:$/ 8s>", ("boot:",)),
    ],
)
def test_a_text_that_ends_in_a_blank_is_found(wait: str, lines: tuple[str, ...], columns: int) -> None:
    (action,) = parse(wait).actions
    assert screen(*lines, columns=columns).search(action.pattern.compiled())  # type: ignore[union-attr]


def test_blanks_go_to_the_screens_edge_and_no_further() -> None:
    assert screen("ab", columns=10).search(re.compile("ab {8}$"))
    assert not screen("ab", columns=10).search(re.compile("ab {9}"))
    assert not screen("0123456789", columns=10).search(re.compile("9 "))


def test_a_blank_at_the_edge_where_the_console_broke_the_line() -> None:
    assert screen("press any", "key", columns=10).search(re.compile("any key"))
    assert not screen("press an", "key", columns=10).search(re.compile("an key"))


def test_what_is_not_there_is_not_found() -> None:
    assert not screen("boot:", "> install").search(re.compile(r"boot: +\w"))


@pytest.mark.parametrize(
    ("lines", "quoted"),
    [
        (("hello", "/ #"), "hello\n/ #"),
        (("hello", "", "  $"), "hello\n$"),
        (("a", "=>"), "a\n=>"),
        (("┌──────┐", "│ Menu │", "│      │", "└──────┘", "+------+", "======", "#####", "▒▒▒"), "│ Menu │"),
        (("", "   "), ""),
    ],
)
def test_what_an_error_quotes(lines: tuple[str, ...], quoted: str) -> None:
    assert screen(*lines).excerpt() == quoted
