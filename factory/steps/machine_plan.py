"""From a template's machine to a ``MachineSpec`` on this host, without what belongs to one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from factory.digest import Json, to_json
from factory.drivers.machine_spec import (
    Bus,
    CdromSpec,
    CpuSpec,
    DiskSpec,
    Forward,
    MachineSpec,
    NicSpec,
    Reboot,
    TpmSpec,
    UefiSpec,
)
from factory.drivers.protocols import GuestAddress
from factory.errors import HostError
from factory.host.platform import Platform, UefiFirmware
from factory.secret import Redactor
from factory.template.model import Finished, Firmware, LateText, Machine, Template

_UNPLACED = Path("unplaced")
"""Stands for a path in the layer: ``steps.start_machine`` fills it in."""


def guest_port(template: Template) -> int:
    """The guest's port for the template's communicator; 0 when it has none."""
    if template.access.none:
        return 0
    if template.access.winrm:
        return template.access.winrm.port
    return template.access.ssh.port if template.access.ssh else 22


def guest_address(template: Template) -> GuestAddress | None:
    """Where the guest is reached itself, and not by a port of this host that leads into it."""
    host = template.access.host
    return GuestAddress(host, guest_port(template)) if host else None


def machine_spec(template: Template, platform: Platform) -> MachineSpec:
    """The machine as it boots from its own disks. Raises: HostError when this host can't be such a machine."""
    machine = template.machine
    firmware = uefi_firmware(machine, platform)
    uefi = None
    if firmware:
        uefi = UefiSpec(firmware.code, _UNPLACED, firmware.code_format, firmware.variables_format, firmware.secure_boot)
    port = 0 if template.access.host else guest_port(template)
    return MachineSpec(
        name=template.name,
        binary=platform.qemu,
        machine_type=pinned_type(machine, platform),
        accelerator=platform.accelerator,
        memory=machine.memory,
        cpu=CpuSpec(machine.cpu or platform.cpu_model, machine.cpus),
        disks=tuple(
            DiskSpec(d.id, _UNPLACED, bus=d.bus, serial=d.serial, boot_index=i) for i, d in enumerate(machine.disks)
        ),
        nics=tuple(
            NicSpec(n.id, n.model, n.mac, (Forward(port),) if port and i == 0 else (), bridge=n.bridge)
            for i, n in enumerate(machine.nics)
        ),
        uefi=uefi,
        tpm=TpmSpec(_UNPLACED, machine.tpm.model, machine.tpm.version) if machine.tpm else None,
        display=machine.display,
        reboot=Reboot.RESETS,
        extra_args=tuple(a for a in machine.extra_args if isinstance(a, str)),
        replaced_switches=frozenset(machine.replaced_switches),
    )


def installer_spec(spec: MachineSpec, finished: Finished) -> MachineSpec:
    """The same machine with the installer in its drive.

    An installer that ends with a reset never boots its ISO twice: the reset ends the machine. One that resets in
    between (Windows) boots from its disks first, which are empty only at the beginning.
    """
    if finished is Finished.RESET:
        disks = tuple(replace(d, boot_index=i + 1) for i, d in enumerate(spec.disks))
        return replace(
            spec,
            disks=disks,
            cdroms=(CdromSpec("installer", None, Bus.IDE, boot_index=0),),
            reboot=Reboot.ENDS_MACHINE,
        )
    return replace(spec, cdroms=(CdromSpec("installer", None, Bus.IDE, boot_index=len(spec.disks)),))


def uefi_firmware(machine: Machine, platform: Platform) -> UefiFirmware | None:
    if machine.firmware is Firmware.BIOS:
        return None
    firmware = platform.uefi.get(machine.firmware.value)
    if firmware is None:
        raise HostError(
            f"this host has no {machine.firmware.value} firmware for {machine.arch}",
            hint="install OVMF (Debian and Ubuntu: ovmf; Fedora: edk2-ovmf), see `factory doctor`",
        )
    return firmware


def pinned_type(machine: Machine, platform: Platform) -> str:
    pinned = platform.machine_types.get(machine.type)
    if pinned is None:
        raise HostError(
            f"{platform.qemu} has no machine type {machine.type}", hint="install qemu-system-x86, see `factory doctor`"
        )
    return pinned


def machine_recipe(machine: Machine, platform: Platform) -> dict[str, Any]:
    """What of a machine counts in keys: not CPUs, accelerator or display (DESIGN §5)."""
    firmware = uefi_firmware(machine, platform)
    return {
        "type": pinned_type(machine, platform),
        "firmware": machine.firmware,
        "firmware_code": {"sha256": firmware.digest} if firmware else None,
        "memory": machine.memory,
        "tpm": machine.tpm,
        "disks": machine.disks,
        "nics": machine.nics,
        "extra_args": machine.extra_args,
        "replaced_switches": machine.replaced_switches,
    }


def machine_facts(machine: Machine, platform: Platform, secrets: Sequence[str] = ()) -> dict[str, Json]:
    """What a plan says of its machine. Sizes are bytes; an argument that only the running build knows is as written."""
    redact = Redactor(secrets)
    facts = to_json(
        {
            "type": pinned_type(machine, platform),
            "firmware": machine.firmware,
            "cpus": machine.cpus,
            "cpu": machine.cpu or platform.cpu_model,
            "memory": machine.memory,
            "tpm": machine.tpm.version if machine.tpm else "",
            "display": machine.display,
            "disks": [{"id": d.id, "size": d.size, "bus": d.bus} for d in machine.disks],
            "nics": [{"id": n.id, "model": n.model, "mac": n.mac, "bridge": n.bridge} for n in machine.nics],
            "extra_args": [redact(a.source if isinstance(a, LateText) else a) for a in machine.extra_args],
            "replaced_switches": machine.replaced_switches,
        }
    )
    assert isinstance(facts, dict)
    return facts
