"""One whole build for all tests of a session: the others begin at its layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Outcome, Place


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="session")
def tiny(place: Place) -> Outcome:
    """``images/tiny.yml``, from nothing: typed into, provisioned, sealed, exported, booted."""
    outcome = place.build("images/tiny.yml")
    assert outcome.code == 0, outcome.stderr
    return outcome


@pytest.fixture(scope="session")
def artifact(tiny: Outcome, place: Place) -> Path:
    return place.output / "tiny"
