"""Input variables: types, precedence, conditions, messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.template.packer.language.values import to_python
from factory.template.packer.required import required_variables
from tests.template.packer.written import hcl, loaded, problems_of

pytestmark = pytest.mark.unit

DECLARED = 'variable "v" {\n  type = string\n  default = "default"\n}\n'


def test_precedence(tmp_path: Path) -> None:
    files = {"t.pkr.hcl": DECLARED}
    assert loaded(tmp_path, files).variables["v"].value.data == "default"
    environment = {"PKR_VAR_v": "environment", "PKR_VAR_other": "ignored"}
    assert loaded(tmp_path, files, environ=environment).variables["v"].value.data == "environment"
    files["b.auto.pkrvars.json"] = '{"v": "json"}'
    files["b.auto.pkrvars.hcl"] = 'v = "auto b"'
    files["a.auto.pkrvars.hcl"] = 'v = "auto a"'
    config = loaded(tmp_path, files, environ=environment)
    assert (config.variables["v"].value.data, Path(config.variables["v"].origin).name) == (
        "json",
        "b.auto.pkrvars.json",
    )
    files["x.pkrvars.hcl"] = 'v = "file"'
    with_file = loaded(tmp_path, files, environ=environment, var_files=["x.pkrvars.hcl"])
    assert with_file.variables["v"].value.data == "file"
    with_option = loaded(tmp_path, files, environ=environment, var_files=["x.pkrvars.hcl"], variables={"v": "option"})
    assert (with_option.variables["v"].value.data, with_option.variables["v"].origin) == ("option", "-var")


def test_a_file_alone_has_no_auto_variables(tmp_path: Path) -> None:
    files = {"t.pkr.hcl": DECLARED, "a.auto.pkrvars.hcl": 'v = "auto"'}
    assert loaded(tmp_path, files, "t.pkr.hcl").variables["v"].value.data == "default"


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("string", "10", "10"),
        ("number", "10", 10),
        ("bool", "true", True),
        ("list(string)", '["a", 1]', ["a", "1"]),
        ("set(number)", "[2, 1, 2]", [1, 2]),
        ("map(string)", "{a = 1}", {"a": "1"}),
        ("list(list(string))", '[["a"]]', [["a"]]),
        ("object({a = string, b = optional(number, 3)})", '{a = "x"}', {"a": "x", "b": 3}),
        ("tuple([string, bool])", '["a", true]', ["a", True]),
        ("any", "[1]", [1]),
        ("any", "plain text", "plain text"),
        ('"string"', "x", "x"),
        ("list", '["a"]', ["a"]),
    ],
)
def test_types(tmp_path: Path, kind: str, given: str, value: object) -> None:
    config = hcl(tmp_path, f'variable "v" {{\n  type = {kind}\n}}\n', variables={"v": given})
    assert to_python(config.variables["v"].value) == value


def test_defaults_legacy_block_and_env(tmp_path: Path) -> None:
    text = (
        'variables {\n  a = 1\n  b = "x"\n}\n'
        'variable "home" {\n  default = env("HOME")\n  description = "where"\n  sensitive = true\n}\n'
        'variable "null" {\n  type = string\n  default = null\n}\n'
    )
    config = hcl(tmp_path, text, environ={"HOME": "/home/u"}, variables={"a": "7"})
    assert {k: to_python(v.value) for k, v in config.variables.items()} == {
        "a": 7,
        "b": "x",
        "home": "/home/u",
        "null": None,
    }
    assert config.variables["home"].description == "where"
    assert [s.reveal() for s in config.secrets] == ["/home/u"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('variable "v" {}', {}, "the variable “v” has no value (give it one: -var v=…, PKR_VAR_v=…, or a default)"),
        (DECLARED, {"w": "1"}, "-var w: there is no variable “w”"),
        (DECLARED, {"vv": "1"}, "did you mean “v”?"),
        ('variable "n" {\n  type = number\n}', {"n": "x"}, "the value of the variable “n” does not fit: a number is"),
        (
            'variable "n" {\n  type = number\n  default = "x"\n}',
            {},
            "t.pkr.hcl:3:13: the default value of the variable",
        ),
        ('variable "l" {\n  type = list(string)\n}', {"l": "x"}, "there is no variable named “x”"),
        ('variable "v" {\n  type = strng\n}', {"v": "x"}, "did you mean “string”?"),
        ('variable "v" {\n  defalt = 1\n}', {"v": "x"}, "did you mean “default”?"),
        (DECLARED + DECLARED, {}, "the variable “v” is declared twice (first at "),
        ("variable {}", {}, "a variable has one label"),
        ('variable "v" {\n  default = 1\n  sensitive = "x"\n}', {}, "“sensitive” must be true or false"),
        ('variable "v" {\n  default = 1\n  validaton {}\n}', {}, "a variable has no block “validaton”"),
        ('variable "v" {\n  default = 1\n  validation {}\n}', {}, "a validation needs “condition”"),
        (
            'variable "v" {\n  default = 1\n  validation {\n    condition = var.v == 1\n  }\n}',
            {},
            "a validation needs “condition” and “error_message”",
        ),
        ('variable "a b" {\n  default = 1\n}', {}, "“a b” can't be a name"),
        ('variable "v" {\n  default = var.w\n}', {}, "there is no variable named “var”"),
    ],
)
def test_messages(tmp_path: Path, text: str, options: dict[str, str], message: str) -> None:
    problems = problems_of(tmp_path, {"t.pkr.hcl": text + "\n"}, variables=options)
    assert message in "\n".join(map(str, problems))


def test_validation(tmp_path: Path) -> None:
    text = (
        'variable "v" {\n  type = number\n'
        '  validation {\n    condition = var.v > 1\n    error_message = "Must be above one."\n  }\n'
        '  validation {\n    condition = can(regex("^[0-9]$", var.v))\n    error_message = "One digit."\n  }\n}\n'
    )
    assert hcl(tmp_path, text, variables={"v": "2"}).variables["v"].value.data == 2
    problems = problems_of(tmp_path, {"t.pkr.hcl": text}, variables={"v": "0"})
    assert [p.message for p in problems] == ["the variable “v”: Must be above one. It is “0”."]
    problems = problems_of(tmp_path, {"t.pkr.hcl": text.replace("number\n", "number\n  sensitive = true\n")},
                           variables={"v": "10"})  # fmt: skip
    assert [p.message for p in problems] == ["the variable “v”: One digit."], "a sensitive value is not shown"


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ("type = number", 'v = "HIDDEN-42"\n'),
        ("type = number\n  default = 1", 'v = "HIDDEN-42"\n'),
        ('type = number\n  default = "HIDDEN-42"', ""),
        ('validation {\n    condition = var.v == "a"\n    error_message = "Must be a."\n  }', 'v = "HIDDEN-42"\n'),
        ("type = number", 'v = "x"\nw = "HIDDEN-42"\n'),
    ],
)
def test_no_problem_shows_the_line_of_a_sensitive_value(tmp_path: Path, arguments: str, values: str) -> None:
    text = f'variable "v" {{\n  {arguments}\n  sensitive = true\n}}\n'
    (tmp_path / "v.pkrvars.hcl").write_text(values)
    problems = problems_of(tmp_path, {"t.pkr.hcl": text}, var_files=[tmp_path / "v.pkrvars.hcl"])
    assert problems
    assert "HIDDEN-42" not in repr(problems)


@pytest.mark.parametrize(
    ("condition", "message", "warning"),
    [
        ("var.v == var.w", "Must be w.", "the condition names var.w; Packer wants it to go by var.v alone"),
        ("true", "Must be true.", "the condition does not name it"),
        ("var.v == 1", "must be one", "Packer takes whole sentences only"),
        ("var.v == 1", "Must be one", "Packer takes whole sentences only"),
        ("length([for x in [1]: x if x == var.v]) == 1", "Must be 1!", ""),
        ("var.v == 1", "必须是一!", ""),
    ],
)
def test_validations_that_packer_refuses_are_told_about(
    tmp_path: Path, condition: str, message: str, warning: str
) -> None:
    text = (
        'variable "w" {\n  default = 1\n}\nvariable "v" {\n  default = 1\n  validation {\n'
        f'    condition = {condition}\n    error_message = "{message}"\n  }}\n}}\n'
    )
    warnings = [w.message for w in hcl(tmp_path, text).warnings]
    assert [w for w in warnings if w.startswith(warning)] if warning else warnings == []


def test_an_undeclared_variable_in_a_file_is_a_warning(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"t.pkr.hcl": DECLARED, "x.pkrvars.hcl": "vv = 1\n"}, var_files=["x.pkrvars.hcl"])
    assert [(w.severity, w.message) for w in config.warnings] == [
        ("warning", "the variable “vv” is set here but not declared")
    ]


def test_a_block_in_a_file_of_variables(tmp_path: Path) -> None:
    files = {"t.pkr.hcl": DECLARED, "x.pkrvars.hcl": 'variable "v" {}\n'}
    assert "there can't be a block “variable” here" in str(problems_of(tmp_path, files, var_files=["x.pkrvars.hcl"])[0])


def test_required_variables(tmp_path: Path) -> None:
    (tmp_path / "t.pkr.hcl").write_text(
        'variable "a" {}\nvariable "b" {\n  type = list(string)\n}\nvariable "c" {\n  default = env("C")\n}\n'
        'variable "d" {\n  type = list(string)\n  default = []\n}\nvariables {\n  e = "unset"\n  f = "x"\n}\n'
    )
    assert {k: str(v) for k, v in required_variables(tmp_path).items()} == {"a": "dynamic", "b": "list of string"}
    assert set(required_variables(tmp_path, also_empty=True)) == {"a", "b", "c", "d", "e"}
    (tmp_path / "t.json").write_text('{"variables": {"x": null, "y": "", "z": "1"}}')
    assert set(required_variables(tmp_path / "t.json")) == {"x"}
    assert set(required_variables(tmp_path / "t.json", also_empty=True)) == {"x", "y"}
