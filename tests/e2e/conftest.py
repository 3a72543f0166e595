"""What the one whole build of a session (``tests/conftest``) has delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Outcome, Place


@pytest.fixture(scope="session")
def artifact(tiny: Outcome, place: Place) -> Path:
    return place.output / "tiny"
