# ruff: noqa: E501 (whole messages, as people read them)
"""`extends`: order, merging, appending, and everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import Problem
from factory.template.fragments import assemble, merged
from factory.template.yaml_source import Node, parse_yaml
from tests.template.conftest import Project

pytestmark = pytest.mark.unit


def assembled(project: Project) -> tuple[Any, list[str]]:
    assembly = assemble(Path("images/small.yml"), [project.root / "images"])
    return assembly.root.plain(), [str(p) for p in assembly.problems]


def test_fragments_apply_in_order_and_the_template_last(project: Project) -> None:
    project.write("images/_base/one.yml", "a: one\nm: {x: 1, y: {z: 1}}\nl: [1]\nonly: one\n")
    project.write("images/_base/two.yml", "a: two\nm: {y: {w: 2}}\nl: [2]\n")
    project.write("images/small.yml", "extends: [_base/one, _base/two.yml]\nm: {x: 3}\nb: null\n")
    plain, problems = assembled(project)
    assert problems == []
    assert plain == {
        "a": "two",
        "m": {"x": 3, "y": {"z": 1, "w": 2}},
        "l": [2],
        "only": "one",
        "extends": ["_base/one", "_base/two.yml"],
        "b": None,
    }


def test_a_plus_appends_through_several_fragments(project: Project) -> None:
    project.write("images/_base/zero.yml", "l: [0]\n")
    project.write("images/_base/one.yml", "extends: zero\nl+: [1]\nm: {deep+: [a]}\n")
    project.write("images/_base/two.yml", "extends: [zero]\nl+: [2]\nm: {deep+: [b]}\n")
    project.write("images/small.yml", "extends: [_base/one, _base/two]\nl+: [3]\nnew+: [x]\n")
    plain, problems = assembled(project)
    assert problems == []
    assert plain["l"] == [0, 1, 2, 3]  # zero is there once, although two fragments extend it
    assert plain["m"] == {"deep": ["a", "b"]}
    assert plain["new"] == ["x"]


def test_fragments_are_found_beside_the_file_then_in_images(project: Project) -> None:
    project.write("images/common.yml", "where: images\n")
    project.write("images/_base/one.yml", "extends: [common, near]\n")
    project.write("images/_base/near.yml", "near: yes\n")
    project.write("images/small.yml", "extends: _base/one\n")
    plain, problems = assembled(project)
    assert problems == []
    assert (plain["where"], plain["near"]) == ("images", "yes")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"small": "extends: [_base/nope]"},
            "images/small.yml:1:11: there is no fragment '_base/nope' (looked for _base/nope.yml in images/)",
        ),
        ({"small": "extends: [small]"}, "images/small.yml:1:11: extends itself: small.yml → small.yml"),
        (
            {"small": "extends: a", "a": "extends: b", "b": "extends: [a]"},
            "images/b.yml:1:11: extends itself: small.yml → a.yml → b.yml → a.yml",
        ),
        ({"small": "extends: [1]"}, "images/small.yml:1:11: expected the name of a fragment"),
        ({"small": "extends: a", "a": "x: ["}, "images/a.yml:1:5: not YAML: did not find expected node content "
                                               "(while parsing a flow node)"),
        ({"small": "l: [1]\nl+: [2]"}, "images/small.yml:2:1: both 'l' and 'l+' are given (keep one of them)"),
        ({"small": "l+: 1"}, "images/small.yml:1:5: 'l+' appends to a list, so it must be one (write `- …` lines below it)"),
        (
            {"small": "extends: a\nl+: [1]", "a": "l: {x: 1}"},
            "images/small.yml:2:1: 'l' is not a list in what this extends (images/a.yml:1:4)",
        ),
    ],
)  # fmt: skip
def test_problems_of_fragments(project: Project, files: dict[str, str], expected: str) -> None:
    for name, text in files.items():
        project.write(f"images/{name}.yml", text)
    assert assembled(project)[1] == [expected]


def test_values_keep_the_places_of_their_files(project: Project) -> None:
    project.write("images/_base/one.yml", "# a comment\nmachine: {sizee: 1}\n")
    problems = project.problems("extends: [_base/one]\n")
    assert [p for p in problems if "sizee" in p] == [
        "images/_base/one.yml:2:11: unknown field 'sizee' in `machine` (known here: arch, cpu, cpus, disks, display, "
        "extra_args, firmware, memory, nics, replaced_switches, tpm, type)"
    ]


names = st.text("abc", min_size=1, max_size=2)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=3),
    lambda inner: st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
mappings = st.dictionaries(names, trees, max_size=4)


def node_of(value: Any) -> Node:
    document = parse_yaml("{}", Path("t.yml")).document
    if isinstance(value, dict):
        return Node({k: node_of(v) for k, v in value.items()}, document, 1, 1)
    return Node([node_of(v) for v in value] if isinstance(value, list) else value, document, 1, 1)


def merge(*parts: dict[str, Any]) -> Any:
    problems: list[Problem] = []
    whole: Node | None = None
    for part in parts:
        whole = merged(whole, node_of(part), problems)
    assert problems == []
    return whole.plain() if whole else None


@given(mappings)
def test_merging_with_itself_or_nothing_changes_nothing(value: dict[str, Any]) -> None:
    assert merge(value) == merge(value, value) == merge({}, value) == merge(value, {}) == value


@given(mappings, mappings, mappings)
def test_merging_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert merge(merge(a, b), c) == merge(a, b, c)


@given(mappings, mappings)
def test_what_is_above_wins(below: dict[str, Any], above: dict[str, Any]) -> None:
    result = merge(below, above)
    assert set(result) == set(below) | set(above)
    for key, value in above.items():
        assert isinstance(value, dict) or result[key] == value
    for key in set(below) - set(above):
        assert result[key] == below[key]


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=4))
def test_appended_lists_come_in_the_order_of_the_files(parts: list[list[int]]) -> None:
    assert merge(*({"l+": part} for part in parts)) == {"l": [n for part in parts for n in part]}
