"""Two builds of one template in the same store: the second waits for the first, then takes its layers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.fakes import Bench, make_plan
from tests.engine.test_runner import off

pytestmark = pytest.mark.machine


def test_two_builds_at_once_make_each_layer_once(tmp_path: Path) -> None:
    async def both() -> list[list[str]]:
        benches = (Bench(tmp_path), Bench(tmp_path))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(b.run(make_plan(*off()))) for b in benches]
        return [t.result() for t in tasks]

    results = asyncio.run(both())
    assert sorted(r.count("install") for r in results) == [0, 1]
    assert sum(r.count("seal") for r in results) == 1
