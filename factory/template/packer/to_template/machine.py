"""The machine: from the qemu builder's options to ``machine`` of a template."""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath
from typing import Any

from factory.drivers.machine_spec import DEVICE_NAME, Bus
from factory.opening import open_content
from factory.quantity import Size
from factory.template.model import Disk, Firmware, Machine, Nic, Tpm
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.placing import NotMadeHere
from factory.template.packer.to_template.qemu_arguments import (
    BUS_OF_INTERFACE,
    NIC,
    Arguments,
    cpu_model,
    firmware_of,
)
from factory.template.packer.to_template.qemu_options import DRIVE_AS_HERE, DiskWishes


class UnsupportedMachine(NotMadeHere):
    """A machine of another architecture: it is passed over where other builds are made."""


_X86 = re.compile(r"(?:.*/)?(?:qemu-system-x86_64|qemu-system-i386|qemu-kvm|kvm)(?:\.exe)?\Z")
_PREFIX = "qemu-system-"  # and nothing behind it: an architecture that has no value
_FOREIGN = re.compile(r"qemu-system-(?!x86_64|i386)\w|aarch64|arm|ppc|s390|riscv|mips|sparc|alpha|m68k", re.IGNORECASE)
_FOREIGN_MACHINE = re.compile(r"(?:type=)?(?:virt|raspi|pseries|s390|sbsa|malta)")
_LEAST_DISK = Size(2**20)


def machine_of(s: QemuSource, found: Arguments, notes: Notes, image: Path | None) -> Machine:
    """What the machine is made of; everything else goes to *notes*. *image* is what it starts from, if it is here.

    Raises: UnsupportedMachine for a machine of another architecture.
    """
    if not _X86.match(s.qemu_binary):
        _other_program(s, found, notes)
    cpus, topology = _processors(s)
    if topology and found.cpus is None:
        found.extra += ["-smp", topology]
        found.replaced.append("smp")
    fields: dict[str, Any] = {
        "type": _type(found.machine_type or s.machine_type, notes),
        "cpus": found.cpus or cpus,
        "cpu": cpu_model(s.cpu_model) if found.cpu is None else found.cpu,
        "memory": found.memory or Size(s.memory * 2**20),
        "firmware": found.firmware or _firmware(s, notes),
        "disks": _disks(s, found, _main_size(s, image, notes)),
        "nics": (_card(s, found, notes),),
        "extra_args": tuple(found.extra),
        "replaced_switches": tuple(found.replaced),
    }
    if fields["firmware"] is Firmware.UEFI_SECURE and fields["type"] != "q35":
        notes.add("machine_type", "Secure Boot needs q35, which is taken", matters=False)
        fields["type"] = "q35"
    if found.display or s.vga not in ("", "none"):
        fields["display"] = found.display or s.vga
    if s.vtpm or found.tpm:
        model = "tpm-tis" if "tpm-tis" in (found.tpm_model, s.tpm_device_type) else "tpm-crb"
        fields["tpm"] = Tpm(version="1.2" if s.use_tpm1 else "2.0", model=model)
    for option, name in (("disk_cache", "cache"), ("disk_discard", "discard"), ("disk_detect_zeroes", "detect-zeroes")):
        if option in s.given:
            value = getattr(s, option)
            message = f"“{value}” has no effect: factory opens the machine's disks its own way"
            notes.add(option, message, matters=value not in DRIVE_AS_HERE[name])
    for option in ("cdrom_interface", "accelerator"):
        if option in s.given:
            notes.add(option, "factory chooses this itself", matters=False)
    if s.qemu_img_args is not None:
        notes.add("qemu_img_args", "has no equal: images are made by factory's own rules")
    return Machine(**fields)


def _card(s: QemuSource, found: Arguments, notes: Notes) -> Nic:
    bridge = found.bridge or s.net_bridge
    if bridge and (found.forward or found.network):
        notes.add("qemuargs", "what they say of a user network is left out: the card is on a bridge")
    return Nic(
        model=_card_model(found.nic or NIC.get(s.net_device, s.net_device), notes),
        mac=found.mac,
        bridge=bridge,
        forward=() if bridge else tuple(found.forward),
        network=() if bridge else tuple(found.network),
        device=tuple(found.card),
    )


def _card_model(written: str, notes: Notes) -> str:
    """The device alone: Packer passes on what stands behind it, and what QEMU would then refuse."""
    model, comma, options = written.partition(",")
    model = NIC.get(model, model)
    if comma:
        notes.add("net_device", f"“{options}” is left out: it is no part of the card's name")
    if re.fullmatch(DEVICE_NAME, model):
        return model
    notes.add("net_device", f"“{model}” is no device of QEMU: virtio-net-pci is taken")
    return "virtio-net-pci"


def _other_program(s: QemuSource, found: Arguments, notes: Notes) -> None:
    """A script in QEMU's place is passed over. Raises: UnsupportedMachine where another architecture shows."""
    machine = found.machine_type or s.machine_type
    nameless = PurePosixPath(s.qemu_binary).name == _PREFIX
    if nameless or _FOREIGN.search(s.qemu_binary) or _FOREIGN_MACHINE.match(machine):
        raise UnsupportedMachine(
            f"the build “{s.build_name}” wants {s.qemu_binary}, and factory makes x86_64 machines",
            hint="leave it out with -except, or build it where Packer runs",
        )
    notes.add("qemu_binary", f"“{s.qemu_binary}” is passed over: factory starts this host's QEMU itself")


def _processors(s: QemuSource) -> tuple[int, str]:
    """How many there are, and what ``-smp`` is to say of them; nothing where the template leaves that to QEMU.

    With sockets, cores or threads the smaller of ``cpus`` and their product counts, as in Packer.
    """
    given = s.cpus if "cpus" in s.given else 0
    parts = {name: getattr(s, name) for name in ("sockets", "cores", "threads") if getattr(s, name) > 0}
    if not parts:
        return max(given, 1), ""
    product = math.prod(parts.values())
    count = min(given or product, product)
    if count != product:
        return count, ""  # QEMU refuses a topology with places for more
    return count, ",".join([str(count), *(f"{name}={number}" for name, number in parts.items())])


def _type(machine_type: str, notes: Notes) -> str:
    base = machine_type.split(",")[0].removeprefix("type=")
    if base.startswith("pc-q35") or base == "q35":
        kind = "q35"
    elif base in ("pc", "ubuntu") or base.startswith("pc-i440fx"):
        kind = "pc"
    else:
        notes.add("machine_type", f"“{machine_type}” is not a machine that can be built here; q35 is taken")
        return "q35"
    if base != kind or "," in machine_type:
        notes.add("machine_type", f"“{machine_type}” becomes {kind}, pinned to this QEMU's version", matters=False)
    return kind


def _firmware(s: QemuSource, notes: Notes) -> Firmware:
    code = s.efi_firmware_code or s.firmware
    if not s.efi_boot and firmware_of(s.firmware) is None:
        if s.firmware:
            notes.add("firmware", f"“{s.firmware}” has no equal; the machine's own BIOS is taken")
        return Firmware.BIOS
    if code:
        notes.add("efi_firmware_code", f"“{code}” is replaced by the firmware that this host has", matters=False)
    return firmware_of(code) or Firmware.UEFI


def size_of(text: str) -> Size:
    """A disk's size as qemu-img reads it: ``10G``, ``5000M``; a bare number was made MiB before."""
    return Size.parse(text.upper().removesuffix("B") if text[:-1].isdigit() else text)


def _main_size(s: QemuSource, image: Path | None, notes: Notes) -> Size:
    if not (s.disk_image and s.skip_resize_disk):
        return size_of(s.disk_size)
    if image and (size := virtual_size(image)):
        return size
    notes.add("skip_resize_disk", "the disk keeps the image's size, which is not known yet", matters=False)
    return _LEAST_DISK


def virtual_size(image: Path) -> Size | None:
    """What a guest sees of a qcow2 image (bytes 24 to 31 of its header); None for what is none."""
    try:
        with open_content(image) as stream:
            head = stream.read(32)
    except OSError:
        return None
    return Size(int.from_bytes(head[24:32])) if head[:4] == b"QFI\xfb" and len(head) == 32 else None


def _disks(s: QemuSource, found: Arguments, main: Size) -> tuple[Disk, ...]:
    bus = found.bus or BUS_OF_INTERFACE.get(s.disk_interface, Bus.VIRTIO)
    sizes = [main, *(size_of(size) for size in s.disk_additional_size)]
    wishes = [found.disks.get(number, DiskWishes()) for number in range(len(sizes))]
    return tuple(
        Disk(
            id="main" if i == 0 else f"disk{i}", size=size, bus=bus,
            serial=wish.serial, block_size=wish.block_size, device=tuple(wish.device),
        )
        for i, (size, wish) in enumerate(zip(sizes, wishes, strict=True))
    )  # fmt: skip
