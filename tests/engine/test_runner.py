from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factory.errors import StepError
from factory.events import LayerStored, Note, PhaseSkipped
from factory.plan.model import Keeps, Phase, Power
from factory.plan.step import Step
from tests.engine.fakes import FAILURE, Bench, Fail, Write, make_phases, make_plan

pytestmark = pytest.mark.unit

OFF, ON = Power.OFF, Power.RUNNING
DISKS, MEMORY, NOTHING = Keeps.DISKS, Keeps.MEMORY, Keeps.NOTHING


def live(last: Step = Write("two")) -> tuple[Phase, ...]:  # noqa: B008
    return make_phases(
        ("install", (Write("install"),), OFF, DISKS),
        ("boot", (), ON, MEMORY),
        ("provision-1", (Write("one"),), ON, MEMORY),
        ("provision-2", (last,), ON, MEMORY),
        ("seal", (Write("seal"),), OFF, DISKS),
    )


def off(second: str = "two") -> tuple[Phase, ...]:
    return make_phases(
        ("install", (Write("install"),), OFF, DISKS),
        ("provision-1", (Write("one"),), ON, NOTHING),
        ("provision-2", (Write(second),), ON, DISKS),
        ("seal", (Write("seal"),), OFF, DISKS),
    )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def _build(bench: Bench, phases: tuple[Phase, ...], **options: object) -> list[str]:
    return await bench.run(make_plan(*phases), **options)


def build(bench: Bench, phases: tuple[Phase, ...], **options: object) -> list[str]:
    return asyncio.run(_build(bench, phases, **options))


def test_a_live_build_boots_once_and_keeps_a_layer_after_each_phase(bench: Bench) -> None:
    lines = build(bench, live())
    assert [line for line in lines if not line.startswith("undo")] == [
        "install", "boot", "one", "two", "power off", "off", "seal",
    ]  # fmt: skip
    kept = {layer.phase: layer.keeps for layer in bench.store.all()}
    assert kept == {"install": DISKS, "boot": MEMORY, "provision-1": MEMORY, "provision-2": MEMORY, "seal": DISKS}
    assert not bench.drafts()
    stored = [event for event in bench.events if isinstance(event, LayerStored)]
    assert [event.phase for event in stored] == list(kept)
    assert [event.pause for event in stored] == [0.0, 0.1, 0.1, 0.1, 0.0]
    assert all(event.size > 0 for event in stored)


def test_an_unchanged_build_does_nothing(bench: Bench) -> None:
    build(bench, live())
    bench.events.clear()
    assert build(bench, live()) == []
    assert [e.phase for e in bench.events if isinstance(e, PhaseSkipped)] == [p.name for p in live()]


def test_an_edit_of_the_last_script_resumes_the_booted_guest(bench: Bench) -> None:
    build(bench, live())
    lines = build(bench, live(Write("two!")))
    assert [line for line in lines if not line.startswith("undo")] == ["resume", "two!", "power off", "off", "seal"]


def test_a_live_layer_that_cant_be_resumed_here_is_passed_over(bench: Bench) -> None:
    build(bench, live())
    bench.unusable = "it was made by another QEMU"
    lines = build(bench, live(Write("two!")))
    assert lines[:2] == ["boot", "one"]
    assert any(isinstance(e, Note) and "another QEMU" in e.message for e in bench.events)


def test_an_off_build_keeps_powered_off_layers_only(bench: Bench) -> None:
    lines = build(bench, off())
    assert [line for line in lines if not line.startswith("undo")] == [
        "install", "boot", "one", "two", "power off", "off", "seal",
    ]  # fmt: skip
    assert {layer.phase for layer in bench.store.all()} == {"install", "provision-2", "seal"}
    again = build(bench, off("two!"))
    assert again[:3] == ["boot", "one", "undo one"]


def test_each_layer_stands_on_its_parents_disk(bench: Bench) -> None:
    phases = off()
    build(bench, phases)
    sealed = bench.store.find(phases[3].key)
    assert sealed is not None
    assert bench.disk(sealed) == f"backing:../{phases[2].key}/disk-main.qcow2\nseal\n"


def test_a_failure_keeps_what_was_kept_and_goes_on_there(bench: Bench) -> None:
    with pytest.raises(StepError, match="it broke"):
        build(bench, live(Fail(FAILURE)))
    assert {layer.phase for layer in bench.store.all()} == {"install", "boot", "provision-1"}
    assert not bench.drafts()
    assert bench.log.lines[-1] == "off"
    lines = build(bench, live())
    assert lines[:2] == ["resume", "two"]


def test_a_cancelled_build_ends_its_machine_and_leaves_no_draft(bench: Bench) -> None:
    with pytest.raises(asyncio.CancelledError):
        build(bench, live(Fail(asyncio.CancelledError())))
    assert bench.log.lines[-1] == "off"
    assert not bench.drafts()


def test_a_fresh_build_replaces_its_layers_and_all_that_stood_on_them(bench: Bench) -> None:
    build(bench, live())
    other = live(Write("two!"))
    build(bench, other)
    lines = build(bench, live(), not_stored=frozenset(p.name for p in live()))
    assert lines[0] == "install"
    assert bench.store.find(other[3].key) is None
    assert build(bench, live()) == []


def test_until_ends_after_the_named_phase(bench: Bench) -> None:
    lines = build(bench, live(), until="provision-1")
    assert [line for line in lines if not line.startswith("undo")] == ["install", "boot", "one", "off"]
    assert {layer.phase for layer in bench.store.all()} == {"install", "boot", "provision-1"}


def test_a_damaged_layer_is_built_again(bench: Bench) -> None:
    phases = off()
    build(bench, phases)
    layer = bench.store.find(phases[3].key)
    assert layer is not None
    (layer.path / "disk-main.qcow2").write_text("rotten")
    lines = build(bench, phases)
    assert lines == ["seal", "undo seal"]
    assert bench.store.find(phases[3].key) is not None


def test_nothing_is_kept_when_nothing_shall_be(bench: Bench) -> None:
    phases = make_phases(
        ("install", (Write("install"),), OFF, NOTHING),
        ("provision-1", (Write("one"),), ON, NOTHING),
        ("seal", (Write("seal"),), OFF, NOTHING),
        ("export", (Write("export"),), OFF, Keeps.ARTIFACT),
    )
    lines = build(bench, phases)
    assert [line for line in lines if not line.startswith("undo")] == [
        "install", "boot", "one", "power off", "off", "seal", "export",
    ]  # fmt: skip
    assert bench.store.all() == ()
    assert not bench.drafts()
