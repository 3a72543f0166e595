"""What a plan needs to know of the host: the part of HostFacts that machines are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UefiFirmware:
    """A firmware found through QEMU's descriptors. ``digest`` is the SHA-256 of its code."""

    code: Path
    variables: Path
    code_format: str
    variables_format: str
    secure_boot: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Platform:
    """``machine_types`` maps "q35" and "pc" to the newest pinned type; ``uefi`` maps "uefi" and "uefi-secure"."""

    qemu: str
    qemu_version: str
    accelerator: str
    cpu_model: str
    machine_types: Mapping[str, str]
    uefi: Mapping[str, UefiFirmware]
    cpus: int
