"""The terminal behind the serial line."""

from __future__ import annotations

import pytest

from factory.drivers.screen.serial_terminal import Terminal, terminal_lines

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("", ()),
        ("a\r\nb\r\n\r\n", ("a", "b")),
        ("10%\r100%\r\n", ("100%",)),
        ("abc\b\bX", ("aXc",)),
        ("a\tb", ("a       b",)),
        ("\x1b[31mred\x1b[0m plain", ("red plain",)),
        ("\x1b[2J\x1b[01;01HPress \x1b[02;05Hany key", ("Press", "    any key")),
        ("one\r\ntwo\x1b[A\rONE", ("ONE", "two")),
        ("abcdef\x1b[3D\x1b[K", ("abc",)),
        ("abcdef\x1b[3D\x1b[1K", ("   def",)),
        ("x\x1b[5Cy\x1b[2Gz", ("xz    y",)),
        ("\x1b]0;title\x07text\x1b(B", ("text",)),
        ("above\r\nhere\x1b[1;1H\x1b[J", ()),
    ],
)
def test_sequences(written: str, shown: tuple[str, ...]) -> None:
    assert terminal_lines(written) == shown


def test_it_does_not_matter_how_text_is_cut() -> None:
    terminal = Terminal()
    for part in ("he", "llo\r", "\nworld"):
        terminal.feed(part)
    assert terminal.screen() == ("hello", "world")


def test_old_lines_scroll_away() -> None:
    assert terminal_lines("".join(f"{n}\r\n" for n in range(100)), rows=25)[0] == "76"


def test_a_cleared_screen_begins_anew() -> None:
    assert terminal_lines("old\r\nlines\x1b[2J\x1b[Hnew") == ("new",)


def test_long_lines_are_not_cut() -> None:
    line = "x" * 300
    assert terminal_lines(line) == (line,)
