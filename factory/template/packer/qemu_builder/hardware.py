"""The machine itself: processor, memory, firmware, TPM, network card."""

from __future__ import annotations

from dataclasses import dataclass

from factory.template.packer.options import Options, option

ACCELERATORS = ("none", "kvm", "tcg", "xen", "hax", "hvf", "whpx")
DEFAULT_MEMORY, LEAST_MEMORY = 512, 10
"""MiB. Packer takes anything below the least for a mistake and uses the default."""


@dataclass(frozen=True, kw_only=True)
class HardwareOptions(Options):
    accelerator: str = option("", choices=ACCELERATORS)
    """Empty: kvm where ``/dev/kvm`` opens, else tcg (Packer); measured (factory)."""
    machine_type: str = "pc"
    cpu_model: str = ""
    cpus: int = 1
    sockets: int = 0
    cores: int = 0
    threads: int = 0
    memory: int = DEFAULT_MEMORY
    qemu_binary: str = "qemu-system-x86_64"
    firmware: str = ""
    use_pflash: bool = False
    vga: str = ""
    net_device: str = "virtio-net"
    net_bridge: str = ""


@dataclass(frozen=True, kw_only=True)
class FirmwareOptions(Options):
    efi_boot: bool = False
    efi_firmware_code: str = ""
    efi_firmware_vars: str = ""
    efi_drop_efivars: bool = False
    vtpm: bool = False
    use_tpm1: bool = False
    tpm_device_type: str = "tpm-tis"
