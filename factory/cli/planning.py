"""From a template's path to a plan on this host, and the plan in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from factory.cli.given import GIVEN, media_library, usable_here
from factory.cli.places import Places, places
from factory.cli.requests import Selection, find_builds
from factory.engine import delivered
from factory.engine.store import Layer, LayerStore
from factory.errors import TemplateError
from factory.host.facts import HostFacts, collect
from factory.plan.explain import changes, why
from factory.plan.model import Keeps, Phase, Plan
from factory.plan.wiring import check_wiring
from factory.steps.contents import PlanInputs, make_plan
from factory.template.model import Layers, Loaded


@dataclass(frozen=True, slots=True)
class Planned:
    """``usable`` says why a live layer can't be resumed here; an empty text when it can."""

    loaded: Loaded
    plan: Plan
    usable: Callable[[Layer], str]


async def plan_build(loaded: Loaded, output: Path, layers: str | None, where: Places, facts: HostFacts) -> Planned:
    """Raises: TemplateError, HostError, StepError (a checksum file that can't be had)."""
    library = media_library(where, loaded.root, where.runs)
    source = loaded.template.source.iso or loaded.template.source.image
    assert source is not None
    built = {
        f.name: f"built:{await library.build_identity(f.build)}"
        for f in (loaded.template.install.seed_files if loaded.template.install else ())
        if f.build
    }
    inputs = PlanInputs(
        loaded=loaded,
        platform=facts.platform,
        media=await library.identity(source),
        seed_files=built,
        output=output,
        salt=LayerStore(where.cache).salt,
        layers=Layers(layers) if layers else None,
    )
    plan = await asyncio.to_thread(make_plan, inputs)
    check_wiring(plan, GIVEN)
    return Planned(loaded, plan, usable_here(plan, facts))


def last_layer(planned: Planned) -> Phase:
    """The phase whose layer is the whole image: what another build starts from. Raises: TemplateError."""
    for phase in reversed(planned.plan.phases):
        if phase.keeps in (Keeps.DISKS, Keeps.MEMORY):
            return phase
    raise TemplateError(
        f"'{planned.plan.name}' keeps no layers, so nothing can start from it", hint="let its `layers` be off or live"
    )


def explain(plan: Plan, store: LayerStore, usable: Callable[[Layer], str]) -> dict[str, str]:
    """For each phase that will run, one sentence why. *usable* says why a live layer can't be resumed here."""
    layers = {p.name: store.find(p.key) for p in plan.phases if p.keeps in (Keeps.DISKS, Keeps.MEMORY)}
    unusable = {name: usable(layer) for name, layer in layers.items() if layer}
    resumed = max((i for i, p in enumerate(plan.phases) if unusable.get(p.name) == ""), default=-1)
    newest, reasons, changed = store.newest_keys(plan.name), {}, ""
    for phase in plan.phases[resumed + 1 :]:
        before = store.recipe(newest[phase.name]) if phase.name in newest else None
        same = before is None or not changes(before, phase.recipe)
        reasons[phase.name] = why(phase.name, before, phase.recipe, parent_changed=changed if same else "")
        if phase.name in layers and layers[phase.name] is None and store.has_folder(phase.key):
            reasons[phase.name] = f"{phase.name} will run again: its stored layer, or one below it, is damaged"
        if reason := unusable.get(phase.name):
            reasons[phase.name] = f"{phase.name} will run again: its live layer can't be resumed here: {reason}"
        changed = changed or phase.name
    return reasons


def show_plans(
    templates: Sequence[Path], selection: Selection, output: Path, layers: str | None, diff: bool, steps: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Prints."""
    where = places()

    async def all_plans() -> list[Planned]:
        facts = await collect(where.cache, output=output)
        requests = find_builds(templates, selection, facts.template_names)
        requests.raise_if_any()
        return [await plan_build(r.loaded, output, layers, where, facts) for r in requests.builds.values()]

    planned = asyncio.run(all_plans())
    if as_json:
        click.echo(json.dumps([p.plan.describe() for p in planned], indent=2))
        return
    store = LayerStore(where.cache)
    for item in planned:
        show_plan(item, store, output, where, diff=diff, steps=steps)


def show_plan(item: Planned, store: LayerStore, output: Path, where: Places, *, diff: bool, steps: bool) -> None:
    plan = item.plan
    click.echo(click.style(plan.name, bold=True) + f"  {plan.template}")
    for name, value in plan.facts.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        click.echo(f"  {name.replace('_', ' ')}: {shown}")
    reasons, newest = explain(plan, store, item.usable), store.newest_keys(plan.name)
    stamps = where.cache / "names" / f"{plan.name}.artifact.json"
    for phase in plan.phases:
        if phase.keeps is Keeps.ARTIFACT and delivered.is_current(output / plan.name, phase.key, stamps):
            state = f"delivered in {output / plan.name}"
        elif phase.name in reasons:
            state = reasons[phase.name]
        elif phase.keeps is Keeps.NOTHING:
            state = "in the layer that follows"
        else:
            state = f"stored as {phase.key[:12]}"
        click.echo(f"  {click.style(f'{phase.name:<14}', fg='cyan')} {state}")
        if diff and phase.name in reasons and (before := store.recipe(newest.get(phase.name, ""))):
            for change in changes(before, phase.recipe):
                click.echo(f"      {change.path}: {change.before!r} → {change.after!r}  {change.label}".rstrip())
        if steps:
            for step in phase.steps:
                click.echo(f"      {step.title}")
