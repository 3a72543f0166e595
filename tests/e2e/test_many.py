"""Several builds at once: side by side without collisions, what they share made once, all ended together."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import FACTORY, PROJECT, Outcome, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

MANY = f"""
format: 1
name: many
variables:
  size: {{type: size, default: 768 MiB}}
  words: {{default: ""}}
matrix:
  kind:
    plain: {{words: plain}}
    fancy: {{words: fancy}}
    large: {{size: 800 MiB}}
source: {{iso: {{build: {{script: {PROJECT}/scripts/iso/tiny, inputs: [{PROJECT}/scripts/iso/tiny.d]}}}}}}
machine: {{cpus: 1, memory: 256 MiB, disks: [{{id: main, size: "{{{{ vars.size }}}}"}}]}}
install: {{profile: tiny}}
provision: [{{shell: {{inline: ["echo {{{{ vars.words }}}}"]}}}}]
outputs: [qcow2]
"""


@pytest.fixture(scope="module")
def many(place: Place) -> Path:
    folder = place.root / "many" / "images"
    folder.mkdir(parents=True)
    (folder / "many.yml").write_text(MANY)
    return folder


def of(outcome: Outcome, build: str) -> list[str]:
    """The events of one build, by name."""
    return [e["event"] for e in outcome.events if e["build"] == build]


def test_ctrl_c_ends_all_that_run_and_all_that_wait(place: Place, many: Path) -> None:
    process = subprocess.Popen(
        [*FACTORY, "build", str(many), "-o", str(place.output), "--until", "install"],
        cwd=PROJECT, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stdout is not None
    started = 0
    for line in process.stderr:
        started += "start the installer" in line
        if started == 2:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 130, rest
    summary = process.stdout.read().splitlines()
    assert [line.split()[:2] for line in summary[:3]] == [
        ["many-plain", "interrupted"], ["many-fancy", "not"], ["many-large", "interrupted"],
    ]  # fmt: skip
    assert "the same command goes on from there" in rest
    assert place.left_over() == []
    assert not list((place.root / "cache" / "layers").glob(".draft*"))


def test_builds_side_by_side_share_what_they_have_in_common(place: Place, many: Path) -> None:
    outcome = place.build(str(many), "--until", "install")
    assert outcome.code == 0, outcome.stderr
    made = [e["build"] for e in outcome.named("phase_started")]
    assert sorted(made) == ["many-large", "many-plain"], "one of the two that share it, and the other one"
    assert of(outcome, "many-fancy").count("phase_skipped") == 1
    assert [e["reason"] for e in outcome.named("build_waiting")] == ["many-plain, which makes a layer that both need"]
    begun = [i for i, e in enumerate(outcome.events) if e["event"] == "phase_started"]
    ended = [i for i, e in enumerate(outcome.events) if e["event"] == "phase_finished"]
    assert max(begun) < min(ended), "both installations ran at the same time"


def test_an_image_is_built_on_another(tiny: Outcome, place: Place) -> None:
    """The session's own image is the base."""
    folder = place.root / "based" / "images"
    folder.mkdir(parents=True)
    text = (PROJECT / "images/tiny.yml").read_text()
    (folder / "tiny.yml").write_text(text.replace("scripts/iso/", f"{PROJECT}/scripts/iso/"))
    (folder / "top.yml").write_text(
        "format: 1\nname: top\nsource: {image: tiny}\n"
        "machine: {cpus: 1, memory: 256 MiB, disks: [{id: main, size: 1100 MiB}]}\n"
        "provision: [{shell: {inline: [cat /etc/motd, blockdev --getsize64 /dev/vda || cat /sys/block/vda/size]}}]\n"
    )
    outcome = place.build(str(folder / "top.yml"), "--until", "provision-1")
    assert outcome.code == 0, outcome.stderr
    own = [e["phase"] for e in outcome.named("phase_started") if e["build"] == "top"]
    assert own == ["import", "boot", "provision-1"]
    lines = [e["line"] for e in outcome.named("guest_output")]
    assert "built by factory" in lines
    assert {str(1100 * 2**20), str(1100 * 2048)} & set(lines)
    plan = place.run("plan", str(folder / "top.yml"), "-var", "greeting=other", "-o", str(place.output))
    assert "seal will run: provision-1 runs before it" in plan.stdout
    assert "import will run again: the image of tiny changed" in plan.stdout
