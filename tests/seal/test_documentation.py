"""Every rule and output is on its page of the reference, as it is in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.outputs.lint_ova import RULES
from factory.template.output_options import OPTIONS_MODELS

pytestmark = pytest.mark.unit

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def rows(page: str) -> dict[str, list[str]]:
    """First cell (without its backquotes) → all cells of each row."""
    lines = [line.split("|")[1:-1] for line in (REFERENCE / page).read_text().splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [c.strip() for c in cells] for cells in lines}


def test_every_output_and_every_rule_is_described() -> None:
    described = rows("outputs.md")
    assert set(described) == {*OPTIONS_MODELS, *(rule.name for rule in RULES)}
    for rule in RULES:
        assert described[rule.name][1] == rule.title
