"""Values of expressions: golden cases, and what is particular to unknown, sensitive and null values."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.template.packer.hcl import Source, parse_expression, parse_template
from factory.template.packer.language.console_text import console_text
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import EvaluationError, Scope, World
from factory.template.packer.language.values import (
    UNKNOWN_VALUE,
    Value,
    from_python,
    holds_secret,
    string,
    to_python,
)
from tests.template.packer.language.expression_cases import Case, cases

pytestmark = pytest.mark.unit
NOON = datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)


def value_of(text: str, names: Mapping[str, Value] | None = None, world: World | None = None) -> Value:
    return evaluate(parse_expression(Source.of("t.pkr.hcl", text)), Scope(names or {}, FUNCTIONS, world or World()))


@pytest.mark.parametrize("case", cases(), ids=lambda c: c.expression)
def test_value(case: Case) -> None:
    try:
        shown = console_text(value_of(case.expression)).rstrip("\n")
    except TemplateError as error:
        shown = "error: " + error.problems[0].message
    assert shown == case.expected.rstrip("\n")


def test_every_function_is_in_a_test() -> None:
    tested = "\n".join(c.expression for c in cases()) + Path(__file__).read_text()
    assert [name for name in FUNCTIONS if f"{name}(" not in tested] == []


def test_unknown_spreads() -> None:
    names = {"u": UNKNOWN_VALUE}
    for text in ('"a${u}"', "u + 1", "upper(u)", "u.x[0]", "[for x in u: x]", "u ? 1 : 2", "u == 1", "!u", "u[*].a",
                 "{for k, v in u: k => v}", "jsonencode([u])", 'format("%s", u)', 'templatefile(u, {})'):  # fmt: skip
        assert value_of(text, names).is_unknown, text
    assert value_of("[u, 1][1]", names) == value_of("1")
    assert value_of("length([u, 1])", names) == value_of("2")
    assert value_of("false && u", names).data is False


def test_sensitive_spreads() -> None:
    names = {"s": string("hunter2").with_sensitivity(True)}
    for text in ('"a${s}"', "upper(s)", "[s]", "{a = s}.a", "s == 1", 's == "x" ? 1 : 2', "[for x in [s]: x]"):
        assert holds_secret(value_of(text, names)), text
    assert console_text(value_of("[s, 1]", names)) == "[\n  <sensitive>,\n  1,\n]"
    assert console_text(value_of("upper(s)", names)) == "<sensitive>"


def test_errors_carry_place_line_and_hint() -> None:
    with pytest.raises(EvaluationError) as caught:
        value_of('[\n  "${vra.x}"\n]', {"var": from_python({"x": 1})})
    problem = caught.value.problems[0]
    assert problem.place is not None
    assert (problem.place.line, problem.place.column) == (2, 6)
    assert problem.source_line == '  "${vra.x}"'
    assert problem.hint == "did you mean “var”?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("var.nope", "there is no variable “nope”"),
        ('1 + "x"', "“+” needs a number, not a string"),
        ("join(1, [])", None),
        ("pow(10, 1e300)", "too large"),
        ("9999999999 * 1e3999", "too large"),
        ("range(100000)", "more than 1024"),
        ("bcrypt(1, 99)", "the cost must lie between"),
        ('regex("(", "")', "not a regular expression"),
        ('regex("a(?=b)", "ab")', "look-around"),
        ('vault("/a", "b")', "there is no connection to Vault"),
        ('consul_key("a")', "there is no connection to Consul"),
        ('aws_secretsmanager("a", "b")', "there is no connection to AWS"),
        ('aws_secretsmanager_raw("a")', "there is no connection to AWS"),
        ('file("/nonexistent/x")', "there is no file"),
        ('convert("x", number)', "a number is required"),
        ('convert("x", strin)', "is not a type"),
        ('rsadecrypt("YQ==", "x")', "not a private key"),
        ("uuidv4(1)", "takes 0 arguments"),
        ('textdecodebase64("YQ==", "klingon")', "there is no encoding"),
        ('"a${[for x in [1,2]: x]}"', "can be part of a text"),
    ],
)
def test_messages(text: str, message: str | None) -> None:
    names = {"var": from_python({"x": 1})}
    if message is None:
        assert value_of(text, names).data == ""
        return
    with pytest.raises(EvaluationError, match=re.escape(message)):
        value_of(text, names)


def test_time_functions_use_the_clock_handed_in() -> None:
    world = World(clock=lambda: NOON)
    assert value_of("timestamp()", world=world).data == "2024-02-29T12:34:56Z"
    assert value_of('legacy_isotime("Jan _2 06 03:04PM .000")', world=world).data == "Feb 29 24 12:34PM .000"
    assert value_of("legacy_isotime()", world=world).data == "2024-02-29T12:34:56Z"
    assert value_of('legacy_strftime("%Y%m%d %H:%M %q")', world=world).data == "20240229 12:34 %q"
    assert to_python(value_of('rfc3339_parse("2024-02-29T12:34:56Z")'))["iso_week"] == 9
    assert to_python(value_of("unix_timestamp_parse(0)"))["month_name"] == "January"


def test_file_functions(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.txt").write_text("text")
    (tmp_path / "t.tpl").write_text('%{ for n in names ~}\n- ${n} ${templatefile("u.tpl", {})}\n%{ endfor ~}\n$${x}')
    (tmp_path / "u.tpl").write_text("u")
    (tmp_path / "loop.tpl").write_text('${templatefile("loop.tpl", {})}')
    world = World(folder=tmp_path / "here", working=tmp_path, environment={"HOME": "/home/u", "A": "b"})
    assert value_of('file("a.txt")', world=world).data == "text"
    assert value_of('file("here/a.txt")', world=world).data == "text", "a path from the working folder is found too"
    assert value_of('filebase64("a.txt")', world=world).data == "dGV4dA=="
    assert value_of('fileexists("b.txt")', world=world).data is False
    assert to_python(value_of('fileset("here", "*.{txt,md}")', world=world)) == ["a.txt"]
    assert to_python(value_of('fileset("..", "**")', world=world)) == ["here/a.txt", "loop.tpl", "t.tpl", "u.tpl"]
    assert value_of('pathexpand("~/x")', world=world).data == "/home/u/x"
    assert value_of('abspath("x/../y")', world=world).data == str(tmp_path / "y")
    assert value_of('env("A")', world=world).data == "b"
    assert value_of('templatefile("t.tpl", {names = ["a", "b"]})', world=world).data == "- a u\n- b u\n${x}"
    with pytest.raises(EvaluationError, match="without an end"):
        value_of('templatefile("loop.tpl", {})', world=world)
    with pytest.raises(EvaluationError, match="there is no variable named “names”"):
        value_of('templatefile("t.tpl", {})', world=world)


def test_random_functions() -> None:
    import bcrypt

    assert len(value_of("uuidv4()").text()) == 36
    assert bcrypt.checkpw(b"pw", value_of('bcrypt("pw", 4)').text().encode())
    packed = base64.b64decode(value_of('base64gzip("test")').text())
    assert gzip.decompress(packed) == b"test"


def test_secrets_come_from_the_store_handed_in() -> None:
    world = World(secret=lambda name, arguments: f"{name}:{arguments}")
    value = value_of('vault("/secret/data/x", "key")', world=world)
    assert value.sensitive
    assert value.data == "vault:('/secret/data/x', 'key')"


def test_rsadecrypt_and_text_encodings() -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    secret = base64.b64encode(key.public_key().encrypt(b"text", padding.PKCS1v15())).decode()
    names = {"pem": string(pem), "c": string(secret)}
    assert value_of("rsadecrypt(c, pem)", names).data == "text"
    assert value_of('textdecodebase64(textencodebase64("é", "UTF-16LE"), "UTF-16LE")').data == "é"
    for text in ('anytrue([false, "true"])', 'startswith("ab", "a")', 'endswith("ab", "b")'):
        assert value_of(text).data is True


def test_types_with_optional_attributes() -> None:
    value = value_of('convert({a = "1"}, object({a = number, b = optional(string, "x"), c = optional(bool)}))')
    assert to_python(value) == {"a": 1, "b": "x", "c": None}
    with pytest.raises(EvaluationError, match="the attribute “a” must be set"):
        value_of("convert({}, object({a = number}))")
    assert to_python(value_of('convert(["1", 2], tuple([number, string]))')) == [1, "2"]
    assert to_python(value_of("convert([2, 1, 2], set(string))")) == ["1", "2"]


def test_a_template_keeps_literal_dollars_and_percents() -> None:
    template = parse_template(Source.of("t", "a $ b % c $$ 100% $${d} %%{e} ${1}"))
    assert evaluate(template, Scope({}, FUNCTIONS)).data == "a $ b % c $$ 100% ${d} %{e} 1"


def test_numbers_are_exact() -> None:
    assert value_of("0.1 + 0.2").data == Decimal("0.3")
    assert value_of("123456789012345678901234567890 + 1").data == Decimal("123456789012345678901234567891")
