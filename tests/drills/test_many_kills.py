"""Kill anything at any moment: no process, no port, nothing half-made stays, and the next build does its job.

Collected only when FACTORY_DRILL_KILLS says how many (``make drills``). Every step boundary comes first, then random
moments. A build that starts from what a kill left goes on to the next kill; each 40th runs to its end, which proves the
same for all of them: each starts in what all the kills before it have left.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.drills.conftest import KILLS, SEED
from tests.drills.killing import Drill, boundaries_of, lengths_of, random_kill
from tests.e2e.command import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(12 * 3600)]

FINISH_EVERY = 40


def test_kills_at_every_boundary_and_at_random_moments(drill: Drill, tiny: Outcome, tmp_path: Path) -> None:
    drill.bring_to("export")
    whole = Outcome(0, [*tiny.events, *drill.finish().events])
    dice, lengths, boundaries, hits = random.Random(SEED), lengths_of(whole), boundaries_of(whole), 0
    with (tmp_path / "drill.log").open("w", buffering=1) as log:
        while hits < KILLS:
            target, moment = boundaries.pop(0) if boundaries else random_kill(dice, lengths)
            drill.bring_to(moment.phase, with_media=moment.step != "fetch-media")
            kill = drill.kill(target, moment)
            hits += kill.hit
            log.write(f"{hits:>4} {target:<8} {moment}  exit {kill.code}, {kill.seconds:.1f} s {kill.defects}\n")
            if kill.hit and hits % FINISH_EVERY == 0:
                drill.finish()
        drill.finish()
    defects = [f"{kill.target} at {kill.moment}: {kill.defects}" for kill in drill.kills if kill.defects]
    assert not defects, f"seed {SEED}: " + "\n".join(defects)
