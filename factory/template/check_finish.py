"""Rules for the end of a build (power-off, seal, outputs, proof), where a slip would cost the whole of it."""

from __future__ import annotations

from collections.abc import Iterator

from factory.errors import Problem
from factory.template.check_parts import Parts
from factory.template.model import Firmware, Machine, Seal, Shutdown, Verify
from factory.template.output_options import Libvirt, Ova, PluginOutput, Qcow2, Vagrant
from factory.template.seal_operations import SEAL_OPERATIONS
from factory.template.suggest import nearest


def _shutdown(parts: Parts) -> Iterator[Problem]:
    shutdown: Shutdown | None = parts.get("shutdown")
    if shutdown is not None and shutdown.deadline <= 0:
        yield parts.problem("shutdown", "deadline", message="in no time no guest powers off")


def _seal(parts: Parts) -> Iterator[Problem]:
    seal: Seal | None = parts.get("seal")
    if seal is None:
        return
    for key, names in (("only", seal.only), ("except", seal.except_)):
        for index, name in enumerate(names):
            plain = name.removeprefix("+") if key == "only" else name
            if plain not in SEAL_OPERATIONS:
                near = nearest(plain, SEAL_OPERATIONS) if len(plain) > 2 else ""
                hint = near or "`factory seal --list` prints all of them"
                message = f"there is no seal operation '{plain}'"
                yield parts.problem("seal", key, index, message=message, hint=hint)


def _outputs(parts: Parts) -> Iterator[Problem]:
    machine: Machine | None = parts.get("machine")
    outputs = parts.get("outputs") or ()
    for index, output in enumerate(outputs):
        if output in outputs[:index]:
            message = f"the output '{output.kind}' is given twice"
            yield parts.problem("outputs", index, message=message, severity="warning")
        if isinstance(output, Qcow2) and output.compat == "0.10" and output.compress == "zstd":
            yield parts.problem("outputs", index, message="qcow2 with compat 0.10 knows no zstd", hint="use zlib")
        if machine is None:
            continue
        if isinstance(output, Ova):
            yield from _ova(parts, index, output, machine)
        single = output.kind in ("gce", "containerdisk") or (isinstance(output, Vagrant) and output.box_format == "v1")
        if single and len(machine.disks) > 1:
            hint = "`box_format: v2` takes several" if isinstance(output, Vagrant) else ""
            message = f"the output '{output.kind}' takes one disk, the machine has {len(machine.disks)}"
            yield parts.problem("outputs", index, message=message, hint=hint)


def _ova(parts: Parts, index: int, ova: Ova, machine: Machine) -> Iterator[Problem]:
    """VMware: EFI since virtual hardware 8, secure boot since 13 ("Virtual machine hardware versions")."""
    needed = {Firmware.BIOS: 0, Firmware.UEFI: 8, Firmware.UEFI_SECURE: 13}[machine.firmware]
    if ova.hardware_version < needed:
        message = f"an OVA with firmware {machine.firmware} needs `hardware_version` {needed} or more"
        yield parts.problem("outputs", index, "ova", "hardware_version", message=message)
    if ova.controller == "ide" and len(machine.disks) > 4:
        yield parts.problem("outputs", index, message=f"IDE takes 4 disks, the machine has {len(machine.disks)}")


def _verify(parts: Parts) -> Iterator[Problem]:
    verify: Verify | None = parts.get("verify")
    outputs = parts.get("outputs")
    if verify is None or not outputs or isinstance(verify.formats, str):
        return
    if any(isinstance(output, PluginOutput) for output in outputs):
        return  # what those write is theirs to say
    there = {"qcow2" if isinstance(output, Libvirt) else output.kind for output in outputs}
    for index, name in enumerate(verify.formats):
        if name not in there:
            hint = f"the outputs are {', '.join(sorted(there))}"
            message = f"there will be no {name} that could be started"
            yield parts.problem("verify", "formats", index, message=message, hint=hint)


FINISH_RULES = (_shutdown, _seal, _outputs, _verify)
