"""The terminal behind the serial line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("abcdef\x1b[3D\x1b[1K", ("    ef",)),
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


MEASURES = "\x1b7\x1b[32766;32766H\x1b[6n\x1b8"
"""What systemd and xterm's `resize` ask a terminal for its size with."""


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (f"[  OK  ] Started\n{MEASURES}login: ", ("[  OK  ] Started", "login:")),
        ("first\n\x1b[32766;32766H\x1b[40000000dlast", ("first", *[""] * 23, " " * 255 + "last")),
        ("first\n\x1b[40000000;1Hlast", ("first", *[""] * 23, "last")),
        ("first\n\x1b[" + "7" * 5000 + ";1Hlast", ("first", *[""] * 23, "last")),
        ("a\x1b[99999Bb\x1b[99999Ac", ("a c", *[""] * 23, " b")),
        ("a\x1b[99999Cb", ("a" + " " * 254 + "b",)),
        ("\x1b[=3h\x1b[2J\x1b[01;01Hfirmware\x1b[>c\x1b[<1u\x1b[?25l", ("firmware",)),
        ("one\x1b7\ntwo\x1b8!", ("one!", "two")),
        ("one\x1b[s\ntwo\x1b[u!", ("one!", "two")),
        ("abcdef\x1b[4G\x1b[2P", ("abcf",)),
        ("abcdef\x1b[4G\x1b[2@", ("abc  def",)),
        ("abcdef\x1b[2G\x1b[2X", ("a  def",)),
        ("a\nb\nc\x1b[2;1H\x1b[Lnew", ("a", "new", "b", "c")),
        ("a\nb\nc\x1b[2;1H\x1b[M", ("a", "c")),
        ("a\nb\nc\x1b[S", ("b", "c")),
        ("a\nb\x1b[T", ("", "a", "b")),
        ("a\nb\nc\nd\x1b[2;3r\x1b[3;1H\nnew", ("a", "c", "new", "d")),
        ("a\nb\nc\x1b[1;3r\x1b[1;1H\x1bMnew", ("new", "a", "b")),
        ("ab\x1bDc\x1bEd", ("ab", "  c", "d")),
        ("old\x1bcnew", ("new",)),
        ("main\x1b[?1049h\x1b[Heditor\x1b[?1049l!", ("main!",)),
        ("main\x1b[?1049h\x1b[Heditor", ("editor",)),
        ("\x1b(0lqqk\x1b(B text", ("┌──┐ text",)),
        ("\x1b)0\x0exax\x0f text", ("│▒│ text",)),
        ("-\x1b[4b", ("-----",)),
        ("abc\x1b[1G\x1b[4hX\x1b[4lY", ("XYbc",)),
        ("kept\x1b[3J", ("kept",)),
        ("a\nbcd\x1b[2G\x1b[1J", ("", "  d")),
        ("\x1b[!p\x1b]104\x1b\\\x1b[?7h\x1b[1G\x1b[0Jsystemd", ("systemd",)),
        ("tail\x1b[3", ("tail",)),
    ],
)  # fmt: skip
def test_what_programs_on_serial_lines_write(written: str, shown: tuple[str, ...]) -> None:
    assert terminal_lines(written) == shown


def test_a_sequence_may_be_cut_anywhere() -> None:
    written = f"one\n{MEASURES}\x1b]0;title\x07two\x1b(0q\x1b(B"
    for cut in range(len(written)):
        terminal = Terminal()
        terminal.feed(written[:cut])
        terminal.feed(written[cut:])
        assert terminal.screen() == ("one", "two─")


SEQUENCE = st.one_of(
    st.text("ab \t\n\r\b\x0b\x0e\x0f\x84\x8d", max_size=8),
    st.builds(
        lambda start, parameters, final: f"{start}{parameters}{final}",
        st.sampled_from(["\x1b[", "\x9b", "\x1b[?", "\x1b[!"]),
        st.lists(st.sampled_from(["", "0", "1", "2", "5", "24", "1049", "47", "6", "32766", "9" * 40]), max_size=3).map(
            ";".join
        ),
        st.characters(min_codepoint=0x40, max_codepoint=0x7E),
    ),
    st.builds(lambda final: f"\x1b{final}", st.characters(min_codepoint=0x20, max_codepoint=0x7E)),
    st.text(max_size=5),
)


@given(st.lists(SEQUENCE, max_size=60).map("".join), st.integers(1, 30))
def test_whatever_is_written_costs_little(written: str, rows: int) -> None:
    shown = terminal_lines(written, rows)
    assert len(shown) <= rows
    assert max(map(len, shown), default=0) <= 256 + 8 * len(written)


def test_a_character_is_not_repeated_beyond_the_edge() -> None:
    assert terminal_lines("x" * 256 + "\x1b[3b") == ("x" * 256,)
    assert terminal_lines("x" * 256 + "\x1b[3b\x1b[2by") == ("x" * 256 + "y",)
