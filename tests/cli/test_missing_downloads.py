"""A phase that has brought a file out of its guest runs again when that file is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from factory.cli.missing_downloads import downloads, first_missing
from factory.cli.one_build import BuildOptions, order
from factory.cli.phase_states import phase_states
from factory.cli.places import Places
from factory.cli.planning import Planned
from factory.engine.recipes import remember
from factory.engine.store import LayerStore
from factory.plan.model import Keeps, Phase, Plan, Power, Recipe
from factory.provision.file import result_of_download
from factory.steps.run_provisioner import RunProvisioner
from factory.template.model import Loaded, Provision

pytestmark = pytest.mark.unit


def phase(name: str, keeps: Keeps = Keeps.DISKS, **provision: object) -> Phase:
    steps = (RunProvisioner(Provision.model_validate(provision), 1, cast("Loaded", None)),) if provision else ()
    return Phase(name, steps, Recipe({"name": name}), name * 20, Power.RUNNING, keeps)


def down(destination: str, source: str = "/etc/hosts") -> dict[str, str]:
    return {"source": source, "destination": destination, "direction": "download"}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    phases = (
        phase("install"),
        phase("provision-1", file={"source": "up", "destination": "/up"}),
        phase("provision-2", file=down("never"), continue_on_error=True),
        phase("provision-3", file=down("down/h")),
        phase("provision-4", file=down("down/")),
        phase("export", Keeps.ARTIFACT),
    )
    return Plan("web", "images/web.yml", phases, (), (), {})


def bring(*names: str) -> None:
    Path("down").mkdir(exist_ok=True)
    for name in names:
        Path("down", name).touch()


@pytest.mark.parametrize(
    ("source", "destination", "there"),
    [
        ("/etc/hosts", "to/hosts", "to/hosts"),
        ("/etc/hosts", "to/", "to/hosts"),
        ("/etc/hosts", ".", "hosts"),  # a folder that is there
        ("/var/log/", "logs", "logs"),
        ("C:\\Windows\\win.ini", "to/", "to/win.ini"),
    ],
)
def test_where_it_lies_afterwards(
    source: str, destination: str, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert result_of_download(source, destination) == Path(there)


def test_the_first_phase_that_misses_its_file_is_found(plan: Plan) -> None:
    assert [index for index, _ in downloads(plan)] == [3, 4]
    assert first_missing(plan) == (3, "down/h")
    bring("h")
    assert first_missing(plan) == (4, "down/hosts")
    bring("hosts")
    assert first_missing(plan) == (6, "")


def test_it_runs_again_with_all_that_follows(plan: Plan, tmp_path: Path) -> None:
    planned = Planned(cast("Loaded", None), plan, lambda layer: "")
    bring("h")
    ordered = order(planned, cast("BuildOptions", _Options))
    assert ordered.absent == {"provision-4", "export"}
    assert not ordered.whole
    bring("hosts")
    assert order(planned, cast("BuildOptions", _Options)).whole


class _Options:
    from_phase = until = ""
    fresh = False


def test_the_plan_says_what_is_gone(plan: Plan, tmp_path: Path) -> None:
    planned = Planned(cast("Loaded", None), plan, lambda layer: "")
    where = Places(tmp_path / "cache", tmp_path / "runs")
    (where.cache / "names").mkdir(parents=True)
    remember(where.cache, "web", {p.name: p.recipe for p in plan.phases})
    (tmp_path / "output/web").mkdir(parents=True)
    (tmp_path / "output/web/manifest.json").write_text(json.dumps({"key": plan.key, "files": []}))

    def states() -> dict[str, str]:
        found = phase_states(planned, LayerStore(where.cache), tmp_path / "output", where)
        return {s.phase.name: s.reason or s.state for s in found}

    bring("h", "hosts")
    assert states()["export"] == "delivered"
    Path("down/hosts").unlink()
    # No layer is stored here, so all runs; the first reason is the first phase's own.
    assert states()["export"] == "export will run: install runs before it"
    planned = Planned(cast("Loaded", None), Plan("web", "web.yml", plan.phases[4:], (), (), {}), lambda layer: "")
    assert states() == {
        "provision-4": "provision-4 will run again: down/hosts is not there any more",
        "export": "export will run: provision-4 runs before it",
    }
