"""``make drills`` sets FACTORY_DRILL_KILLS; without it a small fixed sample runs, in every run of the tests.

FACTORY_DRILL_SEED repeats a drill: the report at the end names the seed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.drills.killing import Drill, Kill, Target
from tests.e2e.command import Outcome, Place

KILLS = int(os.environ.get("FACTORY_DRILL_KILLS", "0"))
SEED = int(os.environ.get("FACTORY_DRILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
collect_ignore = [] if KILLS else ["test_many_kills.py"]
_done: list[Kill] = []


if KILLS:

    @pytest.fixture(scope="session")
    def tiny(place: Place) -> Outcome:
        """Where nothing but drills runs, they need its layers alone."""
        outcome = place.build("images/tiny.yml", "--until", "seal")
        assert outcome.code == 0, outcome.stderr
        return outcome


@pytest.fixture(scope="module")
def drill(tiny: Outcome, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    drill = Drill(place, tiny, tmp_path_factory.mktemp("killed"))
    yield drill
    _done.extend(drill.kills)
    drill.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _done:  # none were run, or other processes have
        return
    terminalreporter.section("drills")
    hits = [kill for kill in _done if kill.hit]
    terminalreporter.write_line(
        f"{len(hits)} kills ({len(_done) - len(hits)} builds ended before theirs), seed {SEED}, "
        f"{sum(len(kill.defects) for kill in _done)} things left behind"
    )
    for target in Target:
        phases = Counter(kill.moment.phase for kill in hits if kill.target is target)
        if phases:
            row = ", ".join(f"{phase} {number}" for phase, number in phases.items())
            terminalreporter.write_line(f"  {target:<8} {sum(phases.values()):>4}   {row}")
