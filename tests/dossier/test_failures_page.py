"""docs/reference/failures.md names every rule, the sentence that it says, and the test that provokes it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from factory.dossier.guest_rules import _STATES
from tests.dossier.broken_build import PROJECT

pytestmark = pytest.mark.unit

PAGE = PROJECT / "docs/reference/failures.md"
ROW = re.compile(r"^\| `(?P<rule>[a-z-]+)` \| (?P<sentence>.+?) \| .+? \| `(?P<file>\w+\.py)::(?P<test>\w+)` \|$", re.M)
ROWS = {found["rule"]: found for found in ROW.finditer(PAGE.read_text("utf-8"))}


def rules() -> set[str]:
    """What ``factory/dossier`` can find."""
    found = {f"ssh-{state}" for state in _STATES}
    for path in (PROJECT / "factory/dossier").glob("*_rules.py"):
        found |= set(re.findall(r'Verdict\(\s*"([a-z-]+)"', path.read_text("utf-8")))
    return found


def texts(path: Path, function: str) -> str:
    """All the texts in a function, with what f-strings fill in as ``…``."""
    tree = ast.parse(path.read_text("utf-8"))
    tree = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)  # type: ignore[assignment]
    inside = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            found.append(node.value)
    return "\n".join(found)


def test_every_rule_is_on_the_page() -> None:
    assert set(ROWS) == rules()


@pytest.mark.parametrize("rule", sorted(rules()))
def test_its_test_provokes_it_and_shows_its_sentence(rule: str) -> None:
    row = ROWS[rule]
    said = texts(PROJECT / "tests/dossier" / row["file"], row["test"])
    assert rule in said, f"{row['test']} does not provoke {rule}"
    for part in row["sentence"].split("…"):
        fixed = part.strip(" “”.:;")
        assert fixed in said, f"{row['test']} does not show that {rule} says {fixed!r}"
