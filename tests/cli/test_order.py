"""How much of a build is wanted: --fresh, --from and --until, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from factory.cli.one_build import BuildOptions, order, order_base
from factory.cli.planning import Planned
from factory.cli.requests import Selection
from factory.errors import TemplateError
from factory.plan.keys import chain
from factory.plan.model import Keeps, Phase, Plan, Power, Recipe
from factory.template.model import Loaded

pytestmark = pytest.mark.unit


def planned(**phases: Keeps) -> Planned:
    made = []
    for name, keeps in phases.items():
        recipe = Recipe({"name": name})
        made.append(Phase(name.replace("_", "-"), (), recipe, chain("", name, recipe), Power.OFF, keeps))
    return Planned(cast("Loaded", None), Plan("demo", "demo.yml", tuple(made), (), (), {}), lambda layer: "")


DEMO = planned(install=Keeps.DISKS, provision_1=Keeps.NOTHING, seal=Keeps.DISKS, export=Keeps.ARTIFACT)


def options(*, fresh: bool = False, start: str = "", until: str = "") -> BuildOptions:
    given = {"fresh": fresh, "from_phase": start, "until": until, "layers": None, "as_json": False, "verbosity": 0}
    return BuildOptions(Selection({}, ()), Path("output"), **given)  # type: ignore[arg-type]


def test_nothing_said_is_the_whole_build() -> None:
    assert order(DEMO, options()).whole


def test_fresh_takes_no_layer_but_those_that_this_command_has_made() -> None:
    ordered = order(DEMO, options(fresh=True))
    assert ordered.absent == {"install", "provision-1", "seal", "export"}
    made = {DEMO.plan.phases[0].key}
    assert ordered.still_absent(made) == {"provision-1", "seal", "export"}
    assert not ordered.whole


def test_from_a_phase_on_all_is_made_anew() -> None:
    assert order(DEMO, options(start="seal")).absent == {"seal", "export"}


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (options(start="provison-1"), "demo has no phase called 'provison-1'", "did you mean 'provision-1'?"),
        (options(until="boot"), "demo has no phase called 'boot'", "its phases: install, provision-1, seal, export"),
        (
            options(start="seal", until="install"),
            "nothing lies between --from seal and --until install",
            "the phases are, in this order: install, provision-1, seal, export",
        ),
    ],
)
def test_a_phase_that_is_not_there(given: BuildOptions, message: str, hint: str) -> None:
    with pytest.raises(TemplateError) as raised:
        order(DEMO, given)
    assert (raised.value.message, raised.value.hint) == (f"{message} ({hint})", hint)


def test_a_base_ends_with_its_last_layer() -> None:
    assert order_base(DEMO).until == "seal"
    with pytest.raises(TemplateError, match="keeps no layers"):
        order_base(planned(install=Keeps.NOTHING, export=Keeps.ARTIFACT))
    with pytest.raises(TemplateError, match="ends with a running machine"):
        order_base(planned(install=Keeps.DISKS, boot=Keeps.MEMORY, export=Keeps.ARTIFACT))
