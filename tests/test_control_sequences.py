# ruff: noqa: E501 (what programs write, as it stands)
"""What a person reads of a text that is written for a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.control_sequences import PlainText, numbers, plain, uncut

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("nothing special\n\ttab", "nothing special\n\ttab"),
        ("[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mMulti-User System\x1b[0m.", "[  OK  ] Reached target Multi-User System."),
        ("/ # \x1b[6n", "/ # "),
        ("login: \x1b[?25h\x1b[?2004h", "login: "),
        ("\x1b[=3h\x1b[2J\x1b[01;01HPress \x1b[02;05Hany key", "Press \nany key"),
        ("Shell> \x1b[1m\x1b[33m\x1b[40m", "Shell> "),
        ("* Mounting\x1b[A\x1b[10C[ ok ]", "* Mounting\n[ ok ]"),
        ("name\x1b[5Cvalue", "name     value"),
        ("a\x1b[40000000Cb", "a" + " " * 255 + "b"),
        ("text \x1b7\x1b[32766;32766H\x1b[6n\x1b8goes on", "text goes on"),
        ("10%\r100%\r\r\nnext\n\rlast", "10%\n100%\nnext\nlast"),
        ("\x1b]0;title\x07text\x1b(B\x1b]P0aabbcc. \x1bP1$r0m\x1b\\end", "text. end"),
        ("\x1b]0;a title that never ends\nlogin: ", "0;a title that never ends\nlogin: "),
        ("cut\x1b[12", "cut"),
        ("broken \x1b[12é off", "broken é off"),
        ("\x1b[" + "1" * 5000 + ";1Hfar", "far"),
        ("be\x07ll\x00, \u202edirection", "bell, direction"),
        ("\x9b31mred \u0085next", "red \nnext"),
    ],
)  # fmt: skip
def test_what_a_person_reads(written: str, read: str) -> None:
    assert plain(written) == read


@pytest.mark.parametrize("begun", ["\x1b", "\x1b[", "\x1b[0;3", "\x1b]0;tit", "\x1b]0;title\x1b", "\x1b(", "\x9b1;"])
def test_a_sequence_that_is_cut_waits_for_its_end(begun: str) -> None:
    assert uncut(f"text{begun}") == ("text", begun)


def test_a_sequence_that_never_ends_holds_back_little() -> None:
    text = PlainText()
    assert text.feed("\x1b]0;") == ""
    read = "".join(text.feed("login: " * 100) for _ in range(20))
    assert "login: login: " in read


WRITTEN = st.lists(
    st.sampled_from(["a", "b c", "\n", "\r", "\r\n", "\x1b", "[", "1", ";", "H", "m", "C", "\x1b7", "\x1b8", "]", "\x07",
                     "\x1b[2J", "\x1b[3C", "\x9b", "é", "\x1b[0m", "("]),
    max_size=30,
).map("".join)  # fmt: skip


@given(WRITTEN, st.data())
def test_it_does_not_matter_where_it_is_cut(written: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(written)))
    text = PlainText()
    assert text.feed(written[:at]) + text.feed(written[at:]) == plain(written)


def test_numbers_of_any_length() -> None:
    assert numbers("") == [0]
    assert numbers("3;;0012;" + "9" * 5000) == [3, 0, 12, 99_999]
    assert numbers("?25") == [0]
    assert numbers("²") == [0]


@pytest.mark.parametrize("palette", ["\x1b]R", "\x1b]P0000000"])
def test_text_behind_a_palette_waits_for_nothing(palette: str) -> None:
    """It has no end (console_codes(4)), and a prompt has no line end."""
    assert plain(palette + "login: ") == "login: "
    assert uncut(palette + "login: ") == (palette + "login: ", "")
