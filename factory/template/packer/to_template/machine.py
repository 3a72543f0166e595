"""The machine: from the qemu builder's options to ``machine`` of a template."""

from __future__ import annotations

import re
from typing import Any

from factory.drivers.machine_spec import Bus
from factory.quantity import Size
from factory.template.model import Disk, Firmware, Machine, Nic, Tpm
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.notes import Notes

_BUSES = {
    "virtio": Bus.VIRTIO, "virtio-scsi": Bus.SCSI, "scsi": Bus.SCSI, "ide": Bus.IDE, "sata": Bus.SATA,
}  # fmt: skip
_OURS = ("-display", "-serial", "-monitor", "-vnc", "-nographic", "-vga", "-accel", "-enable-kvm", "-chardev", "-mon")
"""Switches that only say how a person watches, or how fast it runs: factory sees to these itself."""
_X86 = re.compile(r"(?:.*/)?(?:qemu-system-x86_64|qemu-kvm|kvm)(?:\.exe)?\Z")
_NIC = {"virtio-net": "virtio-net-pci", "virtio": "virtio-net-pci"}


def machine_of(s: QemuSource, notes: Notes) -> Machine:
    """What the machine is made of; everything else goes to *notes*."""
    if not _X86.match(s.qemu_binary):
        notes.add("qemu_binary", f"{s.qemu_binary} is not a machine that can be built here")
    fields: dict[str, Any] = {
        "type": _type(s, notes),
        "cpus": max(s.cpus, (s.sockets or 1) * (s.cores or 1) * (s.threads or 1)),
        "cpu": s.cpu_model,
        "memory": Size(s.memory * 2**20),
        "firmware": _firmware(s, notes),
        "disks": _disks(s),
        "nics": (Nic(model=_NIC.get(s.net_device, s.net_device), bridge=s.net_bridge),),
    }
    if s.sockets or s.cores or s.threads:
        notes.add("cores", "sockets, cores and threads are counted together", matters=False)
    if s.vtpm:
        model = "tpm-tis" if s.tpm_device_type == "tpm-tis" else "tpm-crb"
        fields["tpm"] = Tpm(version="1.2" if s.use_tpm1 else "2.0", model=model)
    _arguments(s, fields, notes)
    for option in ("disk_cache", "disk_discard", "disk_detect_zeroes", "cdrom_interface", "vga"):
        if option in s.given:
            notes.add(option, "factory chooses this itself", matters=False)
    if s.qemu_img_args is not None:
        notes.add("qemu_img_args", "has no equal: images are made by factory's own rules")
    return Machine(**fields)


def _type(s: QemuSource, notes: Notes) -> str:
    base = s.machine_type.split(",")[0]
    if base.startswith("pc-q35") or base == "q35":
        kind = "q35"
    elif base == "pc" or base.startswith("pc-i440fx"):
        kind = "pc"
    else:
        notes.add("machine_type", f"“{s.machine_type}” is not a machine that can be built here; q35 is taken")
        return "q35"
    if base != kind or "," in s.machine_type:
        notes.add("machine_type", f"“{s.machine_type}” becomes {kind}, pinned to this QEMU's version", matters=False)
    return kind


def _firmware(s: QemuSource, notes: Notes) -> Firmware:
    code = s.efi_firmware_code or s.firmware
    named_efi = bool(re.search(r"OVMF|AAVMF|edk2|efi", s.firmware, re.IGNORECASE))
    if not s.efi_boot and not named_efi:
        if s.firmware:
            notes.add("firmware", f"“{s.firmware}” has no equal; the machine's own BIOS is taken")
        return Firmware.BIOS
    if code:
        notes.add("efi_firmware_code", f"“{code}” is replaced by the firmware that this host has", matters=False)
    secure = re.search(r"secboot|secure|\.ms\.", code, re.IGNORECASE)
    return Firmware.UEFI_SECURE if secure else Firmware.UEFI


def _size(text: str) -> Size:
    return Size.parse(text.upper().removesuffix("B") if text[:-1].isdigit() else text)


def _disks(s: QemuSource) -> tuple[Disk, ...]:
    bus = _BUSES.get(s.disk_interface, Bus.VIRTIO)
    sizes = [s.disk_size, *s.disk_additional_size]
    return tuple(Disk(id="main" if i == 0 else f"disk{i}", size=_size(size), bus=bus) for i, size in enumerate(sizes))


def _arguments(s: QemuSource, fields: dict[str, Any], notes: Notes) -> None:
    """``qemuargs``: what factory has a field for is taken as that, the rest is handed on."""
    extra: list[str] = []
    replaced: list[str] = []
    forwarded = _forwarded_networks(s)
    for switch, *parts in s.qemuargs:
        name, value = "-" + switch.lstrip("-"), "".join(parts)
        network = re.search(r"(?:^|,)netdev=([^,]+)", value)
        if _is_known(name, value, fields):
            continue
        if name in _OURS:
            notes.add("qemuargs", f"“{name} {value}” is left out: factory sees to it", matters=False)
        elif name == "-netdev" and "SSHHostPort" in value:
            notes.add("qemuargs", f"“{name} {value}” is left out: it is how factory reaches the guest", matters=False)
        elif name == "-device" and network and network[1] in forwarded:
            fields["nics"] = (Nic(model=_NIC.get(value.split(",")[0], value.split(",")[0]), bridge=s.net_bridge),)
        elif name == "-drive" and ".Name" in value:
            notes.add("qemuargs", f"“{name} {value}” is left out: it is the machine's own disk", matters=False)
        elif "{{" in value:
            notes.add("qemuargs", f"“{name} {value}” names values of a running build, which arguments can't")
        else:
            extra.extend([name, value] if value else [name])
            if name not in replaced:
                replaced.append(name)
    fields["extra_args"] = tuple(extra)
    fields["replaced_switches"] = tuple(replaced)


def _forwarded_networks(s: QemuSource) -> set[str]:
    """The ids of networks that only repeat the builder's own: user mode with the port of SSH forwarded."""
    found: set[str] = set()
    for switch, *parts in s.qemuargs:
        value = "".join(parts)
        if switch.endswith("-netdev") and "SSHHostPort" in value and (match := re.search(r"id=([^,]+)", value)):
            found.add(match[1])
    return found


def _is_known(name: str, value: str, fields: dict[str, Any]) -> bool:
    memory = re.fullmatch(r"(?:size=)?(\d+)([MmGg]?)[Bb]?(?:,.*)?", value)
    if name == "-m" and memory:
        fields["memory"] = Size(int(memory[1]) * (2**30 if memory[2] in ("G", "g") else 2**20))
        return True
    if name == "-smp" and (count := re.match(r"(?:cpus=)?(\d+)", value)):
        fields["cpus"] = int(count[1])
        return True
    if name == "-cpu" and value and "{{" not in value:
        fields["cpu"] = value
        return True
    return False
