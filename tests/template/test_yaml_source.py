# ruff: noqa: E501 (whole messages, as people read them)
"""YAML as we read it: the core schema, places of everything, bounds."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import Problem, TemplateError
from factory.template.yaml_source import DEEPEST, LARGEST_FILE, MOST_VALUES, Node, parse_yaml, read_yaml

pytestmark = pytest.mark.unit


def parsed(text: str) -> Node:
    return parse_yaml(text, Path("t.yml"), "t.yml")


def problems(text: str) -> list[str]:
    with pytest.raises(TemplateError) as caught:
        parsed(text)
    return [str(p) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("y", "y"), ("true", True), ("False", False), ("tRue", "tRue"),
        ("~", None), ("", None), ("null", None), ("NULL", None), ("nULL", "nULL"),
        ("12", 12), ("+12", 12), ("-0", 0), ("0644", 644), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"), ("1_000", "1_000"),
        ("1e3", 1000.0), ("1.5", 1.5), (".5", 0.5), ("-1.", -1.0), (".inf", math.inf), ("-.INF", -math.inf),
        ("1.2.3", "1.2.3"), ("12:30:45", "12:30:45"), ("2024-01-01", "2024-01-01"), ("'12'", "12"), ('"true"', "true"),
        ("! 12", "12"), ("!!str 12", "12"), ("0o8", "0o8"), ("=", "="), ("\u0661", "\u0661"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(written: str, value: Any) -> None:
    read = parsed(f"a: {written}").plain()["a"]
    assert read == value
    assert type(read) is type(value)


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(parsed("a: .nan").plain()["a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "t.yml:2:1: 'a' is written twice (the first is on line 1)"),
        ("b: {x: 1, x: 2}", "t.yml:1:11: 'x' is written twice (the first is on line 1)"),
        ("a: &x 1\nb:\n  <<: *x", "t.yml:3:3: merge keys (`<<`) are not part of YAML 1.2 (share parts with `extends`)"),
        ("a: !vault x", "t.yml:1:4: the tag !vault is not known (templates have no tags)"),
        ("a: !!int 1", "t.yml:1:4: the tag !!int is not known (templates have no tags)"),
        ("a: !!set {x}", "t.yml:1:4: the tag !!set is not known (templates have no tags)"),
        ("a: 1\n---\nb: 2", "t.yml:2:1: a second document begins here (a template is one document: remove the `---`)"),
        ("", "t.yml:1:1: expected a mapping at the top (the file is empty)"),
        ("# only a comment\n", "t.yml:1:1: expected a mapping at the top (the file is empty)"),
        ("- a", "t.yml:1:1: expected a mapping at the top (write `key: value` lines)"),
        ("a:\n\t- b", "t.yml:2:1: a tab indents this line (YAML is indented with spaces only)"),
        ("a: b\n\tc: d", "t.yml:2:1: a tab indents this line (YAML is indented with spaces only)"),
        ("a: {{ vars.x }}", 't.yml:1:5: a text that begins with {{ must be quoted (write key: "{{ … }}")'),
        ("a: {{ vars.x }}/y", 't.yml:1:5: a text that begins with {{ must be quoted (write key: "{{ … }}")'),
        ("- {{ x }}", 't.yml:1:4: a text that begins with {{ must be quoted (write key: "{{ … }}")'),
        ("? [a]\n: 1", "t.yml:1:3: a key must be a text"),
        ("a: *b", "t.yml:1:4: there is no anchor '&b' above"),
        ("a: &b [1, *b]", "t.yml:1:11: '*b' is used inside '&b' itself"),
        ("a: @b", "t.yml:1:4: not YAML: a value can't begin with this character (quote it)"),
        ("a: 'b", "t.yml:1:6: not YAML: a quote is never closed"),
        ('a: "\\q"', "t.yml:1:5: not YAML: an escape that \"…\" does not know (use '…' for a text with backslashes)"),
        ("a: b: c", "t.yml:1:5: not YAML: a `:` where no mapping can begin (check the indentation, and quote a text that "
                    "holds ': ')"),
        ("a: 'b'c", "t.yml:1:7: not YAML: expected a key (check the indentation and the quotes of this line and the one "
                    "above)"),
        ("a: - b", "t.yml:1:4: not YAML: a list can't begin on this line"),
        ("a: [b", "t.yml:1:6: not YAML: did not find expected ',' or ']' (while parsing a flow sequence)"),
        ("a: [b\n\n", "t.yml:2:1: not YAML: did not find expected ',' or ']' (while parsing a flow sequence)"),
        ("a: b\0", "t.yml:1:5: not YAML: control characters are not allowed"),
        (f"a: {'9' * 5000}", "t.yml:1:4: this number is too long"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, message: str) -> None:
    assert problems(text) == [message]


def test_the_line_comes_with_the_problem() -> None:
    with pytest.raises(TemplateError) as caught:
        parsed("a: 1\n  b: [\n")
    assert caught.value.problems[0].source_line == "  b: ["


def test_every_key_that_is_no_text_is_named() -> None:
    assert problems("1: 2\n[a, b]: c\n? {x: {[y]: z}}\n: z\na: !x 1\n? - b\n: [{c: 1, [d]: 2}]\n") == [
        "t.yml:2:1: a key must be a text",
        "t.yml:3:3: a key must be a text",
        "t.yml:5:4: the tag !x is not known (templates have no tags)",
        "t.yml:6:3: a key must be a text",
        "t.yml:7:11: a key must be a text",
    ]
    unquoted = 'a text that begins with {{ must be quoted (write key: "{{ … }}")'
    assert problems("a: {{ x }}\nb: {{ y }}\n") == [f"t.yml:1:5: {unquoted}", f"t.yml:2:5: {unquoted}"]
    assert problems("a: {{ x | default('a') }}\n") == [f"t.yml:1:5: {unquoted}"]


def test_what_is_wrong_beside_a_key_that_is_no_text_is_told_with_it() -> None:
    doubled: list[Problem] = []
    root = parse_yaml("a: 1\n[b]: c\nd: 2\n", Path("t.yml"), "t.yml", doubled)
    assert root.plain() == {"a": 1, "d": 2}
    assert [str(p) for p in doubled] == ["t.yml:2:1: a key must be a text"]


def test_several_problems_are_reported_together() -> None:
    assert len(problems("a: 1\na: 2\nb: !x 1\nc: *nowhere")) == 3


def test_deep_nesting_is_refused_and_does_not_crash() -> None:
    """libyaml's own composer overflows the C stack here."""
    assert problems("[" * 200_000) == [f"t.yml:1:{DEEPEST + 2}: nested deeper than {DEEPEST} levels"]
    assert "nested deeper" in problems("a: " + "{a: " * 200)[0]
    assert problems("a: " + "{" * 200_000) == [
        't.yml:1:5: a text that begins with {{ must be quoted (write key: "{{ … }}")'
    ]


def test_aliases_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert f"more than {MOST_VALUES} values" in problems("\n".join(lines))[0]


def test_aliases_within_bounds_are_values_of_their_own_places() -> None:
    root = parsed("a: &x {k: v}\nb: *x\n")
    assert root.plain() == {"a": {"k": "v"}, "b": {"k": "v"}}
    alias = root.at("b")
    assert alias is not None
    assert (alias.key_line, alias.line) == (2, 1)


def test_every_value_knows_its_place() -> None:
    root = parsed("a:\n  - b: 1\n    'c d':   x\n  -\n    y\n")
    node = root.at("a", 0, "c d")
    assert node is not None
    assert (node.line, node.column, node.key_line, node.key_column) == (3, 14, 3, 5)
    item = root.at("a", 1)
    assert item is not None
    assert (str(item.place), item.key_line) == ("t.yml:5:5", 0)
    assert root.at("a", 7) is None
    assert root.at("a", 0, "b", "no") is None
    assert str(root.at("a", 0, "b").key_problem("m")) == "t.yml:2:5: m"  # type: ignore[union-attr]
    assert str(item.key_problem("m")) == "t.yml:5:5: m"


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("a: hello", 2, (1, 6)),
        ("a: 'it''s x'", 5, (1, 11)),
        ('a: "t\\tx\\u00e4y"', 4, (1, 15)),
        ("a: |\n  one\n    two\n", 6, (3, 5)),
        ("a: |\n  one\n    two\n", 0, (2, 3)),
        ("a: |\n\n  one\n", 1, (3, 3)),
        ("a: >\n  one\n  two\n", 5, (1, 4)),
        ("a: one\n  two\n", 5, (1, 4)),
        ("a: 12", 0, (1, 4)),
    ],
)
def test_characters_of_a_text_are_found_where_they_can_be(text: str, offset: int, place: tuple[int, int]) -> None:
    node = parsed(text).at("a")
    assert node is not None
    assert node.position(offset) == place


def test_files(tmp_path: Path) -> None:
    def reading(content: bytes) -> str:
        path = tmp_path / "f.yml"
        path.write_bytes(content)
        with pytest.raises(TemplateError) as caught:
            read_yaml(path)
        return str(caught.value).removeprefix(str(tmp_path) + "/")

    good = tmp_path / "good.yml"
    good.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
    assert read_yaml(good).plain() == {"a": 1, "b": "x"}
    json_file = tmp_path / "good.json"
    json_file.write_bytes(b'{"a":"\\ud83d\\ude00 \\u00e4",\n\t"b":1}')
    assert read_yaml(json_file).plain() == {"a": "\U0001f600 ä", "b": 1}
    assert reading(b"a: 1\nb: \xff") == "f.yml:2:4: isn't UTF-8: byte 0xff (save it as UTF-8)"
    assert "is larger than 1 MiB" in reading(b" " * (LARGEST_FILE + 1))
    with pytest.raises(TemplateError, match="can't read it: No such file"):
        read_yaml(tmp_path / "none.yml")
    with pytest.raises(TemplateError, match="can't read it: Is a directory"):
        read_yaml(tmp_path)


texts = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_categories=("Cc", "Zl", "Zp")))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(texts, values, max_size=5), st.sampled_from([None, 2]))
def test_json_is_read_as_json(value: dict[str, Any], indent: int | None) -> None:
    assert parsed(json.dumps(value, ensure_ascii=False, indent=indent)).plain() == value


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    problems: Sequence[Problem] = ()
    try:
        assert isinstance(parsed(text).plain(), dict)
    except TemplateError as error:
        problems = error.problems
    assert all(p.place and p.place.line >= 1 for p in problems)


@given(st.text(alphabet="ab'\"\\ \tä:#{}[]&*!|>-?\n", min_size=1, max_size=30), st.data())
def test_positions_point_at_the_character(text: str, data: st.DataObject) -> None:
    """In every style that a writer chooses, a position is either the start of the value or the character itself."""
    written = yaml.safe_dump({"a": text}, allow_unicode=True, width=10_000)
    node = parsed(written).at("a")
    assert node is not None
    assert node.value == text
    offset = data.draw(st.integers(0, len(text) - 1))
    line, column = node.position(offset)
    assert 1 <= line <= written.count("\n") + 1
    shown = written.split("\n")[line - 1][column - 1 : column]
    assert (line, column) == (node.line, node.column) or shown in (text[offset], "\\", "'", "")


def test_a_key_written_twice_leaves_the_rest_readable() -> None:
    doubled: list[Problem] = []
    root = parse_yaml("a: 1\na: 2\nb: 3", Path("t.yml"), "t.yml", doubled)
    assert root.plain() == {"a": 1, "b": 3}
    assert [str(p) for p in doubled] == ["t.yml:2:1: 'a' is written twice (the first is on line 1)"]


def test_a_pipe_that_nobody_writes_to_is_empty(tmp_path: Path) -> None:
    pipe = tmp_path / "t.yml"
    os.mkfifo(pipe)
    with pytest.raises(TemplateError, match="expected a mapping at the top"):
        read_yaml(pipe)


def test_a_device_without_an_end_is_too_large() -> None:
    with pytest.raises(TemplateError, match="is larger than"):
        read_yaml(Path("/dev/zero"))
