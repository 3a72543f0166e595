"""Checks that every step finds what it needs, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from factory.plan.model import Phase, Plan, Power
from factory.plan.step import Step


def check_wiring(plan: Plan, given: Iterable[type]) -> None:
    """Walks every order in which the runner may enter steps.

    A build may begin at any phase (its parent is stored), so each phase is checked on its own: with what the engine
    gives (*given*), and, where it wants the machine running, what the boot steps provide.

    Raises: TypeError naming step, phase and resource. It is our bug, not the user's.
    """
    base = frozenset(given)
    booted = _walk("boot", plan.boot, base)
    _walk("power off", plan.power_off, booted)
    for phase in plan.phases:
        _walk(phase.name, phase.steps, booted if phase.power is Power.RUNNING else base)


def _walk(where: str, steps: Sequence[Step], available: frozenset[type]) -> frozenset[type]:
    for step in steps:
        missing = [need.__name__ for need in step.needs if need not in available]
        if missing:
            raise TypeError(f"{where}: step {step.name} needs {', '.join(missing)}, which nothing before it provides")
        available |= frozenset(step.provides)
    return available


def phase_names(phases: Sequence[Phase]) -> tuple[str, ...]:
    return tuple(p.name for p in phases)
