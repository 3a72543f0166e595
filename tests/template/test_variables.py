# ruff: noqa: E501 (whole messages, as people read them)
"""Variables: where values come from, how they are read, and what is said when they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from factory.quantity import Duration, Size
from factory.secret import Secret
from factory.template.model import LateText
from factory.template.variables import described, texts_in
from tests.template.conftest import Project

pytestmark = pytest.mark.unit


def value_of(project: Project, declaration: str, **given: Any) -> Any:
    return project.load(f"variables: {{x: {declaration}}}\n", **given).variables.get("x")


@pytest.mark.parametrize(
    ("declaration", "text", "value"),
    [
        ("{}", "a b", "a b"),
        ("{}", "12", "12"),
        ("{type: number}", "12", 12),
        ("{type: number}", "1.5", 1.5),
        ("{default: 3}", "4", 4),
        ("{default: true}", "false", False),
        ("{type: bool}", "true", True),
        ("{type: size}", "2 GiB", Size(2 * 2**30)),
        ("{type: duration}", "1m", Duration(60)),
        ("{type: list}", "[a, 1]", ["a", 1]),
        ("{default: [a]}", "b, c", ["b", "c"]),
        ("{type: list}", "", []),
        ("{default: {a: 1}}", "{b: 2}", {"b": 2}),
        ("{choices: [a, b]}", "b", "b"),
        ("{pattern: '[a-z]+'}", "abc", "abc"),
    ],
)
def test_texts_are_read_as_the_type_of_their_variable(
    project: Project, declaration: str, text: str, value: Any
) -> None:
    for given in ({"variables": {"x": text}}, {"environ": {"FACTORY_VAR_x": text}}):
        read = value_of(project, declaration, **given)
        assert read == value
        assert type(read) is type(value)


@pytest.mark.parametrize(
    ("declaration", "text", "message"),
    [
        ("{type: number}", "abc", "-var x: variable 'x': expected a number, got the text 'abc'"),
        ("{type: number}", "true", "-var x: variable 'x': expected a number, got true"),
        ("{type: bool}", "yes", "-var x: variable 'x': expected true or false, got the text 'yes'"),
        ("{type: bool}", "1", "-var x: variable 'x': expected true or false, got the number 1"),
        ("{type: map}", "[a]", "-var x: variable 'x': expected a mapping, got a list"),
        ("{type: map}", "{a", "-var x: variable 'x': expected a mapping, got the text '{a'"),
        ("{type: size}", "2 Gobs", "-var x: variable 'x': '2 Gobs' is not a size: write a number with B, KiB, MiB, GiB, "
                                   "TiB, KB, MB, GB or TB"),
        ("{type: duration}", "", "-var x: variable 'x': an empty text is not a duration: write '90s' or '5m'"),
        ("{choices: [a, b]}", "c", "-var x: variable 'x': 'c' is none of a, b"),
        ("{pattern: '[a-z]+'}", "a1", "-var x: variable 'x': 'a1' does not match [a-z]+"),
        ("{sensitive: true, type: number}", "hunter2", "-var x: variable 'x': expected a number, got something else"),
        ("{sensitive: true, type: size}", "hunter2", "-var x: variable 'x': not a number with a unit"),
        ("{sensitive: true, pattern: a}", "hunter2", "-var x: variable 'x': the value does not match a"),
        ("{sensitive: true, choices: [a]}", "hunter2", "-var x: variable 'x': the value is none of a"),
    ],
)  # fmt: skip
def test_wrong_values(project: Project, declaration: str, text: str, message: str) -> None:
    assert project.problems(f"variables: {{x: {declaration}}}\n", variables={"x": text}) == [message]


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("{type: string, default: 3}", "5:40: variable 'x': expected a text, got the number 3: put it in quotes"),
        ("{type: size, default: 1.5}", "5:38: variable 'x': expected a text with a unit, got the number 1.5"),
        ("{choices: [a], default: b}", "5:40: variable 'x': 'b' is none of a"),
        ("{default: auto}", "5:13: variable 'x' is `auto`, but this host can't say it (give it: -var x=…, "
                            "FACTORY_VAR_x=… or a variable file; this host knows: timezone)"),
        ("{required: true}", "5:13: variable 'x' needs a value (give it: -var x=…, FACTORY_VAR_x=… or a variable file)"),
        ("{default: '{{ name }}'}", "5:26: a default is a plain value: nothing is filled in here"),
        ("{defualt: 1}", "5:17: unknown field 'defualt' in `x` (did you mean 'default'?)"),
        ("3", "5:16: `x`: expected a mapping, got the number 3"),
        ("{type: text}", "5:23: `type` can't be 'text' (known: bool, duration, list, map, number, size, string)"),
        ("{generate: pasword}", "5:27: `generate` can't be 'pasword' (did you mean 'password'?)"),
        ("{generate: hex, default: a}", "5:13: variable 'x' has a default, so it is never generated (keep `generate` or "
                                        "`default`)"),
        ("{required: true, default: a}", "5:17: variable 'x' is required, but it has a value of its own"),
        ("{pattern: '['}", "5:17: the pattern of 'x' is no regular expression: unterminated character set at position 0"),
    ],
)  # fmt: skip
def test_wrong_declarations(project: Project, declaration: str, message: str) -> None:
    given: dict[str, Any] = {"host": {"timezone": "UTC"}}
    assert project.problems(f"variables: {{x: {declaration}}}\n", **given) == [message]


def test_a_wrong_pattern_is_said_once_with_a_value(project: Project) -> None:
    assert project.problems("variables: {x: {pattern: '['}}\n", variables={"x": "a"}) == [
        "5:17: the pattern of 'x' is no regular expression: unterminated character set at position 0"
    ]


def test_a_name_that_is_no_identifier(project: Project) -> None:
    assert project.problems("variables: {my-size: {default: 1}}\n") == [
        "5:13: 'my-size' can't be used as vars.<name> (write 'my_size')"
    ]


def test_later_sources_win(project: Project) -> None:
    project.write("one.yml", "x: from one\n")
    project.write("two.json", '{"x": "from two"}')
    sources: list[dict[str, Any]] = [
        {},
        {"environ": {"FACTORY_VAR_x": "environment", "FACTORY_VAR_other": "ignored"}},
        {"var_files": [project.root / "one.yml"]},
        {"var_files": [project.root / "one.yml", project.root / "two.json"]},
        {"variables": {"x": "command line"}},
    ]
    given: dict[str, Any] = {}
    seen = []
    for source in sources:
        given |= source
        loaded = project.load("variables: {x: {default: default}}\n", **given)
        seen.append((loaded.variables["x"], loaded.origins["x"]))
    assert seen == [
        ("default", "default"),
        ("environment", "FACTORY_VAR_x"),
        ("from one", "one.yml"),
        ("from two", "two.json"),
        ("command line", "-var x"),
    ]


def test_files_have_types_and_places(project: Project) -> None:
    path = project.write("values.yml", "n: 3\ns: 4\n")
    more = "variables: {n: {type: number}, s: {type: string}}\n"
    assert project.problems(more, var_files=[path]) == [
        "values.yml:2:4: variable 's': expected a text, got the number 4: put it in quotes"
    ]
    assert project.problems(more, var_files=[project.root / "none.yml"]) == [
        "none.yml: can't read it: No such file or directory"
    ]


def test_what_an_unreadable_file_may_have_given_is_not_missing(project: Project) -> None:
    more = "variables: {a: {type: string}, b: {required: true}, c: {default: auto}}\ndescription: '{{ vars.a }}'\n"
    assert len(project.problems(more)) == 3
    assert project.problems(more, var_files=[project.root / "none.yml"]) == [
        "none.yml: can't read it: No such file or directory"
    ]
    assert project.problems(more, var_files=[project.root / "none.yml"], variables={"d": "x"})[1:] == [
        "-var: no variable 'd' is declared (declared: a, b, c)"
    ]


def test_undeclared_variables(project: Project) -> None:
    more = "variables: {mirror: {default: a}}\n"
    assert project.problems(more, variables={"miror": "b"}) == [
        "-var: no variable 'miror' is declared (did you mean 'mirror'?)"
    ]
    assert project.problems("", variables={"x": "b"}) == [
        "-var: no variable 'x' is declared (the template declares no variables)"
    ]
    path = project.write("values.yml", "miror: b\n")
    loaded, problems = project.check(more, var_files=[path])
    assert loaded is not None
    assert [str(p) for p in loaded.warnings] == [
        "values.yml:1:1: no variable 'miror' is declared (did you mean 'mirror'?)"
    ]
    assert [p.severity for p in problems] == ["warning"]


def test_a_variable_that_failed_is_reported_once(project: Project) -> None:
    problems = project.problems("variables: {x: {required: true}}\nmachine: {cpus: '{{ vars.x }}'}\n")
    assert problems == ["5:13: variable 'x' needs a value (give it: -var x=…, FACTORY_VAR_x=… or a variable file)"]


def test_auto_asks_the_host(project: Project) -> None:
    assert value_of(project, "{default: auto}", host={"x": "m.example"}) == "m.example"
    assert value_of(project, "{default: auto}", host={"x": "m"}, variables={"x": "mine"}) == "mine"


def test_a_variable_without_a_value_is_not_there(project: Project) -> None:
    loaded = project.load("variables: {x: {}}\n")
    assert "x" not in loaded.variables
    assert project.problems("variables: {x: {}}\ndescription: '{{ vars.x }}'\n") == [
        "6:18: variable 'x' has no value (give it a default, or -var x=…)"
    ]
    assert (
        project.load("variables: {x: {}}\ndescription: '{{ vars.x | default(\"d\") }}'\n").template.description == "d"
    )


def test_generated_variables_are_late_unless_given(project: Project) -> None:
    more = "variables: {pw: {generate: password}, id: {generate: uuid}}\naccess: {ssh: {password: '{{ vars.pw }}'}}\n"
    loaded = project.load(more)
    assert loaded.generated == {"pw": "password", "id": "uuid"}
    assert loaded.variables == {}
    assert loaded.template.access.ssh is not None
    assert loaded.template.access.ssh.password == LateText("{{ vars.pw }}", {"vars": {}})
    given = project.load(more, variables={"pw": "hunter2", "id": "7"})
    assert given.generated == {}
    assert given.variables == {"pw": Secret("hunter2"), "id": "7"}
    assert given.secrets == ("hunter2",)


def test_sensitive_values_are_secrets_and_stay_out_of_plain_texts(project: Project) -> None:
    loaded = project.load(
        "variables: {t: {sensitive: true, default: [hunter2, {a: 42}]}, u: {default: plain}}\n"
        "provision: [{shell: {inline: 'use {{ vars.t[0] }} {{ vars.u }}'}}]\n"
    )
    assert loaded.secrets == ("hunter2", "42")
    shell = loaded.template.provision[0].shell
    assert shell is not None
    assert shell.inline is not None
    late = shell.inline[0]
    assert isinstance(late, LateText)
    assert late.variables == {"vars": {"t": Secret(["hunter2", {"a": 42}]), "u": "plain"}}
    assert "hunter2" not in repr(loaded.variables) + repr(late)
    assert project.problems("variables: {t: {sensitive: true, default: x}}\ndescription: '{{ vars.t }}'\n") == [
        "6:14: `description` must be known before a build, but '{{ vars.t }}' is not (names such as seed.url, generated "
        "and sensitive variables can't be used here)"
    ]


def test_words_for_values() -> None:
    values: list[Any] = [True, 3, "x", "x" * 61, [], {}, None]
    assert [described(v) for v in values] == [
        "true",
        "the number 3",
        "the text 'x'",
        "a text",
        "a list",
        "a mapping",
        "nothing",
    ]
    assert texts_in({"a": [1, "b", None, True]}) == ["1", "b"]


SECRET = "HIDDEN-42"


@pytest.mark.parametrize(
    ("declaration", "file"),
    [
        ("{sensitive: true, pattern: '[a-z]+'}", f"v: {SECRET}\n"),
        ("{sensitive: true, choices: [a, b]}", f"v: {SECRET}\n"),
        ("{sensitive: true, type: number}", f"v: {SECRET}\n"),
        ("{generate: password, pattern: '[a-z]+'}", f"v: |\n  {SECRET}\n  more\n"),
        (f"{{sensitive: true, choices: [a, b], default: {SECRET}}}", ""),
        (f"{{sensitive: true, tpyo: 1, default: {SECRET}}}", ""),
        ("{sensitive: true}", f"w: {SECRET}\n"),
        ("{sensitive: true}", f"v: [{SECRET}\n"),
        ("{sensitive: true}", f"v: {SECRET}\nv: {SECRET}\n"),
    ],
)
def test_no_problem_shows_a_sensitive_value(project: Project, declaration: str, file: str) -> None:
    """Neither in its words nor by the line of the file that it is about."""
    files = [project.write("values.yml", file)] if file else []
    found = project.check(f"variables:\n  v: {declaration}\n", var_files=files)[1]
    assert found
    assert SECRET not in repr(found)
