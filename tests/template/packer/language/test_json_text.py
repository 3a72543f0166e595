"""Texts as Go writes them in JSON."""

from __future__ import annotations

import json

import pytest

from factory.template.packer.language.functions.json_text import quoted

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\b\f", '"\\u0008\\u000c"'),
        ("\b\\f", '"\\u0008\\\\f"'),
        ("\f\\\\b", '"\\u000c\\\\\\\\b"'),
        ("<\n>", '"\\u003c\\n\\u003e"'),
    ],
)
def test_a_letter_behind_a_backslash_of_its_own_is_no_escape(text: str, written: str) -> None:
    assert quoted(text) == written
    assert json.loads(written) == text
