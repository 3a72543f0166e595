"""What the watchdog still has to end and to remove when its pipe closes."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.drivers.watchdog import remove, still_open

pytestmark = pytest.mark.unit


def folder(path: str) -> bytes:
    return b"/" + path.encode().hex().encode()


def test_only_what_was_not_closed_is_open() -> None:
    assert still_open([b"+12\n", b"+13\n", b"-12\n", b"+14\n", b"-99\n"]) == ({13, 14}, [])
    one, other = folder("/out/.staging/a\nb"), folder("/out/.staging/two")
    lines = [b"+" + one + b"\n", b"+12\n", b"+" + other + b"\n", b"-" + other + b"\n"]
    assert still_open(lines) == ({12}, [b"/out/.staging/a\nb"])


def test_a_torn_or_strange_line_names_no_group_and_no_folder() -> None:
    # Group 0 would be the watchdog's own, and "+-1" everything: neither must ever come out of a damaged line.
    assert still_open([b"\n", b"+\n", b"+-1\n", b"+1x\n", b"12\n", b"+ 5\n"]) == (set(), [])
    assert still_open([b"+" + folder("/home/me/.staging/one")[:19]]) == (set(), [])
    for path in ("", "/", "//", "here", "../up"):
        assert still_open([b"+" + folder(path) + b"\n"]) == (set(), [])
    assert still_open([b"+/zz\n", b"+/2\n", b"+12"]) == (set(), [])


def test_own_group_and_init_are_never_ended() -> None:
    assert still_open([b"+0\n", b"+1\n"]) == (set(), [])


def test_a_folder_goes_with_the_empty_one_around_it_and_no_further(tmp_path: Path) -> None:
    one, other = tmp_path / ".staging" / "one", tmp_path / ".staging" / "other"
    for place in (one, other):
        (place / "deep").mkdir(parents=True)
        (place / "deep" / "half.raw").write_text("half")
    remove(bytes(one))
    assert [p.name for p in (tmp_path / ".staging").iterdir()] == ["other"]
    remove(bytes(other))
    assert list(tmp_path.iterdir()) == []
    remove(bytes(other))
    assert tmp_path.exists()
