"""SIGKILL of the factory at any moment leaves no process, no half artifact, and a build that can go on."""

from __future__ import annotations

import pytest

from tests.e2e.command import Outcome, Place, reaches

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

MOMENTS = [
    ("step_started", "fetch-media", ""),
    ("step_started", "create-disks", ""),
    ("step_started", "type-boot-command", ""),
    ("step_started", "await-power-off", "install"),
    ("phase_started", "", "boot"),
    ("step_started", "connect-guest", ""),
    ("step_started", "run-provisioner", "provision-1"),
    ("phase_finished", "", "provision-1"),
    ("step_started", "seal-disks", ""),
    ("step_started", "export-images", ""),
    ("step_started", "verify-images", ""),
]


def test_ten_kills_and_a_build_that_finishes(
    tiny: Outcome, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each kill is later than the one before, so the drill costs little more than one build."""
    other = Place(tmp_path_factory.mktemp("killed"))
    for event, step, phase in MOMENTS:
        outcome = other.build("images/tiny.yml", until=reaches(event, step=step, phase=phase))
        assert outcome.code == -9, f"{event} {step} {phase}: {outcome.stderr}"
        assert other.left_over() == [], f"{event} {step} {phase}"
        assert other.half_made() == [], f"{event} {step} {phase}"
        assert not (other.output / "tiny").exists()
    outcome = other.build("images/tiny.yml")
    assert outcome.code == 0, outcome.stderr
    assert outcome.phases("phase_started") == ["export"]
    assert not list((other.root / "cache" / "layers").glob(".draft*"))
    assert other.half_made() == []
