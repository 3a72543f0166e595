"""What this host has for builds, and what a build takes of it at its peak."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from factory.cli.planning import Planned
from factory.cli.preflighting import ROOM_FOR_LAYERS
from factory.engine.scheduler import NOTHING, Load
from factory.engine.store import LayerStore
from factory.host.facts import HostFacts
from factory.plan.model import Keeps, Phase
from factory.quantity import Size

RESERVE = Size(512 * 2**20)
"""Memory that is left to the host."""
BESIDE_A_MACHINE = Size(256 * 2**20)
"""QEMU's own memory, and what the factory holds for a build."""
APPLIANCE = Size(1280 * 2**20)
"""libguestfs' machine while a disk is sealed: the template's own machine is off then."""
EMULATED, REAL = 1.0, 0.5
"""Host processors that a guest's processor keeps busy: under TCG its thread computes all that the guest does, under a
hypervisor an installing guest waits for its disk and the network half of the time."""
PER_PROCESSOR = 2.0
"""Guests' busy processors for each of the host's: installers and scripts keep one of a guest's processors busy, seldom
two (measured: a whole build of the tiny image under TCG, 2 processors, took 0.35 of one host processor)."""
FILLED = 4
"""A disk is expected to be filled to a quarter of its size; memory to be stored in a quarter of its size."""


def capacity(facts: HostFacts) -> Load:
    """What is free now."""
    space = {_file_system(s.folder): s.free for s in (facts.spaces["cache"], facts.spaces["output"])}
    memory = Size(max(0, facts.memory_available - RESERVE))
    return Load(memory, facts.cpus * PER_PROCESSOR, space)


def load_of(planned: Planned, facts: HostFacts, missing: list[Phase]) -> Load:
    """What the phases in *missing* take at most; nothing when there are none."""
    if not missing:
        return NOTHING
    template = planned.loaded.template
    machine = template.machine
    delivers = any(phase.keeps is Keeps.ARTIFACT for phase in missing)
    clones = template.verify.clones if template.verify and delivers else 1
    opened = delivers or any(phase.name == "seal" for phase in missing)  # by libguestfs
    memory = Size(max(machine.memory * clones, APPLIANCE if opened else 0) + BESIDE_A_MACHINE)
    each = EMULATED if facts.accelerator == "tcg" else REAL
    disks = sum(d.size for d in machine.disks) // FILLED
    live = sum(machine.memory // FILLED for phase in missing if phase.keeps is Keeps.MEMORY)
    space = {_file_system(facts.spaces["cache"].folder): Size(max(disks, ROOM_FOR_LAYERS) + live)}
    if delivers:
        name = _file_system(facts.spaces["output"].folder)
        space[name] = Size(space.get(name, Size(0)) + disks * max(1, len(template.outputs)))
    return Load(memory, machine.cpus * clones * each, space)


def missing_phases(planned: Planned, store: LayerStore, not_stored: frozenset[str], until: str) -> list[Phase]:
    """What a build would run now: everything after the newest layer that it can go on from."""
    phases = list(_up_to(planned, until))
    for index in reversed(range(len(phases))):
        phase = phases[index]
        if phase.keeps not in (Keeps.DISKS, Keeps.MEMORY) or phase.name in not_stored:
            continue
        layer = store.find(phase.key)
        if layer and not planned.usable(layer):
            return phases[index + 1 :]
    return phases


def _up_to(planned: Planned, until: str) -> Iterator[Phase]:
    for phase in planned.plan.phases:
        yield phase
        if phase.name == until:
            return


def _file_system(folder: Path) -> str:
    return str(folder.stat().st_dev)
