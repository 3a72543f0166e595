"""From a template's machine to a ``MachineSpec`` on this host, without what belongs to one run."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import suppress
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
from factory.template.model import Disk, Finished, Firmware, LateText, Machine, Nic, Template, Text

HOST_SEEN_BY_GUEST = "10.0.2.2"
"""QEMU's user network (slirp) leads this address to the host's loopback."""
_SLIRP = "10.0.2.0/24"
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
            DiskSpec(
                d.id,
                _UNPLACED,
                bus=d.bus,
                serial=d.serial,
                boot_index=i,
                logical_block_size=d.block_size,
                device=d.device,
            )
            for i, d in enumerate(machine.disks)
        ),
        nics=tuple(_nic(n, port if i == 0 else 0) for i, n in enumerate(machine.nics)),
        uefi=uefi,
        tpm=TpmSpec(_UNPLACED, machine.tpm.model, machine.tpm.version) if machine.tpm else None,
        display=machine.display,
        reboot=Reboot.RESETS,
        extra_args=tuple(a for a in machine.extra_args if isinstance(a, str)),
        replaced_switches=frozenset(machine.replaced_switches),
    )


def _nic(nic: Nic, port: int) -> NicSpec:
    """*port* is the guest's that factory itself is to reach; 0 for none."""
    own = (Forward(port),) if port else ()
    more = (Forward(f.guest, f.host, f.protocol, f.address, f.guest_address) for f in nic.forward)
    network = tuple(o for o in nic.network if isinstance(o, str))
    return NicSpec(nic.id, nic.model, nic.mac, (*own, *more), bridge=nic.bridge, network=network, device=nic.device)


def host_seen_by_guest(machine: Machine) -> str:
    """The address by which the guest's user network leads to this host's loopback (slirp: the network's second)."""
    given = dict(o.split("=", 1) for nic in machine.nics[:1] for o in nic.network if isinstance(o, str))
    with suppress(ValueError):  # QEMU says what is wrong with it
        return given.get("host") or str(ipaddress.ip_network(given.get("net", _SLIRP), strict=False)[2])
    return HOST_SEEN_BY_GUEST


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
        "disks": [_identity(d, ("id", "size", "bus", "serial")) for d in machine.disks],
        # What a port of this host leads to is of no consequence for what is made.
        "nics": [_identity(n, ("id", "model", "mac", "bridge"), without=("forward",)) for n in machine.nics],
        "extra_args": machine.extra_args,
        "replaced_switches": machine.replaced_switches,
    }


def _identity(part: Disk | Nic, always: Sequence[str], without: Sequence[str] = ()) -> dict[str, Any]:
    """The fields that count: *always* those, and others where they are set, for what is not used must change no key."""
    fields = {name: getattr(part, name) for name in type(part).model_fields if name not in without}
    default = {name: info.default for name, info in type(part).model_fields.items()}
    return {name: value for name, value in fields.items() if name in always or value != default[name]}


def machine_facts(machine: Machine, platform: Platform, secrets: Sequence[str] = ()) -> dict[str, Json]:
    """What a plan says of its machine. Sizes are bytes; an argument that only the running build knows is as written."""
    redact = Redactor(secrets)

    def shown(text: Text) -> str:
        return redact(text.source if isinstance(text, LateText) else text)

    facts = to_json(
        {
            "type": pinned_type(machine, platform),
            "firmware": machine.firmware,
            "cpus": machine.cpus,
            "cpu": machine.cpu or platform.cpu_model,
            "memory": machine.memory,
            "tpm": machine.tpm.version if machine.tpm else "",
            "display": machine.display,
            "disks": [_disk_facts(d) for d in machine.disks],
            "nics": [{**_nic_facts(n), "network": [shown(o) for o in n.network]} for n in machine.nics],
            "extra_args": [shown(a) for a in machine.extra_args],
            "replaced_switches": machine.replaced_switches,
        }
    )
    assert isinstance(facts, dict)
    return facts


def _disk_facts(disk: Disk) -> dict[str, Any]:
    return {"id": disk.id, "size": disk.size, "bus": disk.bus, "serial": disk.serial, "block_size": disk.block_size,
            "device": disk.device}  # fmt: skip


def _nic_facts(nic: Nic) -> dict[str, Any]:
    return {"id": nic.id, "model": nic.model, "mac": nic.mac, "bridge": nic.bridge, "device": nic.device,
            "forward": [dict(f) for f in nic.forward]}  # fmt: skip
