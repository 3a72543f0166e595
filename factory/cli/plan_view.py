"""What ``factory plan`` prints."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from factory.cli.phase_states import PhaseState, phase_states
from factory.cli.places import places
from factory.cli.planning import Planned, plan_build
from factory.cli.report.problems import problem_json, show_warnings
from factory.cli.requests import Selection, find_builds
from factory.engine.store import LayerStore
from factory.host.facts import collect
from factory.plan.explain import Change
from factory.quantity import Size

LONGEST_VALUE = 120
"""Characters of a value in ``--diff``."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The command line of ``factory plan``."""

    selection: Selection
    output: Path
    layers: str | None
    diff: bool
    steps: bool
    as_json: bool


def show_plans(templates: Sequence[Path], options: PlanOptions) -> None:
    """Prints. Raises: TemplateError, HostError, StepError."""
    where = places()
    planned = asyncio.run(_plans(templates, options))
    store = LayerStore(where.cache)
    show_warnings(problem for p in planned for problem in p.loaded.warnings)
    states = [phase_states(p, store, options.output, where) for p in planned]
    if options.as_json:
        shown = [
            {
                **p.plan.describe(),
                "phases": [s.to_json() for s in own],
                "warnings": [problem_json(w) for w in p.loaded.warnings],
            }
            for p, own in zip(planned, states, strict=True)
        ]
        click.echo(json.dumps(shown, indent=2))
        return
    for item, own in zip(planned, states, strict=True):
        for line in plan_lines(item, own, options):
            click.echo(line)


async def _plans(templates: Sequence[Path], options: PlanOptions) -> list[Planned]:
    where = places()
    facts = await collect(where.cache, output=options.output)
    requests = find_builds(templates, options.selection, facts.template_names)
    requests.raise_if_any()
    plans: dict[str, Planned] = {}
    for name, request in requests.builds.items():
        base = plans.get(request.base)
        plans[name] = await plan_build(request.loaded, options.output, options.layers, where, facts, base)
    return list(plans.values())


def plan_lines(planned: Planned, states: Sequence[PhaseState], options: PlanOptions) -> Iterator[str]:
    """One plan, line by line, styled."""
    plan = planned.plan
    yield click.style(plan.name, bold=True) + f"  {plan.template}"
    for name, value in plan.facts.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        yield f"  {name.replace('_', ' ')}: {shown}"
    yield from (f"  {line}" for line in machine_lines(plan.machine))
    for state in states:
        yield f"  {click.style(f'{state.phase.name:<14}', fg='cyan')} {_words(state, options.output / plan.name)}"
        if options.diff:
            yield from (f"      {line}" for change in state.differences for line in _change(change))
            yield from (f"      {_coloured(line)}" for line in state.text)
        if options.steps:
            yield from (f"      {step.title}" for step in state.phase.steps)


def machine_lines(machine: Mapping[str, Any]) -> Iterator[str]:
    """The machine in one line, and the user's own arguments for QEMU in another where there are some."""
    if not machine:
        return
    parts = [machine["type"], machine["firmware"], f"{machine['cpus']} CPUs", str(Size(machine["memory"]))]
    parts += [f"TPM {machine['tpm']}"] if machine["tpm"] else []
    parts += [f"disk {d['id']} ({Size(d['size'])}, {d['bus']})" for d in machine["disks"]]
    parts += [f"NIC {n['id']} ({n['model']}{', ' if n['bridge'] else ''}{n['bridge']})" for n in machine["nics"]]
    yield f"machine: {', '.join(parts)}"
    yield from _further_options(machine)
    if machine["extra_args"]:
        yield f"QEMU also gets: {shlex.join(machine['extra_args'])}"
    if machine["replaced_switches"]:
        yield f"QEMU does not get our own: {' '.join(machine['replaced_switches'])}"


def _further_options(machine: Mapping[str, Any]) -> Iterator[str]:
    for nic in machine["nics"]:
        for one in nic["forward"]:
            to = f"{one['guest_address']}:{one['guest']}" if one["guest_address"] else f"port {one['guest']}"
            yield f"{one['address']}:{one['host']} leads to the guest's {to} ({one['protocol']})"
        if options := [*nic["network"], *nic["device"]]:
            yield f"NIC {nic['id']} also has: {shlex.join(options)}"
    for disk in machine["disks"]:
        serial = [f"serial={disk['serial']}"] if disk["serial"] else []
        blocks = [f"block_size={disk['block_size']}"] if disk["block_size"] != 512 else []
        if options := [*serial, *blocks, *disk["device"]]:
            yield f"disk {disk['id']} also has: {shlex.join(options)}"


def _words(state: PhaseState, artifact: Path) -> str:
    match state.state:
        case "delivered":
            return f"delivered in {artifact}"
        case "unneeded":
            return "not needed: what it leads to is delivered"
        case "within":
            return "in the layer that follows"
        case "stored":
            return f"stored as {state.phase.key[:12]}"
    return state.reason


def _change(change: Change) -> Iterator[str]:
    if change.label:
        yield f"{change.path}: {change.label} changed"
    else:
        yield f"{change.path}: {_value(change.before)} → {_value(change.after)}"


def _value(value: object) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _coloured(line: str) -> str:
    return click.style(line, fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
