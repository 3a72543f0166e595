"""Whether a phase is as it was planned, while files come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from factory.cli.planning import Planned
from factory.errors import TemplateError
from factory.opening import stamp_of
from factory.plan.model import Keeps, Phase, Plan, Power, Recipe
from factory.template.model import Loaded

pytestmark = pytest.mark.machine


def planned(*phases: Phase, now: tuple[Phase, ...] | None) -> Planned:
    async def again(once: Mapping[str, str]) -> Plan:
        if now is None:
            raise TemplateError("can't read app.txt: No such file or directory")
        return Plan("web", "web.yml", now, (), (), {})

    return Planned(cast("Loaded", None), Plan("web", "web.yml", phases, (), (), {}), lambda layer: "", again)


def phase(name: str, content: str, *files: Path) -> Phase:
    sources = {str(path): stamp_of(path) for path in files}
    return Phase(name, (), Recipe({"content": content}), "k" + name, Power.RUNNING, Keeps.MEMORY, sources)


def what(found: Planned, asked: Phase) -> str:
    return asyncio.run(found.look(asked)).what


def test_a_file_that_is_gone_concerns_the_phase_that_it_is_of(tmp_path: Path) -> None:
    app, script = tmp_path / "app.txt", tmp_path / "script.sh"
    app.touch()
    script.touch()
    first, second = phase("provision-1", "a", app), phase("provision-2", "b", script)
    app.unlink()
    found = planned(first, second, now=None)
    assert what(found, second) == "", "a host script may remove what has been uploaded"
    assert what(found, first) == "its files changed (can't read app.txt: No such file or directory)"
    script.write_text("other")
    assert what(found, second)


def test_another_recipe_is_a_change_and_the_stamps_are_those_of_now(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.touch()
    old = phase("provision-1", "a", script)
    script.write_text("longer")
    new = phase("provision-1", "b", script)
    seen = asyncio.run(planned(old, now=(new,)).look(old))
    assert seen.what == "content changed from 'a' to 'b'"
    assert seen.stamps == new.sources != old.sources
