"""Before anything runs: does this computer have what a build needs? All problems at once; pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from factory.errors import HostError, Problem
from factory.host.doctor import install
from factory.host.facts import HostFacts
from factory.host.ports import is_taken
from factory.quantity import Size

FIRMWARES = ("bios", "uefi", "uefi-secure")
_CPU_TYPE = "-x86_64-cpu"
"""Ends the long name of each model, which QEMU takes too and does not list."""
_BESIDE = Size.parse("256 MiB")
"""QEMU's own and the factory's memory."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a build asks of the host, gathered from its plan."""

    memory: Size
    """Of all machines that run at the same time."""
    machine_type: str = "q35"
    firmware: str = "bios"
    devices: tuple[str, ...] = ()
    """What QEMU's ``-device`` is given, as far as the template names it."""
    cpu_model: str = ""
    tpm: bool = False
    seal: bool = False
    bridges: tuple[str, ...] = ()
    forwards: tuple[tuple[str, str, int], ...] = ()
    """Ports of this host that lead into the guest: protocol, address, number."""
    programs: tuple[str, ...] = ()
    """Names of ``facts.TOOLS`` that its steps run, beside QEMU's."""
    cache: Size = Size(0)
    """Space for layers and media, as far as it can be foreseen."""
    output: Size = Size(0)
    files: tuple[Path, ...] = field(default=())
    """Files of the user's that have to be there and be readable, such as firmware of their own."""


def preflight(needs: Needs, facts: HostFacts) -> tuple[Problem, ...]:
    """Everything that would end the build later. A problem of severity "warning" need not."""
    return tuple(_problems(needs, facts))


def refuse(problems: Sequence[Problem]) -> None:
    """Raises: HostError that tells every error among *problems*."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        hints = dict.fromkeys(problem.hint for problem in errors if problem.hint)
        raise HostError("; ".join(problem.message for problem in errors), hint="; ".join(hints))


def _problems(needs: Needs, facts: HostFacts) -> Iterator[Problem]:
    yield from _machines(needs, facts)
    if "qemu-img" not in facts.tools:
        yield Problem("qemu-img is not installed", hint=install(facts.family, "qemu-img"))
    if needs.tpm and "swtpm" not in facts.tools:
        yield Problem("the machine has a TPM, and swtpm is not installed", hint=install(facts.family, "swtpm"))
    appliance = facts.appliance
    if needs.seal and appliance is not None and not appliance.usable:
        hint = install(facts.family, "guestfs", "supermin", "kernel")
        yield Problem("images can't be sealed: libguestfs does not work here", hint=f"{hint}; see `factory doctor`")
    for name in needs.programs:
        if name not in facts.tools:
            yield Problem(f"{name} is not installed", hint=install(facts.family, name))
    for bridge in needs.bridges:
        if not Path("/sys/class/net", bridge, "bridge").exists():
            yield Problem(
                f"this computer has no network bridge {bridge!r}", hint="`ip link show type bridge` lists them"
            )
    for protocol, address, port in needs.forwards:
        if is_taken(protocol, address, port):
            # A warning: its holder may be gone by then, and what is built already needs no port.
            message = f"port {port} of {address} ({protocol}) is taken, and the machine is to have it"
            yield Problem(message, hint=f"`ss -lnp sport = :{port}` tells by whom", severity="warning")
    for path in needs.files:
        if not path.is_file():
            yield Problem(f"{path} is not there", hint="the template names it")
    yield from _memory(needs, facts)
    yield from _space(needs, facts)


def _machines(needs: Needs, facts: HostFacts) -> Iterator[Problem]:
    try:
        platform = facts.platform
    except HostError as error:
        yield Problem(error.message, hint=error.hint)
        return
    if needs.machine_type not in platform.machine_types:
        yield Problem(f"this QEMU has no machine type {needs.machine_type}", hint=install(facts.family, "qemu"))
    yield from _models(needs, facts)
    if needs.firmware != "bios" and needs.firmware not in platform.uefi:
        yield Problem(f"this computer has no {needs.firmware} firmware", hint=install(facts.family, "ovmf"))
    if platform.accelerator == "tcg":
        message = "no hardware acceleration works here: machines are emulated, some ten times slower"
        yield Problem(message, hint="`factory doctor` says why", severity="warning")


def _models(needs: Needs, facts: HostFacts) -> Iterator[Problem]:
    """What this QEMU would refuse only when the media are there."""
    if facts.qemu is None:
        return
    for device in dict.fromkeys(needs.devices):
        if facts.qemu.devices and device not in facts.qemu.devices:
            hint = _nearest(device, facts.qemu.devices, f"`{facts.qemu.binary.name} -device help` lists them")
            yield Problem(f"this QEMU has no device {device!r}", hint=hint)
    model, known = needs.cpu_model, facts.qemu.cpu_models
    if model and known and model not in known and not model.endswith(_CPU_TYPE):
        hint = _nearest(model, known, f"`{facts.qemu.binary.name} -cpu help` lists them")
        yield Problem(f"this QEMU has no CPU model {model!r}", hint=hint)


def _nearest(written: str, known: Iterable[str], otherwise: str) -> str:
    folded = {name.casefold(): name for name in sorted(known)}
    close = difflib.get_close_matches(written.casefold(), folded, n=1)
    return f"did you mean {folded[close[0]]!r}?" if close else otherwise


def _memory(needs: Needs, facts: HostFacts) -> Iterator[Problem]:
    wanted = Size(needs.memory + _BESIDE)
    if wanted > facts.memory:
        message = f"the machines need {wanted} of memory, and this computer has {facts.memory}"
        yield Problem(message, hint="give them less: machine.memory")
    elif wanted > facts.memory_available:
        message = f"the machines need {wanted} of memory, and {facts.memory_available} are free"
        yield Problem(message, hint="end something, or give them less", severity="warning")


def _space(needs: Needs, facts: HostFacts) -> Iterator[Problem]:
    wanted = {"cache": needs.cache, "output": needs.output}
    variables = {"cache": "FACTORY_CACHE", "output": "--output"}
    for name, size in wanted.items():
        space = facts.spaces[name]
        if space.in_the_way:
            hint = f"make it a folder, or set {variables[name]} to another one"
            yield Problem(f"{space.in_the_way}: no folder can be made there", hint=hint)
        elif not space.writable:
            yield Problem(f"{space.folder} is not writable", hint=f"set {variables[name]} to a folder of yours")
        elif size > space.free:
            # A warning: disks are sparse, and what they will hold is a guess.
            message = f"{space.folder} has {space.free} free, and up to {size} may be needed"
            yield Problem(message, hint=f"free some, or set {variables[name]} to a larger disk", severity="warning")
