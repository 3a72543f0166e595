# ruff: noqa: E501 (whole messages, as people read them)
"""`matrix`: many builds of one template, what they are called, and what can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from factory.errors import TemplateError
from factory.template.load import check_all, load, load_all
from factory.template.matrix import MOST_BUILDS
from factory.template.model import Loaded
from factory.template.schema import template_schema
from factory.template.yaml_source import parse_yaml
from tests.template.conftest import TEMPLATE, Project

pytestmark = pytest.mark.unit

VARIABLES = """
variables:
  release: {default: none}
  kernel: {default: none}
  flavour: {default: minimal, choices: [minimal, full]}
"""
TWO_BY_TWO = """
matrix:
  release: [bookworm, trixie]
  flavour: [minimal, full]
"""


def builds(project: Project, more: str, **given: Any) -> tuple[Loaded, ...]:
    return load_all(project.template(VARIABLES + more), **given)


def names(project: Project, more: str, **given: Any) -> list[str]:
    return [b.template.name for b in builds(project, more, **given)]


def problems(project: Project, more: str, **given: Any) -> list[str]:
    project.template(VARIABLES + more)
    return [str(p).removeprefix("images/small.yml:") for p in check_all(Path("images/small.yml"), **given)[1]]


def test_a_template_without_a_matrix_makes_one_build(project: Project) -> None:
    assert names(project, "") == ["small"]


def test_each_combination_is_a_build_named_by_its_values(project: Project) -> None:
    made = builds(project, TWO_BY_TWO)
    assert [b.template.name for b in made] == [
        "small-bookworm-minimal", "small-bookworm-full", "small-trixie-minimal", "small-trixie-full",
    ]  # fmt: skip
    assert [(b.variables["release"], b.variables["flavour"]) for b in made][2] == ("trixie", "minimal")
    assert made[0].origins["release"] == "matrix"
    assert {b.own_name for b in made} == {"small"}, "what answers say of the name is the same: they share a layer"


def test_a_named_choice_sets_several_variables(project: Project) -> None:
    made = builds(
        project,
        'matrix: {release: {"12": {release: bookworm, kernel: "6.1"}, "13": {release: trixie}}, flavour: [full]}\n',
    )
    assert [b.template.name for b in made] == ["small-12-full", "small-13-full"]
    assert [(b.variables["release"], b.variables["kernel"]) for b in made] == [("bookworm", "6.1"), ("trixie", "none")]


def test_excluded_combinations_are_not_built(project: Project) -> None:
    more = TWO_BY_TWO + "  exclude: [{release: trixie, flavour: full}, {release: bookworm, flavour: minimal}]\n"
    assert names(project, more) == ["small-bookworm-full", "small-trixie-minimal"]
    assert names(project, TWO_BY_TWO + "  exclude: [{flavour: full}]\n") == [
        "small-bookworm-minimal",
        "small-trixie-minimal",
    ]


def test_builds_are_chosen_by_name(project: Project) -> None:
    assert names(project, TWO_BY_TWO, only=("*-full",)) == ["small-bookworm-full", "small-trixie-full"]
    assert names(project, TWO_BY_TWO, except_=("*-full", "*trixie*")) == ["small-bookworm-minimal"]


def test_what_is_wrong_with_a_build_that_is_not_chosen_does_not_matter(project: Project) -> None:
    more = "matrix: {flavour: [minimal, huge]}\n"
    assert names(project, more, only=("*-minimal",)) == ["small-minimal"]
    assert problems(project, more) == ["10:29: variable 'flavour': 'huge' is none of minimal, full (in huge)"]


def test_a_name_with_an_expression_is_kept(project: Project) -> None:
    base = TEMPLATE.replace("name: small", 'name: "os-{{ vars.release }}"')
    path = project.template(VARIABLES + "matrix: {release: [a, b]}\n", base=base)
    assert [b.template.name for b in load_all(path)] == ["os-a", "os-b"]
    project.template(VARIABLES + TWO_BY_TWO, base=base)
    found = [str(p) for p in check_all(Path("images/small.yml"))[1]]
    assert found[0].startswith("images/small.yml:2:7: several builds of the matrix are called 'os-bookworm'")


def test_labels_are_made_fit_for_names(project: Project) -> None:
    assert names(project, "matrix: {release: [Debian 12!, 'a/b']}\n") == ["small-debian-12", "small-a-b"]


def test_a_fragment_may_bring_the_matrix(project: Project) -> None:
    project.write("images/_base/two.yml", "variables: {x: {default: 1}}\nmatrix: {x: [1, 2]}\n")
    assert names(project, "extends: _base/two\n") == ["small-1", "small-2"]


def test_a_variable_of_the_matrix_can_not_be_given(project: Project) -> None:
    assert problems(project, TWO_BY_TWO, variables={"release": "sid"}) == [
        "-var: the matrix sets 'release' (choose among its builds with -only)"
    ]


def test_one_template_is_asked_for_and_there_are_several(project: Project) -> None:
    with pytest.raises(TemplateError, match="makes 4 builds: small-bookworm-minimal"):
        load(project.template(VARIABLES + TWO_BY_TWO))


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ("3", ["10:9: a matrix is a mapping (write `matrix: {release: [bookworm, trixie]}`)"]),
        ("{}", ["10:1: a matrix without an axis (write `matrix: {release: [a, b]}`)"]),
        ("{release: x}", ["10:19: the axis 'release' is a list of values (write `release: [a, b]`)"]),
        ("{release: []}", ["10:19: the axis 'release' has no values"]),
        ("{relase: [a]}", ["10:10: an axis sets a variable, and no variable 'relase' is declared (did you mean 'release'?)"]),
        ("{release: [a, A]}", ["10:23: 'A' and 'a' of the axis 'release' would have the same name"]),
        ("{release: [[a]]}", ["10:20: a value of the axis 'release' is a text, a number, true or false (for more than a value write `release: {label: {variable: …}}`)"]),
        ("{release: {a: b}}", ["10:23: 'a' of the axis 'release' sets variables, so it is a mapping (write `a: {variable: value}`, or a list of values)"]),
        ("{release: {a: {kernal: b}}}", ["10:24: no variable 'kernal' is declared (did you mean 'kernel'?)"]),
        ("{release: [a], x: {b: {release: c}}}", ["10:24: the axes 'release' and 'x' both set 'release' (one of them must not)"]),
        ("{release: [a, b], exclude: [{relase: a}]}", ["10:38: the matrix has no axis 'relase' (did you mean 'release'?)"]),
        ("{release: [alfa, beta], exclude: [{release: bta}]}", ["10:53: the axis 'release' has no value 'bta' (did you mean 'beta'?)"]),
        ("{release: [a], exclude: [{release: a}]}", ["10:1: `exclude` leaves nothing of this matrix"]),
        ("{release: [a], exclude: {release: a}}", ["10:33: `exclude` is a list of mappings (write `exclude: [{release: trixie, flavour: full}]`)"]),
        ("{release: ['{{ vars.kernel }}']}", None),
        ("{release: [3]}", ["10:20: variable 'release': expected a text, got the number 3: put it in quotes"]),
    ],
)  # fmt: skip
def test_what_can_be_wrong(project: Project, matrix: str, expected: list[str] | None) -> None:
    if expected is not None:
        assert problems(project, f"matrix: {matrix}\n") == expected
    else:
        assert names(project, f"matrix: {matrix}\n") == ["small-vars.kernel"], "nothing is filled in here"


def test_a_matrix_has_an_upper_bound(project: Project) -> None:
    many = ", ".join(f"v{i}" for i in range(MOST_BUILDS + 1))
    assert problems(project, f"matrix: {{release: [{many}]}}\n") == [
        f"10:1: a matrix makes at most {MOST_BUILDS} builds (split the template)"
    ]


def test_a_name_that_becomes_too_long_is_wrong(project: Project) -> None:
    assert (
        "the matrix makes a build called 'small-" + "x" * 70
        in problems(project, f"matrix: {{release: [{'x' * 70}]}}\n")[0]
    )


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (TWO_BY_TWO, True),
        ("matrix: {release: {a: {release: b}}, exclude: [{release: a}]}", True),
        ("matrix: {release: 3}", False),
        ("matrix: {release: []}", False),
        ("matrix: {exclude: {release: a}}", False),
    ],
)
def test_editors_know_its_shape(text: str, good: bool) -> None:
    document = parse_yaml(TEMPLATE + VARIABLES + text + "\n", Path("x.yml")).plain()
    assert jsonschema.Draft202012Validator(template_schema()).is_valid(document) is good
