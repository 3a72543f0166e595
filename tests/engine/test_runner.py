from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from factory.engine.freshness import PlanOutdated, Seen
from factory.engine.layer_index import Layer, why_unusable
from factory.errors import MachineDied, StepError, StoreError
from factory.events import LayerStored, Note, PhaseSkipped, PhaseStarted
from factory.plan.model import Keeps, Phase, Plan, Power
from factory.plan.step import Scope, Step
from factory.quantity import Size
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


class Saves:
    """Somebody who saves what the phase called *phase* is made from, when it has been *asked* for so often.

    Until it is planned again for as many *saves*, it differs from the plan.
    """

    def __init__(
        self, phase: str, *, asked: int, anew: tuple[Phase, ...] = (), undone: bool = False, saves: int = 99
    ) -> None:
        self.phase, self.asked, self.anew, self.undone, self.saves = phase, asked, anew, undone, saves
        self.once: list[dict[str, str]] = []

    async def look(self, phase: Phase) -> Seen:
        if phase.name != self.phase:
            return Seen()
        self.asked -= 1
        saved = self.asked < 0 and len(self.once) < self.saves
        return Seen("two.sh changed" if saved and not self.undone else "", {"/two.sh": (9, 1, 2 if saved else 1, 7)})

    async def planned_again(self, once: Mapping[str, str]) -> Plan:
        self.once.append(dict(once))
        return make_plan(*self.anew)


def test_a_phase_that_is_no_longer_what_was_planned_does_not_run(bench: Bench) -> None:
    with pytest.raises(PlanOutdated) as outdated:
        build(bench, live(), sources=Saves("provision-2", asked=0))
    assert (outdated.value.phase, outdated.value.what, outdated.value.ran) == ("provision-2", "two.sh changed", False)
    assert "two" not in bench.log.lines
    assert {layer.phase for layer in bench.store.all()} == {"install", "boot", "provision-1"}
    assert bench.drafts() == []


@pytest.mark.parametrize("phases", [live(), off()])
def test_what_changed_while_a_phase_ran_is_not_stored_under_its_key(bench: Bench, phases: tuple[Phase, ...]) -> None:
    told = Told()
    with pytest.raises(PlanOutdated) as outdated:
        build(bench, phases, sources=Saves("provision-2", asked=1), hooks=(told,))
    assert outdated.value.ran
    assert "two" in bench.log.lines
    assert bench.store.find(phases[-2].key) is None
    assert bench.drafts() == []
    assert told.errors == [], "nothing has failed"


@pytest.mark.parametrize("phases", [live(), off()])
def test_what_was_saved_and_put_back_while_a_phase_ran_is_not_stored_either(
    bench: Bench, phases: tuple[Phase, ...]
) -> None:
    with pytest.raises(PlanOutdated, match=r"two\.sh was written to") as outdated:
        build(bench, phases, sources=Saves("provision-2", asked=1, undone=True))
    assert outdated.value.ran
    assert bench.store.find(phases[-2].key) is None


def none(second: str = "two") -> tuple[Phase, ...]:
    return make_phases(
        ("install", (Write("install"),), OFF, NOTHING),
        ("provision-1", (Write("one"),), ON, NOTHING),
        ("provision-2", (Write(second),), ON, NOTHING),
        ("seal", (Write("seal"),), OFF, NOTHING),
    )


def test_without_layers_what_was_saved_before_its_turn_runs_in_the_same_machine(bench: Bench) -> None:
    taken: list[Plan] = []
    sources = Saves("provision-2", asked=0, anew=none("two!"), saves=1)
    lines = build(bench, none(), sources=sources, replanned=taken.append)
    assert [line for line in lines if not line.startswith("undo")] == [
        "install", "boot", "one", "two!", "power off", "off", "seal",
    ]  # fmt: skip
    assert [plan.phases for plan in taken] == [none("two!")]
    assert sources.once == [{}]


def test_without_layers_what_was_saved_during_its_turn_gives_the_image_another_name(bench: Bench) -> None:
    sources = Saves("provision-2", asked=1, anew=none("two!"))
    lines = build(bench, none(), sources=sources)
    assert [line for line in lines if line in ("one", "two", "two!", "seal")] == ["one", "two", "seal"]
    assert [list(once) for once in sources.once] == [["provision-2"]]
    assert any("nobody knows which of the two it was" in str(event) for event in bench.events)


def test_without_layers_a_change_of_what_has_run_begins_anew(bench: Bench) -> None:
    changed = (make_phases(("install", (Write("install!"),), OFF, NOTHING))[0], *none()[1:])
    with pytest.raises(PlanOutdated):
        build(bench, none(), sources=Saves("provision-2", asked=0, anew=changed))


def test_a_phase_whose_key_names_no_content_takes_any(bench: Bench) -> None:
    phases = live()
    build(bench, phases, sources=Saves("provision-2", asked=1), any_content={"provision-2"})
    assert bench.store.find(phases[-1].key)


@dataclass
class Told:
    """A failure hook that remembers."""

    errors: list[BaseException] = field(default_factory=list)

    async def failed(self, error: BaseException, phase: str, scope: Scope) -> None:
        self.errors.append(error)

    async def stopped(self, error: BaseException, folder: Path | None) -> None:
        self.errors.append(error)


def test_memory_that_qemu_refuses_is_gone_around(bench: Bench) -> None:
    """The newest live layer can't be resumed: the one before it is, then what runs again replaces the bad one."""
    phases = live()
    build(bench, phases)
    refused = bench.store.find(phases[3].key)
    assert refused is not None
    bench.store.remove(phases[4].key)
    bench.refused, told = refused.path.name, Told()
    lines = build(bench, phases, hooks=(told,))
    assert told.errors == [], "what is gone around is no failure"
    assert [line for line in lines if not line.startswith("undo")] == [
        "resume", "refused", "resume", "two", "power off", "off", "seal",
    ]  # fmt: skip
    notes = [event.message for event in bench.events if isinstance(event, Note)]
    assert "the live layer after provision-2 can't be resumed: QEMU ended by itself (status 1)" in notes
    reasons = [event.reason for event in bench.events if isinstance(event, PhaseStarted)]
    assert "provision-2 will run again: its live layer can't be resumed" in reasons
    assert not bench.drafts()


def test_a_qemu_that_dies_of_something_else_is_no_reason_to_distrust_a_layer(bench: Bench) -> None:
    phases = live()
    build(bench, phases)
    bench.store.remove(phases[4].key)
    bench.refused, bench.refusal = phases[3].key, MachineDied
    with pytest.raises(MachineDied):
        build(bench, phases)
    assert bench.store.find(phases[3].key) is not None


def test_a_layer_that_vanishes_between_look_up_and_use_is_gone_around(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases = off()
    build(bench, phases)
    bench.store.remove(phases[3].key)
    real = bench.store.hold

    def hold(layer: Layer) -> AbstractContextManager[None]:
        if layer.key == phases[2].key and bench.store.find(layer.key):
            bench.store.remove(layer.key)  # as `factory cache rm` would, in this very moment
        return real(layer)

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "hold", hold)
        patched.setattr(bench.store, "touch", lambda layer: patched.setattr(bench.store, "hold", real))
        lines = build(bench, phases)
    assert [line for line in lines if not line.startswith("undo")] == [
        "boot", "one", "two", "power off", "off", "seal",
    ]  # fmt: skip


def test_a_full_disk_is_an_error_with_a_way_out(bench: Bench) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(bench.folder / "image.qcow2"))
    with pytest.raises(StoreError, match="no space left in") as caught:
        build(bench, live(Fail(full)))
    assert caught.value.exit_code == 6
    assert {layer.phase for layer in bench.store.all()} == {"install", "boot", "provision-1"}
    assert not bench.drafts()


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        ({"qemu": "9.0.1", "cpu": "max"}, "its memory is bound to QEMU 7.2.22, and the machine has 9.0.1 now"),
        ({"qemu": "7.2.22", "cpu": "Nehalem"},
         "its memory is bound to the CPU model max, and the machine has Nehalem now"),
        ({"qemu": "7.2.22", "cpu": "max", "devices": "3"},
         "its memory is bound to the devices of version (unknown), and the machine has 3 now"),
        ({"qemu": "7.2.22", "cpu": "max"}, ""),
    ],
)  # fmt: skip
def test_why_memory_cannot_be_used_is_said(tmp_path: Path, ours: dict[str, str], words: str) -> None:
    machine = {"qemu": "7.2.22", "cpu": "max"}
    layer = Layer("aa", tmp_path, "boot", MEMORY, "", 0.0, Size(0), machine)
    assert why_unusable(layer, ours) == words
    assert why_unusable(replace(layer, keeps=DISKS), ours) == ""


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
