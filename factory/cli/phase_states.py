"""What a build would do with each phase, and why, compared with the newest build of the same name here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from factory.cli.missing_downloads import first_missing
from factory.cli.places import Places
from factory.cli.planning import Planned
from factory.engine import delivered
from factory.engine.recipes import recall
from factory.engine.store import LayerStore
from factory.plan.explain import Change, changes, unified, why
from factory.plan.model import Keeps, Phase, Recipe

LAYERED = (Keeps.DISKS, Keeps.MEMORY)


@dataclass(frozen=True, slots=True)
class PhaseState:
    """One phase of a plan. ``reason`` is a sentence for one that will run; ``differences`` are all that changed in it,
    ``text`` is what changed in files and other texts, as lines of unified diffs.

    "unneeded": nothing of it is stored, and nothing needs it, for the artifact is there as it was delivered.
    """

    phase: Phase
    state: Literal["stored", "within", "delivered", "unneeded", "runs"]
    reason: str = ""
    differences: tuple[Change, ...] = ()
    text: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Its part of ``factory plan --json``."""
        changed = [{"path": c.path, "before": c.before, "after": c.after, "label": c.label} for c in self.differences]
        return {
            **self.phase.describe(),
            "state": self.state,
            "reason": self.reason,
            "changes": changed,
        }


def phase_states(planned: Planned, store: LayerStore, output: Path, where: Places) -> tuple[PhaseState, ...]:
    """Every phase of *planned* as a build would find it now."""
    plan, reasons = planned.plan, reasons_to_run(planned, store)
    before, stamps = recipes_before(planned, store), where.cache / "names" / f"{planned.plan.name}.artifact.json"
    whole = first_missing(plan)[0] == len(plan.phases)
    current = whole and delivered.is_current(output / plan.name, plan.key, stamps)
    found = []
    for phase in plan.phases:
        if current and phase is plan.phases[-1]:
            found.append(PhaseState(phase, "delivered"))
        elif current and phase.name in reasons:
            found.append(PhaseState(phase, "unneeded"))
        elif phase.name in reasons:
            old = before.get(phase.name)
            differences = changes(old, phase.recipe) if old else ()
            text = tuple(unified(differences, old, phase.recipe)) if old else ()
            found.append(PhaseState(phase, "runs", reasons[phase.name], differences, text))
        else:
            found.append(PhaseState(phase, "within" if phase.keeps is Keeps.NOTHING else "stored"))
    return tuple(found)


def reasons_to_run(planned: Planned, store: LayerStore) -> dict[str, str]:
    """For each phase that will run, one sentence why."""
    plan = planned.plan
    layers = {p.name: store.find(p.key) for p in plan.phases if p.keeps in LAYERED}
    unusable = {name: planned.usable(layer) for name, layer in layers.items() if layer}
    wanted, missing = first_missing(plan)
    resumed = max((i for i, p in enumerate(plan.phases[:wanted]) if unusable.get(p.name) == ""), default=-1)
    before, reasons, changed = recipes_before(planned, store), dict[str, str](), ""
    for index, phase in enumerate(plan.phases[resumed + 1 :], resumed + 1):
        old = before.get(phase.name)
        same = old is None or not changes(old, phase.recipe)
        if reason := unusable.get(phase.name):
            reasons[phase.name] = f"{phase.name} will run again: its live layer can't be resumed here: {reason}"
        elif phase.name in layers and layers[phase.name] is None and store.has_folder(phase.key):
            reasons[phase.name] = f"{phase.name} will run again: its stored layer, or one below it, is damaged"
        elif phase.keeps is Keeps.ARTIFACT and planned.loaded and planned.loaded.delivery and same and not changed:
            reasons[phase.name] = f"{phase.name} will run: a Packer template's artifact is made by every build"
        elif same and not changed and old is not None and index == wanted:
            reasons[phase.name] = f"{phase.name} will run again: {missing} is not there any more"
        elif same and not changed and old is not None and phase.keeps not in LAYERED:
            what = "its artifact is not there as it was delivered" if phase.keeps is Keeps.ARTIFACT else _UNKEPT
            reasons[phase.name] = f"{phase.name} will run again: {what}"
        else:
            reasons[phase.name] = why(phase.name, old, phase.recipe, parent_changed=changed if same else "")
        changed = changed or phase.name
    return reasons


_UNKEPT = "no layer is kept after it"


def recipes_before(planned: Planned, store: LayerStore) -> dict[str, Recipe]:
    """Phase → what it was made of in the newest build here."""
    name = planned.plan.name
    layers = {phase: store.recipe(key) for phase, key in store.newest_keys(name).items()}
    return {phase: recipe for phase, recipe in layers.items() if recipe} | recall(store.root, name)
