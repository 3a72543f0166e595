from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.drivers.seed_request import (
    ByteRange,
    RangeNotSatisfiable,
    clean_name,
    closest,
    file_below,
    mark_of,
    parse_range,
    split_token,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/tok/a", "a"),
        ("/tok/a/b", "a/b"),
        ("//tok/a", "a"),
        ("/tok", ""),
        ("/tok/", ""),
        ("/tik/a", None),
        ("/", None),
    ],
)
def test_token(path: str, expected: str | None) -> None:
    assert split_token(path, "tok") == expected


def test_token_of_another_script_is_compared_too() -> None:
    assert split_token("/ţok/a", "tok") is None
    assert split_token("/\udcff/a", "tok") is None


@pytest.mark.parametrize("path", ["", "/", "..", "../x", "a/../../x", "a/.", "folder/", "a\\..\\b", "a\0b", "a\nb"])
def test_refused_names(path: str) -> None:
    assert clean_name(path) is None


@pytest.mark.parametrize(
    ("path", "name"), [("a", "a"), ("/a", "a"), ("a//b", "a/b"), ("..a/b..", "..a/b.."), ("é", "é")]
)
def test_accepted_names(path: str, name: str) -> None:
    assert clean_name(path) == name


@given(st.text())
def test_no_name_leads_out(text: str) -> None:
    name = clean_name(unquote(text))
    if name is not None:
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert "." not in name.split("/")
        assert clean_name(name) == name


@given(st.lists(st.sampled_from(["..", ".", "a", "link", "inside", "secret", "%2e%2e", "", "/", "\\.."]), max_size=6))
def test_file_below_never_leaves_its_root(parts: list[str]) -> None:
    # One tree for all examples: hypothesis and function-scoped fixtures don't go together.
    for spelling in ("/".join(parts), quote("/".join(parts)), unquote("/".join(parts))):
        found = file_below(_ROOT, spelling)
        assert found is None or found.is_relative_to(_ROOT.resolve())


_ROOT = Path(__file__).parent


def test_links_out_of_the_root_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "seed"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (root / "file").write_text("y")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "outfolder").symlink_to(tmp_path)
    (root / "in").symlink_to("file")
    (root / "loop").symlink_to("loop")
    assert file_below(root, "out") is None
    assert file_below(root, "outfolder/secret") is None
    assert file_below(root, "loop") is None
    assert file_below(root, "sub") is None
    assert file_below(root, "/file") is None
    assert file_below(root, "missing") is None
    assert file_below(root, "file") == (root / "file").resolve()
    assert file_below(root, "in") == (root / "file").resolve()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", ByteRange(0, 10)),
        ("bytes=2-4", ByteRange(2, 5)),
        ("bytes=2-400", ByteRange(2, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-30", ByteRange(0, 10)),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=" + "9" * 5000 + "-", None),  # more digits than Python reads
        ("lines=0-1", None),
        ("nonsense", None),
    ],
)
def test_ranges(header: str | None, expected: ByteRange | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_ranges_outside(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable, match=str(size)):
        parse_range(header, size)


@given(st.text(alphabet="bytes=-,0123456789 ", max_size=20), st.integers(0, 1000))
def test_a_range_is_never_outside(header: str, size: int) -> None:
    try:
        found = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found.start < found.end <= size


def test_closest_names() -> None:
    names = ["preseed.cfg", "late.sh", "sub/user-data", "META-DATA"]
    assert closest("presed.cfg", names)[0] == "preseed.cfg"
    assert closest("user-data", names)[0] == "sub/user-data"
    assert closest("meta-data", names)[0] == "META-DATA"
    assert closest("zzzz", names) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [("_events/up", "up"), ("_events/a.b-c_d", "a.b-c_d"), ("_events/", None), ("_events/a/b", None), ("up", None)],
)
def test_marks(name: str, word: str | None) -> None:
    assert mark_of(name) == word
