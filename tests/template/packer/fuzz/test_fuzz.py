"""Whatever is written: a result or a typed error, never anything else. ``scripts/dev/fuzz`` does a million of these."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory.errors import TemplateError
from factory.template.packer.gotemplate import Context, render, render_known
from factory.template.packer.hcl import NOWHERE, Source, parse_expression
from factory.template.packer.language.console_text import console_text
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope
from factory.template.packer.language.values import composed, from_python, to_python
from factory.template.packer.selection import glob_match
from tests.template.packer.fuzz.inputs import TARGETS, random_input

pytestmark = pytest.mark.unit
MODEST = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("target", TARGETS)
def test_pieces_and_mutations(target: str) -> None:
    chance = random.Random(target)
    for _ in range(400):
        with contextlib.suppress(TemplateError):
            TARGETS[target][0](random_input(target, chance))


@pytest.mark.parametrize("target", TARGETS)
@given(text=st.text(max_size=60))
@MODEST
def test_any_text(target: str, text: str) -> None:
    with contextlib.suppress(TemplateError):
        TARGETS[target][0](text)


def composed_text(longest: int) -> st.SearchStrategy[str]:
    """What a text of HCL can be: composed (NFC)."""
    return st.text(max_size=longest).map(composed)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | composed_text(20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(composed_text(8), inner, max_size=4),
    max_leaves=12,
)


def value_of(text: str, data: object) -> object:
    scope = Scope({"x": from_python(data)}, FUNCTIONS)
    return to_python(evaluate(parse_expression(Source.of("t", text)), scope))


@given(data=plain)
@MODEST
def test_encoding_and_decoding_gives_the_same(data: object) -> None:
    assert value_of("jsondecode(jsonencode(x))", data) == data
    assert console_text(from_python(data)) is not None


@given(text=composed_text(40))
@MODEST
def test_texts_survive_every_way_round(text: str) -> None:
    assert value_of("base64decode(base64encode(x))", text) == text
    if text.isascii() and "\r" not in text:  # reversed, a combining mark may join what is now before it
        assert value_of("strrev(strrev(x))", text) == text
    assert value_of('join("/", split("/", x))', text) == text
    assert value_of('"${x}"', text) == text
    if "\r" not in text:
        assert value_of("yamldecode(yamlencode(x))", text) == text


@given(text=st.text(max_size=40))
@MODEST
def test_rendering_what_is_known_leaves_nothing_to_do(text: str) -> None:
    literal = render_known("{{ .A }}" + text.replace("{{", "").replace("}}", ""), Context({"A": "{{"}), NOWHERE)
    assert render(literal, Context(), NOWHERE).startswith("{{")


@given(name=st.text(max_size=20))
@MODEST
def test_a_name_matches_itself_and_a_star(name: str) -> None:
    assert glob_match("*", name)
    assert glob_match("".join("\\" + c for c in name), name)


@given(pattern=st.text("*?[]{},ab^!-\\", max_size=12))
@MODEST
def test_any_pattern_is_usable(pattern: str) -> None:
    glob_match(pattern, "ab")
