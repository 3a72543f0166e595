"""The canonical style of HCL."""

from __future__ import annotations

import contextlib
import random

import pytest

from factory.errors import TemplateError
from factory.template.packer.hcl import Source
from factory.template.packer.hcl.format import format_hcl
from tests.template.packer.fuzz.inputs import random_input
from tests.template.packer.hcl.unformatted import FORMATTED, UNFORMATTED

pytestmark = pytest.mark.unit


def formatted(text: str) -> str:
    return format_hcl(Source.of("t.pkr.hcl", text))


def test_the_canonical_style() -> None:
    assert formatted(UNFORMATTED) == FORMATTED


def test_formatting_twice_changes_nothing() -> None:
    assert formatted(FORMATTED) == FORMATTED
    chance, done = random.Random(3), 0
    for _ in range(3000):
        with contextlib.suppress(TemplateError):
            once = formatted(random_input("hcl", chance))
            assert formatted(once) == once
            done += 1
    assert done > 50


def test_carriage_returns_and_the_last_line_stay() -> None:
    assert formatted("a=1\r\nbb = 2") == "a  = 1\r\nbb = 2"


def test_what_is_not_hcl_is_refused() -> None:
    with pytest.raises(TemplateError, match="expected a value"):
        formatted("a = \n")
