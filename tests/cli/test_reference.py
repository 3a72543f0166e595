"""The pages that are made from the code are those of this code, and leave nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.program import COMMANDS
from factory.cli.reference import PAGES
from factory.seal.operations import DEVICE_OPERATIONS, OPERATIONS

pytestmark = pytest.mark.unit

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text("utf-8") == PAGES[name](), "run scripts/dev/reference"


def test_every_kind_is_there() -> None:
    commands, errors = PAGES["commands.md"](), PAGES["errors.md"]()
    assert all(f"\n## factory {name}\n" in commands for name in COMMANDS)
    assert "| 8 | `VerificationFailed` |" in errors
    assert "## `seed_requested`" in PAGES["events.md"]()
    assert PAGES["steps.md"]().count("`start-machine`") == 1
    operations = PAGES["seal-operations.md"]()
    assert all(f"\n## `{name}`\n" in operations for name in (*OPERATIONS, *DEVICE_OPERATIONS))
