"""What comes of a sensitive value is sensitive, by whatever way it came."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.errors import TemplateError
from factory.template.packer.hcl import Source, parse_expression
from factory.template.packer.language.console_text import console_text
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope
from factory.template.packer.language.values import (
    Value,
    from_python,
    holds_secret,
    list_value,
    map_value,
    object_value,
    set_value,
    string,
    tuple_value,
)

pytestmark = pytest.mark.unit

S = string("topsecretx").with_sensitivity(True)
NAMES: Mapping[str, Value] = {
    "s": S,
    "one": string("topsecretx").with_sensitivity(True),
    "pw": list_value([string("topsecretx"), string("b")]).with_sensitivity(True),
    "pws": list_value([list_value([string("topsecretx")])]).with_sensitivity(True),
    "users": from_python([{"name": "ann", "pw": "topsecretx"}]).with_sensitivity(True),
    "creds": from_python({"topsecretx": "v"}).with_sensitivity(True),
    "c1": tuple_value([S, string("pub")]),
    "none": list_value([]).with_sensitivity(True),
    "nothing": Value(string("").type, None, sensitive=True),
}
MASKED = (
    "flatten([pw])", "flatten([pw, ['z']])", "upper(flatten([pw, ['z']])[0])", "flatten([for g in ['x'] : users])",
    "upper(flatten([for g in ['x'] : [for u in users : '${g}-${u.pw}']])[0])", "flatten([none])",
    "flatten([['a'], c1])[1]", "concat([pw], ['a'])[0]", "merge({a = pw}, {b = 1}).a", "concat(pws...)",
    "merge(users...)", "format('%s-%s', pw...)", "coalesce(pw...)", "{for x in [s] : upper(x) => 1}",
    "keys({for x in [s] : upper(x) => 1})[0]",
    "{for x in ['a'] : '${x}-${s}' => 1}", "{for x in c1 : x => 1}", "{for x in c1 : 'k' => x...}",
    "[for x in c1 : 'pubx' if x == 'topsecretx']", "{for x in c1 : 'k' => 'pubx' if x == 'topsecretx'}",
    "keys({(one) = 'x'})[0]", "merge({(one) = 'x'}, {b = 1})", "{(upper(one)) = 1}", "[s] == ['topsecretx']",
    "nothing[*]", "creds[*]", "convert(c1, set(string))", "'%{ for x in c1 }%{ if x == s }y%{ endif }%{ endfor }'",
    "zipmap([s], [1])", "setunion(['a'], [s])", "sort(['a', s])", "reverse(pw)", "index(['a', s], s)", "element(c1, 1)",
)  # fmt: skip


def value_of(text: str, names: Mapping[str, Value] = NAMES) -> Value:
    return evaluate(parse_expression(Source.of("t.pkr.hcl", text.replace("'", '"'))), Scope(names, FUNCTIONS))


@pytest.mark.parametrize("text", MASKED)
def test_what_comes_of_a_secret_is_masked(text: str) -> None:
    shown = console_text(value_of(text)).lower()
    assert "<sensitive>" in shown
    assert "topsecretx" not in shown


@pytest.mark.parametrize("text", ["flatten([['a'], ['b']])", "concat([s], ['b'])[1]", "flatten([[s], ['b']])[1]",
                                  "merge({a = s}, {b = 1}).b", "[for x in c1 : x][1]", "{for x in ['a'] : x => s}",
                                  "[for x in ['a'] : x if x == 'a']"])  # fmt: skip
def test_what_does_not_is_shown(text: str) -> None:
    assert not value_of(text).sensitive


@pytest.mark.parametrize("text", ["{a = 1}[s]", "creds.topsecret", "creds['topsecret']",
                                  "{for x in ['a', 'b'] : s => 1}",
                                  "lookup({a = 1}, s)", "tonumber(s)", "file(s)", "regex('^\\\\d', s)",
                                  "base64decode(s)", "parseint(s, 10)", "timeadd(s, '1h')", "cidrhost(s, 1)",
                                  "jsondecode(s)",
                                  "yamldecode('{${s}')", "can(s) ? creds.topsecretz : 1", "formatdate(s, s)",
                                  "contains(s, s)", "s + 1", "templatefile(s, {})", "format('%d', s)"])  # fmt: skip
def test_no_error_shows_a_secret(text: str) -> None:
    told = ""
    try:
        value_of(text)
    except TemplateError as error:
        told = f"{error} {error.hint} {error.problems[0].hint}"
    assert "topsecretx" not in told


class _Texts:
    """Texts of which none is a part of another, and those of them that are secret."""

    def __init__(self) -> None:
        self._numbers = itertools.count(100)
        self.secret: set[str] = set()

    def new(self, hidden: bool) -> str:
        text = f"t{next(self._numbers)}"
        if hidden:
            self.secret.add(text)
        return text


def _made(draw: st.DrawFn, texts: _Texts, depth: int, hidden: bool) -> Value:
    marked = draw(st.integers(0, 4)) == 0
    hidden = hidden or marked
    kind = draw(st.sampled_from(("text",) if not depth else ("text", "list", "set", "tuple", "map", "object")))
    if kind == "text":
        return string(texts.new(hidden)).with_sensitivity(marked)
    size = draw(st.integers(0, 3))
    if kind == "set":  # of texts: a set of lists is nothing that anybody writes
        return set_value([_made(draw, texts, 0, hidden) for _ in range(size)]).with_sensitivity(marked)
    inner = [_made(draw, texts, depth - 1, hidden) for _ in range(size)]
    if kind == "list":
        one = inner[:1] if len({v.type for v in inner}) > 1 else inner
        return list_value(one).with_sensitivity(marked)
    if kind == "tuple":
        return tuple_value(inner).with_sensitivity(marked)
    fields = {texts.new(hidden): v for v in inner}
    same = len({v.type for v in inner}) <= 1
    return (map_value(fields) if kind == "map" and same else object_value(fields)).with_sensitivity(marked)


@st.composite
def marked_values(draw: st.DrawFn) -> tuple[Mapping[str, Value], set[str]]:
    texts = _Texts()
    made = {name: _made(draw, texts, depth, False) for name, depth in (("a", 3), ("b", 2), ("c", 2), ("t", 0))}
    return made, texts.secret


_WRITTEN = (
    "flatten(a)", "flatten([a, b])", "concat(a, b)", "concat(a...)", "merge(a, b)", "merge(a...)", "flatten(a...)",
    "{for x in a : x => 1}", "{for k, v in a : k => v}", "{for k, v in a : v => k}", "{for x in a : 'k' => x...}",
    "[for x in a : x]", "[for k, v in a : k]", "[for x in a : [for y in x : y]]", "{(t) = a}", "{(t) = 1}", "a[*]",
    "a[0]", "a[t]", "[a, b][0]", "{x = a}.x", "'${t}-${a}'", "'%{ for x in a }${x}%{ endfor }'", "a[*][0]",
    "convert(a, list(any))", "convert(a, set(string))", "convert(a, map(any))", "[a, b]", "true ? a : b", "try(a, b)",
    "t == 'x' ? a : b", "flatten([for x in a : [for y in b : y]])", "concat([for x in a : x], b)", "coalesce(a...)",
)  # fmt: skip


def _calls() -> Iterator[str]:
    for name, function in FUNCTIONS.items():
        if not function.needs_world and not function.lazy:
            names = ["a", "b", "c"][: len(function.parameters)] + (["b", "c"] if function.rest else [])
            first = names[:1]
            for arguments in (names, names[::-1], [*first, "t"], ["t", *first], first, [*first, "1"]):
                yield f"{name}({', '.join(arguments)})"


EXPRESSIONS = (*_WRITTEN, *dict.fromkeys(_calls()))


def _shown(value: Value) -> Iterator[str]:
    """Every text and key of *value* that is not masked."""
    if value.sensitive:
        return
    if isinstance(value.data, str):
        yield value.data
    elif isinstance(value.data, Mapping):
        yield from value.data
        for item in value.data.values():
            yield from _shown(item)
    elif isinstance(value.data, tuple):
        for item in value.data:
            yield from _shown(item)


@settings(max_examples=25, deadline=None)
@given(marked_values())
def test_no_expression_shows_a_text_that_is_marked(made: tuple[Mapping[str, Value], set[str]]) -> None:
    names, secret = made
    for text in EXPRESSIONS:
        try:
            result = value_of(text, names)
        except TemplateError as error:
            told = f"{error} {error.hint} " + " ".join(p.hint for p in error.problems)
            assert [s for s in secret if s in told.lower()] == [], text
            continue
        shown = "\n".join(_shown(result)).lower()
        assert [s for s in secret if s in shown] == [], text


def test_a_mark_inside_an_argument_marks_what_is_computed_of_it() -> None:
    for text in ("length([s])", "join('-', ['a', s])", "jsonencode({a = [s]})", "contains(['a', s], 'a')"):
        assert holds_secret(value_of(text)), text
