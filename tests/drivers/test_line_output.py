from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.drivers.line_output import Lines, Tail
from factory.quantity import Size

pytestmark = pytest.mark.unit


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 40))
def test_a_tail_is_the_end_of_what_came(pieces: list[bytes], limit: int) -> None:
    tail = Tail(Size(limit))
    for piece in pieces:
        tail.add(piece)
    assert tail.text() == b"".join(pieces)[-limit:].decode("utf-8", "replace")


@given(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_where_the_stream_is_cut(text: str, cuts: list[int]) -> None:
    data = text.encode()
    lines, found, last = Lines(), list[str](), 0
    for cut in [*sorted(c for c in cuts if c < len(data)), len(data)]:
        found += lines.add(data[last:cut])
        last = cut
    found += lines.end()
    expected = text.split("\n")
    assert found == (expected if expected[-1] else expected[:-1])


def test_a_progress_bar_shows_its_last_state() -> None:
    lines = Lines()
    assert lines.add(b"10%\r50%\r100%\r\nnext\r\n") == ["100%", "next"]
    assert lines.add(b"\r\n") == [""]


def test_a_line_without_end_comes_in_pieces() -> None:
    lines = Lines()
    assert [len(line) for line in lines.add(b"x" * 150_000)] == [65536, 65536]
    assert len(lines.end()[0]) == 150_000 - 2 * 65536


def test_broken_text_is_shown_and_not_refused() -> None:
    lines = Lines()
    assert lines.add(b"\xff\n\xc3") == ["\ufffd"]
    assert lines.add(b"\xbc\n") == ["ü"]
