"""What changed in texts, line by line."""

from __future__ import annotations

import pytest

from factory.plan.explain import changes, unified
from factory.plan.keys import make_recipe
from factory.plan.model import Recipe

pytestmark = pytest.mark.unit

OLD, NEW = "a" * 64, "b" * 64


def lines(before: Recipe, after: Recipe) -> list[str]:
    return list(unified(changes(before, after), before, after))


def test_a_changed_script_is_shown_line_by_line() -> None:
    before = Recipe({"scripts": [{"sha256": OLD}]}, {OLD: "nginx.sh"}, {OLD: "#!/bin/sh\necho 1\n"})
    after = Recipe({"scripts": [{"sha256": NEW}]}, {NEW: "nginx.sh"}, {NEW: "#!/bin/sh\necho 2\n"})
    assert lines(before, after) == [
        "--- nginx.sh",
        "+++ nginx.sh",
        "@@ -1,2 +1,2 @@",
        " #!/bin/sh",
        "-echo 1",
        "+echo 2",
    ]


def test_a_value_of_several_lines_too() -> None:
    assert lines(Recipe({"content": "a\nb\n"}), Recipe({"content": "a\nc\n"}))[-2:] == ["-b", "+c"]


def test_short_values_and_contents_without_text_are_no_texts() -> None:
    assert lines(Recipe({"cpus": "1", "file": OLD}), Recipe({"cpus": "2", "file": NEW})) == []


def test_a_text_with_a_secret_in_it_is_not_kept() -> None:
    recipe = make_recipe({}, (), labels={}, salt=b"", secrets=("hunter2",), texts={OLD: "p=hunter2\n", NEW: "p=1\n"})
    assert recipe.texts == {NEW: "p=1\n"}


def test_texts_do_not_count() -> None:
    assert not changes(Recipe({"a": 1}, {}, {OLD: "x\n"}), Recipe({"a": 1}))
