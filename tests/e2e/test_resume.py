"""A guest that is resumed from memory: its clock, its random numbers, its address and its connection are right."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import PROJECT, Outcome, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

PROVISION = """
provision:
  - name: look
    shell:
      inline:
        - "echo clock=$(date +%s)"
        - "echo random=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' ')"
        - "echo uuid=$(cat /proc/sys/kernel/random/uuid)"
        - "echo hwrng=$(cat /sys/class/misc/hw_random/rng_current)"
        - "echo before=$(ifconfig eth0 | grep -o 'inet addr:[0-9.]*')"
        - "udhcpc -i eth0 -n -q -s /usr/share/udhcpc/default.script"
        - "echo after=$(ifconfig eth0 | grep -o 'inet addr:[0-9.]*')"
        - "echo from=${SSH_CONNECTION%% *}"
      env: {GREETING: "{{ vars.greeting }}"}
"""
"""Its key changes with the greeting, so that each greeting is a resumption of the same live layer."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    for name in ("http_seed", "scripts", "boot_configs"):
        (folder / name).symlink_to(PROJECT / name)
    text = (PROJECT / "images" / "tiny.yml").read_text()
    (folder / "tiny.yml").write_text(re.sub(r"\nprovision:\n.*?\noutputs:", PROVISION + "outputs:", text, flags=re.S))
    return folder / "tiny.yml"


def look(place: Place, template: Path, greeting: str, *options: str) -> tuple[Outcome, dict[str, str], float]:
    """What the guest says, and when (by this host's clock) it said what its clock is."""
    outcome = place.build(str(template), "-var", f"greeting={greeting}", "--until", "provision-1", *options)
    assert outcome.code == 0, outcome.stderr
    lines = [(e["line"].partition("="), e["time"]) for e in outcome.named("guest_output") if "=" in e["line"]]
    said = {name: value for (name, _, value), _ in lines}
    return outcome, said, next(moment for (name, _, _), moment in lines if name == "clock")


@pytest.fixture(scope="module")
def resumed(tiny: Outcome, place: Place, template: Path) -> tuple[Outcome, dict[str, str], float]:
    return look(place, template, "first")


def test_it_went_on_in_the_booted_guest(resumed: tuple[Outcome, dict[str, str], float]) -> None:
    outcome = resumed[0]
    assert outcome.phases("phase_skipped") == ["install", "boot"]
    started = next(e for e in outcome.named("step_finished") if e["step"] == "start-machine")
    assert "resumed from memory" in started["detail"]
    assert not [e for e in outcome.named("note") if "resumed" in e["message"]]


def test_its_clock_is_that_of_the_host(resumed: tuple[Outcome, dict[str, str], float], place: Place) -> None:
    _, said, moment = resumed
    indexes = [json.loads(p.read_text()) for p in (place.root / "cache" / "layers").glob("*/layer.json")]
    age = moment - next(index["created"] for index in indexes if index["phase"] == "boot")
    assert age > 20, "the checkpoint is too young for its clock to be told from the host's"
    assert abs(int(said["clock"]) - moment) < age / 4


def test_two_guests_of_one_layer_have_random_numbers_of_their_own(
    resumed: tuple[Outcome, dict[str, str], float], place: Place, template: Path
) -> None:
    _, first, _ = resumed
    _, second, _ = look(place, template, "second")
    assert len(first["random"]) == 32
    assert first["random"] != second["random"]
    assert first["uuid"] != second["uuid"]
    assert first["hwrng"] == second["hwrng"] == "virtio_rng.0"


def test_its_address_can_be_leased_again_and_its_connection_holds(
    resumed: tuple[Outcome, dict[str, str], float],
) -> None:
    _, said, _ = resumed
    assert said["before"] == said["after"] == "inet addr:10.0.2.15"
    assert said["from"] == "10.0.2.2"


EDITED = """
provision:
  - shell: {inline: ["echo begun", "sleep 2"]}
  - shell: {script: step.sh}
"""


def test_a_script_that_is_saved_while_the_build_runs_is_never_stored_as_what_it_was(
    tiny: Outcome, place: Place, template: Path
) -> None:
    text = (PROJECT / "images" / "tiny.yml").read_text()
    path, script = template.with_name("edited.yml"), template.with_name("step.sh")
    path.write_text(re.sub(r"\nprovision:\n.*?\noutputs:", EDITED + "outputs:", text, flags=re.S))
    script.write_text("echo as planned\n")

    def save(event: dict[str, Any]) -> bool:
        if event.get("line") == "begun":
            script.write_text("echo as saved\n")
        return False

    outcome = place.build(str(path), "--until", "provision-2", until=save)
    assert outcome.code == 0, outcome.stderr
    assert [e["line"] for e in outcome.named("guest_output")] == ["begun", "as saved"]
    [note] = [e["message"] for e in outcome.named("note") if "planned anew" in e["message"]]
    assert note.startswith("provision-2: step.sh changed since it was planned")
    assert "provision-2    stored as" in place.run("plan", str(path)).stdout
    script.write_text("echo as planned\n")
    assert "provision-2 will run again: step.sh changed" in place.run("plan", str(path)).stdout


def test_a_script_that_is_saved_twice_or_put_back_while_it_runs_names_no_layer_wrongly(
    tiny: Outcome, place: Place, template: Path
) -> None:
    text = (PROJECT / "images" / "tiny.yml").read_text()
    path, first, script = (
        template.with_name("twice.yml"),
        template.with_name("first.sh"),
        template.with_name("second.sh"),
    )
    steps = f"provision:\n  - shell: {{scripts: [{first.name}, {script.name}]}}\n"
    path.write_text(re.sub(r"\nprovision:\n.*?\noutputs:", "\n" + steps + "outputs:", text, flags=re.S))
    first.write_text("echo begun\nsleep 2\n")
    script.write_text("echo one\n")
    texts = ["echo two\n", "echo three\n"]

    def save_twice(event: dict[str, Any]) -> bool:
        if event.get("line") == "begun" and texts:
            script.write_text(texts.pop(0))
        return False

    outcome = place.build(str(path), "--until", "provision-1", until=save_twice)
    assert outcome.code == 0, outcome.stderr
    assert [e["line"] for e in outcome.named("guest_output")] == ["begun", "one", "begun", "two", "begun", "three"]
    for text in ("echo two\n", "echo three\n"):
        script.write_text(text)
        assert "provision-1 will run again: " in place.run("plan", str(path)).stdout

    script.write_text("echo one\n")
    texts = ["echo other\n"]

    def put_back(event: dict[str, Any]) -> bool:
        if event.get("line") == "begun" and texts:
            script.write_text(texts.pop(0))
            script.write_text("echo one\n")
        return False

    outcome = place.build(str(path), "--until", "provision-1", until=put_back)
    assert outcome.code == 0, outcome.stderr
    assert [e["line"] for e in outcome.named("guest_output")] == ["begun", "one", "begun", "one"]
    assert "provision-1    stored as" in place.run("plan", str(path)).stdout


def test_another_cpu_model_falls_back_to_the_powered_off_layer_and_the_plan_says_so(
    tiny: Outcome, place: Place, tmp_path: Path
) -> None:
    """The CPU does not count in keys, so the layers are found; their memory can't be used."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("http_seed", "scripts", "boot_configs"):
        (tmp_path / name).symlink_to(PROJECT / name)
        (folder / name).symlink_to(PROJECT / name)
    text = (PROJECT / "images" / "tiny.yml").read_text()
    (folder / "tiny.yml").write_text(text.replace("  cpus: 2\n", "  cpus: 1\n  cpu: Nehalem\n"))
    arguments = (str(folder / "tiny.yml"), "-var", f"greeting={time.time()}")
    plan = place.run("plan", *arguments)
    assert plan.returncode == 0, plan.stderr
    assert "install        stored as" in plan.stdout
    assert (
        "boot will run again: its live layer can't be resumed here: its memory is bound to the CPU model max, "
        "and the machine has Nehalem now"
    ) in plan.stdout
