"""What a plan asks of this computer, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from factory.cli.planning import Planned
from factory.drivers.qemu.arguments import display_device
from factory.errors import Problem
from factory.host.facts import HostFacts
from factory.host.preflight import Needs, preflight, refuse
from factory.quantity import Size
from factory.template.model import Machine

ROOM_FOR_LAYERS = Size(512 * 2**20)
"""The least that a build of even the smallest system wants to store."""


def check_host(planned: Planned, facts: HostFacts) -> Iterator[Problem]:
    """Yields warnings. Raises: HostError with everything that would end the build later."""
    problems = preflight(needs_of(planned), facts)
    refuse(problems)
    yield from problems


def needs_of(planned: Planned) -> Needs:
    template = planned.loaded.template
    machine = template.machine
    kinds = {p.kind for p in template.provision}
    return Needs(
        memory=machine.memory,
        machine_type=machine.type,
        firmware=machine.firmware.value,
        devices=tuple(_devices(machine)),
        cpu_model=machine.cpu.partition(",")[0] if "cpu" not in machine.replaced_switches else "",
        tpm=machine.tpm is not None,
        seal=template.seal is not None,
        bridges=tuple(n.bridge for n in machine.nics if n.bridge),
        forwards=tuple((f.protocol, f.address, f.host) for n in machine.nics for f in n.forward),
        programs=("ansible-playbook",) if "ansible" in kinds else (),
        cache=ROOM_FOR_LAYERS,
        output=ROOM_FOR_LAYERS if template.outputs or planned.loaded.delivery else Size(0),
        files=tuple(_own_files(planned)),
    )


def _devices(machine: Machine) -> Iterator[str]:
    """The devices that the template names, but not those for which the user's own arguments stand."""
    replaced = set(machine.replaced_switches)
    if not replaced & {"device", "net"}:
        yield from (nic.model.partition(",")[0] for nic in machine.nics)
    if not replaced & {"device", "vga"} and machine.display not in ("", "none"):
        yield display_device(machine.display).partition(",")[0]


def _own_files(planned: Planned) -> Iterator[Path]:
    source = planned.loaded.template.source.iso or planned.loaded.template.source.image
    if source and isinstance(source.path, str):
        yield planned.loaded.resolve(source.path)
