"""The guest's network cable is pulled while something needs it: the build says so, ends, and the next one goes on."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.drills.conftest import KILLS
from tests.drills.killing import Drill, Moment, project_copy
from tests.e2e.command import FACTORY, PROJECT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def pull_the_cable(observer: str) -> None:
    """By QEMU's second monitor. QMP: ``set_link``."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(30)
        monitor.connect(observer)
        answers = monitor.makefile("rw")
        for command in (None, {"execute": "qmp_capabilities"},
                        {"execute": "set_link", "arguments": {"name": "net0", "up": False}}):  # fmt: skip
            if command:
                answers.write(json.dumps(command) + "\n")
                answers.flush()
            while True:
                answer = json.loads(answers.readline())
                if "event" not in answer:
                    assert "error" not in answer
                    break


def build_and_cut(
    drill: Drill, template: Path, moment: Moment, *arguments: str
) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, standard error and events of a build whose machine loses its network at *moment*."""
    argv = [*FACTORY, "build", "--json", "-o", str(drill.place.output), str(template), *arguments]
    process = subprocess.Popen(
        argv, cwd=PROJECT, env=drill.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    events, current, run, cut = [], "", Path(), False
    for line in process.stdout:
        event = json.loads(line)
        events.append(event)
        if event["event"] == "build_started":
            run = Path(event["run_dir"])
        if event["event"] == "phase_started":
            current = event["phase"]
        if not cut and moment.reached(event, current):
            cut = True
            machines = json.loads((run / "control.json").read_text())["machines"]
            pull_the_cable(machines[-1]["observer"])
    said = process.stderr.read()
    code = process.wait(300)
    assert cut, f"{moment} never came: {said}"
    return code, said, events


def test_a_seed_that_cannot_be_fetched(drill: Drill, tmp_path: Path) -> None:
    template = project_copy(
        tmp_path / "project", lambda text: text.replace("install: {", "install: {seed_deadline: 5s, ")
    )
    drill.bring_to("install")
    moment = Moment("install", "step_started", "await-seed-fetch")
    code, said, events = build_and_cut(drill, template, moment, "--until", "install")
    assert code == 5, said
    ended = next(event for event in reversed(events) if event["event"] == "build_finished")
    assert ended["outcome"] == "failed"
    assert "seed" in ended["message"]
    assert drill.inspect(set(), survived=True) == []


WAITING = """
provision:
  - name: wait
    shell: {inline: ["echo begun", "sleep 600"]}
    timeout: 6s
outputs:"""


@pytest.mark.parametrize("event", ["step_started", *(["guest_output"] if KILLS else [])])
def test_a_guest_that_cannot_be_reached_any_more(drill: Drill, tmp_path: Path, event: str) -> None:
    """The cable is pulled before the script is carried over, or while it runs: only its time can end it."""

    def edit(text: str) -> str:
        head, _, rest = text.partition("\nprovision:")
        return head + WAITING + rest.partition("\noutputs:")[2]

    template = project_copy(tmp_path / "project", edit)
    drill.bring_to("provision-1")
    moment = Moment("provision-1", event, "run-provisioner" if event == "step_started" else "")
    code, said, events = build_and_cut(drill, template, moment, "--until", "provision-1")
    assert code == 5, said
    ended = events[-1]
    assert ended["event"] == "build_finished"
    assert ended["outcome"] == "failed"
    assert "waited 6s for provisioner 'wait'" in ended["message"]
    cut = next(e for e in events if moment.reached(e, "provision-1"))
    assert ended["time"] - cut["time"] < 60
    assert not [e for e in events if e["event"] == "layer_stored"]
    assert drill.inspect(set(), survived=True) == []
