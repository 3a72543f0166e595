from __future__ import annotations

import pytest

from factory.plan.explain import changes, why
from factory.plan.keys import chain
from factory.plan.model import Recipe

pytestmark = pytest.mark.unit

OLD, NEW = "a" * 64, "b" * 64


def test_a_changed_script_is_named() -> None:
    before = Recipe({"scripts": [{"sha256": OLD}]}, {OLD: "scripts/guest/nginx.sh"})
    after = Recipe({"scripts": [{"sha256": NEW}]}, {NEW: "scripts/guest/nginx.sh"})
    assert why("provision-3", before, after) == "provision-3 will run again: scripts/guest/nginx.sh changed"


def test_a_changed_value_is_shown_with_both_sides() -> None:
    sentence = why("install", Recipe({"memory": 512}), Recipe({"memory": 1024}))
    assert sentence == "install will run again: memory changed from 512 to 1024"


def test_new_gone_and_several_changes() -> None:
    before, after = Recipe({"a": 1, "b": [1]}), Recipe({"b": [1, 2], "c": 3})
    assert [c.sentence() for c in changes(before, after)] == ["b[1] is new", "c is new", "a is gone"]
    assert why("seal", before, after).endswith("(and 2 more)")


def test_other_reasons_have_their_own_words() -> None:
    recipe = Recipe({"a": 1})
    assert "not been built here" in why("install", None, recipe)
    assert "no longer stored" in why("install", recipe, recipe)
    assert why("seal", recipe, recipe, parent_changed="install") == "seal will run: install runs before it"


def test_a_key_names_everything_before_it() -> None:
    recipe = Recipe({"a": 1})
    assert chain("", "install", recipe) != chain("", "seal", recipe)
    assert chain("x", "install", recipe) != chain("y", "install", recipe)
    assert chain("x", "install", recipe) == chain("x", "install", Recipe({"a": 1}, {"label": "ignored"}))
