"""A sample of kills, in every run of the tests: each target, and the moments in which most is open."""

from __future__ import annotations

import pytest

from tests.drills.killing import Drill, Moment, Target

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

SAMPLE = [
    (Target.FACTORY, Moment("install", "step_started", "fetch-media")),
    (Target.GROUP, Moment("install", "step_started", "await-seed-fetch")),
    (Target.QEMU, Moment("install", "step_started", "type-boot-command")),
    (Target.FACTORY, Moment("provision-1", "step_started", "run-provisioner")),
    (Target.QEMU, Moment("provision-1", "step_started", "connect-guest")),
    (Target.FACTORY, Moment("provision-2", "step_finished", "run-provisioner")),  # while memory is written
    (Target.GUESTFS, Moment("seal", "step_started", "seal-disks", after=1.0)),
    (Target.GROUP, Moment("seal", "step_started", "seal-disks", after=2.0)),
    (Target.FACTORY, Moment("export", "step_started", "export-images", after=0.3)),
    (Target.FACTORY, Moment("export", "step_started", "publish")),
    (Target.QEMU, Moment("export", "step_started", "verify-images")),
]
TRIES = 5
"""Publishing is a matter of milliseconds: the build may have ended before it is struck."""


def test_a_sample_of_kills_and_a_build_that_finishes(drill: Drill) -> None:
    for target, moment in SAMPLE:
        for _ in range(TRIES):
            drill.bring_to(moment.phase, with_media=moment.step != "fetch-media")
            kill = drill.kill(target, moment)
            assert kill.defects == [], f"{target} at {moment}"
            if kill.hit:
                break
        assert kill.hit, f"{target} at {moment} was never there"
    outcome = drill.finish()
    assert outcome.phases("phase_started") == ["export"]
