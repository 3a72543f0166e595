"""What `factory plan` prints: what is stored, what will run and why, and with --diff what changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from factory.cli.phase_states import PhaseState, phase_states, reasons_to_run
from factory.cli.places import Places
from factory.cli.plan_view import LONGEST_VALUE, PlanOptions, machine_lines, plan_lines, show_plans
from factory.cli.planning import Planned
from factory.cli.requests import Selection
from factory.engine.store import LayerStore
from factory.errors import Problem
from factory.plan.explain import Change
from factory.plan.model import Keeps, Phase, Plan, Power, Recipe
from factory.template.model import Loaded

pytestmark = pytest.mark.unit


def phase(name: str) -> Phase:
    return Phase(name, (), Recipe({}), name * 20, Power.OFF, Keeps.DISKS)


INSTALL, SCRIPT, SEAL, EXPORT = (phase(n) for n in ("install", "provision-1", "seal", "export"))
STATES = (
    PhaseState(INSTALL, "stored"),
    PhaseState(
        SCRIPT,
        "runs",
        "provision-1 will run again: nginx.sh changed",
        (
            Change("script", "a" * 64, "b" * 64, "scripts/guest/nginx.sh"),
            Change("env.PORT", 80, "x" * 200),
            Change("env.HOST", None, "web"),
        ),
        ("@@ -1 +1 @@", "-old", "+new"),
    ),
    PhaseState(SEAL, "within"),
    PhaseState(EXPORT, "delivered"),
)


def printed(*, diff: bool) -> list[str]:
    plan = Plan("web", "images/web.yml", (INSTALL, SCRIPT, SEAL, EXPORT), (), (), {"layers because": "it is NVMe"})
    planned = Planned(cast("Loaded", None), plan, lambda layer: "")
    return [click.unstyle(line) for line in plan_lines(planned, STATES, _options(diff=diff))]


def test_what_is_odd_in_a_template_is_said_beside_its_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    odd = Problem("no variable 'firmwar' is declared", hint="did you mean 'firmware'?", severity="warning")
    plan = Plan("web", "images/web.yml", (INSTALL,), (), (), {})
    planned = Planned(cast("Loaded", SimpleNamespace(warnings=(odd,))), plan, lambda layer: "")

    async def both(templates: Sequence[Path], options: PlanOptions) -> list[Planned]:
        return [planned, planned]

    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path))
    monkeypatch.setattr("factory.cli.plan_view._plans", both)
    monkeypatch.setattr("factory.cli.plan_view.phase_states", lambda *around: [])
    show_plans((), _options(diff=False))
    assert capsys.readouterr().err.splitlines() == [
        "warning: no variable 'firmwar' is declared", "  try: did you mean 'firmware'?",
    ]  # fmt: skip
    show_plans((), replace(_options(diff=False), as_json=True))
    assert json.loads(capsys.readouterr().out)[0]["warnings"][0]["message"] == odd.message


def _options(*, diff: bool) -> PlanOptions:
    return PlanOptions(Selection({}, ()), Path("output"), None, diff, False, False)


def test_each_phase_says_in_one_line_what_becomes_of_it() -> None:
    assert printed(diff=False) == [
        "web  images/web.yml",
        "  layers because: it is NVMe",
        "  install        stored as installinsta",
        "  provision-1    provision-1 will run again: nginx.sh changed",
        "  seal           in the layer that follows",
        "  export         delivered in output/web",
    ]


def test_the_machine_is_said_in_a_line_and_ones_own_arguments_in_another() -> None:
    machine: dict[str, Any] = {
        "type": "pc-q35-7.2", "firmware": "uefi", "cpus": 2, "cpu": "max", "memory": 512 << 20, "tpm": "2.0",
        "display": "std",
        "disks": [{"id": "main", "size": 1 << 30, "bus": "nvme", "serial": "", "block_size": 512, "device": []}],
        "nics": [
            {"id": "net0", "model": "e1000e", "mac": "", "bridge": "br0", "forward": [], "network": [], "device": []}
        ],
        "extra_args": [], "replaced_switches": [],
    }  # fmt: skip
    line = "machine: pc-q35-7.2, uefi, 2 CPUs, 512 MiB, TPM 2.0, disk main (1 GiB, nvme), NIC net0 (e1000e, br0)"
    assert list(machine_lines(machine)) == [line]
    forward = {"host": 8080, "guest": 80, "protocol": "tcp", "address": "127.0.0.1", "guest_address": ""}
    nic = {**machine["nics"][0], "forward": [forward], "network": ["restrict=on"]}
    disk = {**machine["disks"][0], "serial": "A", "block_size": 4096, "device": ["rotation_rate=1"]}
    assert list(machine_lines({**machine, "nics": [nic], "disks": [disk]}))[1:] == [
        "127.0.0.1:8080 leads to the guest's port 80 (tcp)",
        "NIC net0 also has: restrict=on",
        "disk main also has: serial=A block_size=4096 rotation_rate=1",
    ]
    own = {**machine, "extra_args": ["-device", "a b"], "replaced_switches": ["-vga"]}
    assert list(machine_lines(own)) == [line, "QEMU also gets: -device 'a b'", "QEMU does not get our own: -vga"]


def test_diff_shows_values_and_texts_below_their_phase() -> None:
    more = [line for line in printed(diff=True) if line not in printed(diff=False)]
    assert more[0] == "      script: scripts/guest/nginx.sh changed"
    assert more[1].startswith('      env.PORT: 80 → "xxxx')
    assert len(more[1]) < LONGEST_VALUE + 30
    assert more[2:] == ['      env.HOST: nothing → "web"', "      @@ -1 +1 @@", "      -old", "      +new"]


def test_the_artifact_of_a_packer_template_is_made_by_every_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install, script = replace(INSTALL, keeps=Keeps.DISKS), replace(SCRIPT, keeps=Keeps.DISKS)
    plan = Plan("web", "web.pkr.hcl", (install, script, replace(EXPORT, keeps=Keeps.ARTIFACT)), (), (), {})
    monkeypatch.setattr("factory.cli.phase_states.first_missing", lambda plan: (3, ""))
    before = {phase.name: phase.recipe for phase in plan.phases}
    monkeypatch.setattr("factory.cli.phase_states.recipes_before", lambda planned, store: before)
    store = LayerStore(tmp_path)
    monkeypatch.setattr(store, "find", lambda key: object())
    planned = Planned(cast("Loaded", SimpleNamespace(delivery=object())), plan, lambda layer: "")
    assert reasons_to_run(planned, store) == {
        EXPORT.name: "export will run: a Packer template's artifact is made by every build"
    }


def test_what_a_delivered_artifact_was_made_of_is_not_needed(tmp_path: Path) -> None:
    plan = Plan("web", "images/web.yml", (INSTALL, SCRIPT, EXPORT), (), (), {})
    planned = Planned(cast("Loaded", None), plan, lambda layer: "")
    where = Places(tmp_path / "cache", tmp_path / "runs")

    def states() -> list[str]:
        return [s.state for s in phase_states(planned, LayerStore(where.cache), tmp_path, where)]

    assert states() == ["runs", "runs", "runs"]
    (tmp_path / "web").mkdir()
    (tmp_path / "web/manifest.json").write_text(json.dumps({"key": EXPORT.key, "files": []}))
    assert states() == ["unneeded", "unneeded", "delivered"]
    line = list(plan_lines(planned, [PhaseState(INSTALL, "unneeded")], _options(diff=False)))[-1]
    assert click.unstyle(line) == "  install        not needed: what it leads to is delivered"
