"""What a machine is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from factory.drivers.machine_spec import DEVICE_NAME, Bus
from factory.quantity import Size
from factory.template.model.text import Identifier, LateText, Strict, Text

_Port = Annotated[int, Field(ge=1, le=65535)]
_PLACES = frozenset({"id", "driver", "bus", "addr", "bootindex"})
_OF_DISKS = _PLACES | {"drive", "serial", "logical_block_size", "scsi-id", "lun", "unit", "channel"}
_OF_CARDS = _PLACES | {"netdev", "mac"}
_OF_NETWORKS = frozenset({"id", "type", "hostfwd"})


class Firmware(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"
    UEFI_SECURE = "uefi-secure"


def _options(texts: Iterable[Text], kept: frozenset[str], said_by: str) -> None:
    """Raises: ValueError for one that is no ``name=value``, or that factory says itself."""
    for text in texts:
        written = text.source if isinstance(text, LateText) else text
        name, equals, _ = written.partition("=")
        if not equals or not re.fullmatch(r"[a-z][a-z0-9_.-]*", name):
            raise ValueError(f"“{written}” is not written as name=value")
        if name in kept:
            raise ValueError(f"“{name}” is not for here: {said_by}")


class Disk(Strict):
    """A disk of the machine; the first one is installed to and delivered first."""

    id: Identifier = Field("main", description="Names it, and its file among the artifacts.")
    size: Size = Field(Size(8 * 2**30), description="What the guest sees.")
    bus: Bus = Field(Bus.VIRTIO, description="The controller that it is attached to.")
    serial: str = Field("", description="A serial number that the guest can read.")
    block_size: Literal[512, 4096] = Field(512, description="Bytes of its logical and physical blocks.")
    device: tuple[str, ...] = Field(
        (), description="Further options of the device in QEMU, as `rotation_rate=1`; for the build alone."
    )

    @model_validator(mode="after")
    def _check_device(self) -> Self:
        _options(self.device, _OF_DISKS, "the disk's other fields say it, or factory does")
        return self


class Forward(Strict):
    """A port of this host that leads into the guest while it is built."""

    host: _Port = Field(description="The port of this host.")
    guest: _Port = Field(description="The port of the guest.")
    protocol: Literal["tcp", "udp"] = Field("tcp", description="Of the traffic.")
    address: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z._-]+$")] = Field(
        "127.0.0.1", description="An address of this host; any other lets others in."
    )
    guest_address: Annotated[str, StringConstraints(pattern=r"^[0-9.]*$")] = Field(
        "", description="Default: the one that the guest gets by DHCP."
    )


class Nic(Strict):
    """A network card."""

    id: Identifier = Field("net0", description="Names it; those without are numbered: `net0`, `net1`, …")
    model: Annotated[str, StringConstraints(pattern=f"^{DEVICE_NAME}$")] = Field(
        "virtio-net-pci", description="A device of QEMU; its options go under `device`."
    )
    mac: Annotated[str, StringConstraints(pattern=r"^(([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})?$")] = Field(
        "", description="Default: QEMU's."
    )
    bridge: str = Field("", description="A bridge of this host; default: QEMU's user network.")
    forward: tuple[Forward, ...] = Field((), description="Further ports of this host that lead into the guest.")
    network: tuple[Text, ...] = Field(
        (), description="Further options of QEMU's user network, as `restrict=on` or `net=192.168.76.0/24`."
    )
    device: tuple[str, ...] = Field((), description="Further options of the device in QEMU; for the build alone.")

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        _options(self.network, _OF_NETWORKS, "`forward` says it, or factory does")
        _options(self.device, _OF_CARDS, "the card's other fields say it, or factory does")
        if self.bridge and (self.forward or self.network):
            raise ValueError("a bridge has no `forward` and no `network`: these are of QEMU's user network")
        return self


class Tpm(Strict):
    """An emulated TPM; its state is kept with the layers."""

    version: Literal["1.2", "2.0"] = Field("2.0", description="Of the specification.")
    model: Literal["tpm-crb", "tpm-tis"] = Field("tpm-crb", description="`tpm-tis` for TPM 1.2 and older guests.")


def _numbered(nics: object) -> object:
    """Gives cards without an id the first numbers that no card has been given by name."""
    if not isinstance(nics, list | tuple):
        return nics
    taken = [n.get("id") if isinstance(n, dict) else getattr(n, "id", "") for n in nics]
    free = (name for number in range(len(nics)) if (name := f"net{number}") not in taken)
    return [{"id": next(free), **n} if isinstance(n, dict) and "id" not in n else n for n in nics]


def _tpm_switch(value: object) -> object:
    return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


class Machine(Strict):
    """The machine that the image is made on."""

    arch: Literal["x86_64"] = Field("x86_64", description="Of the processor.")
    type: Literal["q35", "pc"] = Field("q35", description="QEMU's machine type.")
    cpus: Annotated[int, Field(ge=1, le=512)] = Field(2, description="Number of processors; does not count for a key.")
    cpu: str = Field("", description="QEMU CPU model; default: host under KVM, max otherwise.")
    memory: Size = Field(Size(2 * 2**30), description="RAM.")
    firmware: Firmware = Field(Firmware.BIOS, description="Secure boot needs q35.")
    tpm: Annotated[Tpm | None, BeforeValidator(_tpm_switch, json_schema_input_type=Tpm | bool | None)] = Field(
        None, description="`true` for a TPM 2.0."
    )
    disks: Annotated[tuple[Disk, ...], Field(min_length=1)] = Field((Disk(),), description="The first is the system's.")
    nics: Annotated[tuple[Nic, ...], BeforeValidator(_numbered)] = Field(
        (Nic(),), description="The first is how the guest is reached."
    )
    display: str = Field("std", description="A VGA device of QEMU, or none.")
    extra_args: tuple[Text, ...] = Field((), description="Appended to QEMU's command line as they are.")
    replaced_switches: tuple[str, ...] = Field((), description="Generated switches to drop, as Packer's qemuargs does.")
