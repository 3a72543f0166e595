"""Builds that fail, are mended and tried again, and those that start from them."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from factory.cli import many_builds
from factory.cli.many_builds import ManyBuilds
from factory.cli.on_error import Attempts, OnError
from factory.cli.one_build import BuildOptions, Ordered, Surroundings
from factory.cli.places import Places
from factory.cli.planning import Planned, last_layer
from factory.cli.report.view import View
from factory.cli.requests import Selection, find_builds
from factory.engine.freshness import PlanOutdated
from factory.engine.scheduler import NOTHING
from factory.errors import FactoryError, HostError, StepError
from factory.events import EventBus, Note, Stamped
from factory.host.facts import HostFacts
from factory.plan.keys import chain
from factory.plan.model import Keeps, Phase, Plan, Power, Recipe

pytestmark = pytest.mark.unit

IMAGE = """
format: 1
name: {name}
source: {{image: {source}}}
machine: {{firmware: bios, disks: [{{id: main, size: 1 GiB}}]}}
provision:
  - shell: {{inline: [echo one]}}
"""


class Quiet:
    def __call__(self, stamped: Stamped) -> None: ...

    def tick(self) -> None: ...

    def failed(self, name: str, error: Exception) -> None: ...

    def end(self, rows: object) -> None: ...


async def _nothing(builds: ManyBuilds) -> None: ...


class World:
    """Builds of the templates in *folder*, planned from their one line of script, and run by ``run``."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.built, self.notes = folder, list[str](), list[str]()
        self.run: Callable[[Ordered], None] = lambda ordered: None
        self.once: list[set[str]] = []
        """Of each attempt: the phases that are never the same again."""
        self.refused = ""
        (folder / "disk.raw").touch()
        for name, source in (("below", "{path: disk.raw}"), ("top", "below")):
            (folder / f"{name}.yml").write_text(IMAGE.format(name=name, source=source))
        patch.setattr(many_builds, "plan_build", self._plan)
        patch.setattr(many_builds, "run_build", self._run)
        patch.setattr(many_builds, "check_host", self._check)
        patch.setattr(many_builds, "capacity", lambda facts: NOTHING)
        patch.setattr(many_builds, "load_of", lambda *_: NOTHING)
        patch.setattr(ManyBuilds, "_tick", _nothing)
        patch.setattr("factory.engine.store.LayerStore.find", lambda store, key: key in self.built or None)

    def script(self, planned: Planned) -> str:
        shell = planned.loaded.template.provision[0].shell
        assert shell
        assert shell.inline
        return str(shell.inline[0])

    def mend(self, name: str, old: str, new: str) -> None:
        path = self.folder / f"{name}.yml"
        path.write_text(path.read_text().replace(old, new))

    def build(self, *names: str, on_error: OnError = OnError.RETRY) -> int:
        selection, bus = Selection({}, ()), EventBus()
        requests = find_builds([self.folder / f"{name}.yml" for name in names], selection, {})
        requests.raise_if_any()
        bus.subscribe(lambda s: self.notes.append(s.event.message) if isinstance(s.event, Note) else None)
        options = BuildOptions(selection, self.folder, False, "", "", None, False, 0, on_error=on_error)
        places = Places(self.folder / "cache", self.folder / "runs")
        around = Surroundings(options, bus, places, cast("HostFacts", None))
        return asyncio.run(ManyBuilds(requests, around, cast("View", Quiet())).run())

    async def _plan(self, loaded: Any, *rest: Any) -> Planned:
        *_, base, once = rest
        below = last_layer(base).key if base else ""
        recipe = Recipe({"script": str(loaded.template.provision[0].shell.inline), **once})
        phase = Phase("seal", (), recipe, chain(below, "seal", recipe), Power.OFF, Keeps.DISKS)
        plan = Plan(loaded.template.name, "", (phase,), (), (), {}, base=below)
        return Planned(loaded, plan, lambda layer: "")

    async def _run(self, ordered: Ordered, around: Surroundings, attempts: Attempts) -> None:
        self.once.append(set(attempts.once))
        self.run(ordered)
        self.built.append(last_layer(ordered.planned).key)

    def keys_of_attempts(self, ends: list[PlanOutdated]) -> list[str]:
        """Of a build that is well in the end, whose first attempts have these *ends*."""
        keys = []

        def run(ordered: Ordered) -> None:
            keys.append(last_layer(ordered.planned).key)
            if ends:
                raise ends.pop(0)

        self.run = run
        assert self.build("below", on_error=OnError.CLEAN) == 0
        return keys

    def _check(self, planned: Planned, facts: HostFacts) -> list[Any]:
        if self.refused and self.refused in self.script(planned):
            raise HostError("it wants more memory than there is")
        return []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_what_starts_from_a_mended_image_is_built_on_the_mended_one(world: World) -> None:
    stood_on = []

    def run(ordered: Ordered) -> None:
        if world.script(ordered.planned) == "echo one" and ordered.planned.plan.name == "below":
            world.mend("below", "echo one", "echo two")
            raise StepError("it broke")
        stood_on.append((ordered.planned.plan.name, ordered.planned.plan.base))

    world.run = run
    assert world.build("top") == 0
    assert stood_on == [("below", ""), ("top", world.built[0])]
    assert world.notes == [
        "trying again from the last layer after: it broke",
        "the template has changed: the build goes on with it as it is now",
    ]


@pytest.mark.parametrize(
    ("new", "refused", "why"),
    [
        ("echo [one", "", r"the build goes on with its template as it was: .*below\.yml:7"),
        ("echo much", "much", "the build goes on with its template as it was: it wants more memory than there is"),
    ],
)
def test_a_template_that_can_not_be_gone_on_with_stays_as_it_was(
    world: World, new: str, refused: str, why: str
) -> None:
    tried = []
    world.refused = refused

    def run(ordered: Ordered) -> None:
        tried.append(world.script(ordered.planned))
        if len(tried) == 1:
            world.mend("below", "echo one", new)
            raise StepError("it broke")

    world.run = run
    assert world.build("below") == 0
    assert tried == ["echo one", "echo one"]
    assert len(world.notes) == 2
    assert re.match(why, world.notes[1])


def test_a_failure_is_tried_again_only_where_that_is_wanted(world: World) -> None:
    def run(ordered: Ordered) -> None:
        raise FactoryError("it broke")

    world.run = run
    assert world.build("below", on_error=OnError.CLEAN) == 1
    assert world.notes == []


def test_a_file_that_was_saved_meanwhile_is_planned_anew(world: World) -> None:
    """Whatever is wanted after a failure: nothing has failed."""
    ends = [PlanOutdated("seal", "motd changed", ran=False), PlanOutdated("seal", "motd changed", ran=True)]
    keys = world.keys_of_attempts(ends)
    assert [note for note in world.notes if "planned anew" in note] == [
        "seal: motd changed since it was planned; it is planned anew and goes on from the last layer",
        "seal: motd changed while it ran; it is planned anew and goes on from the last layer",
    ]
    assert world.once == [set(), set(), set()]
    assert len(set(keys)) == 1, "nothing has changed in truth"


@pytest.mark.parametrize(("ran", "times"), [(True, 2), (False, 4)])
def test_a_file_that_never_stands_still_ends_no_build_and_names_no_layer(world: World, ran: bool, times: int) -> None:
    ends = [PlanOutdated("seal", "log changed", ran=ran) for _ in range(times)]
    keys = world.keys_of_attempts(ends)
    assert world.once == [set()] * times + [{"seal"}]
    assert len(set(keys[:-1])) == 1
    assert keys[-1] != keys[0], "what is not known to be that is not stored as that"
    assert "again: it runs with what is there, and no later build uses" in world.notes[-1]


def test_builds_begin_in_their_order_however_long_each_takes_to_get_ready(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is measured only when the next one has been: the last given is ready first."""
    names = ["first", "second", "third"]
    measured = {name: threading.Event() for name in names}
    for name in names:
        (world.folder / f"{name}.yml").write_text(IMAGE.format(name=name, source="{path: disk.raw}"))
    begun: list[str] = []

    def measure(planned: Planned, *_: object) -> object:
        name = planned.plan.name
        for later in names[names.index(name) + 1 :][:1]:
            assert measured[later].wait(10)
        measured[name].set()
        return NOTHING

    monkeypatch.setattr(many_builds, "load_of", measure)
    world.run = lambda ordered: begun.append(ordered.planned.plan.name)
    assert world.build(*names) == 0
    assert begun == names
