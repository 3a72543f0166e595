"""What a machine is made of, as frozen data: the input of ``drivers/qemu/arguments``.

Everything here is already resolved for this host (paths, accelerator, firmware files), so that turning it into QEMU's
argv is pure and can be held by golden files. Ids are unique per machine; they are QEMU's ``id=``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path

from factory.quantity import Size

DEVICE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
"""What names a device of QEMU: without a comma, behind which options of it would follow."""


class Bus(enum.StrEnum):
    """How a disk or CD is attached."""

    VIRTIO = "virtio"
    SCSI = "scsi"  # virtio-scsi
    LSILOGIC = "lsilogic"  # as VMware's default controller for Linux guests
    PVSCSI = "pvscsi"
    SATA = "sata"
    IDE = "ide"
    NVME = "nvme"
    USB = "usb"


class Discard(enum.StrEnum):
    UNMAP = "unmap"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """One disk. ``boot_index`` 0 boots first; None never boots."""

    id: str
    path: Path
    format: str = "qcow2"
    bus: Bus = Bus.VIRTIO
    boot_index: int | None = None
    discard: Discard = Discard.UNMAP
    serial: str = ""
    flush: bool = False
    """False ignores the guest's flushes (QEMU's cache.no-flush): a build whose host dies is run again anyway."""
    read_only: bool = False
    offset: int = 0
    length: int = 0
    """Bytes: with ``length`` > 0 the disk is this part of the file (a VMDK inside an OVA)."""
    logical_block_size: int = 512
    device: tuple[str, ...] = ()
    """Further options of the device, as ``name=value``; they win over ours."""


@dataclass(frozen=True, slots=True)
class CdromSpec:
    id: str
    path: Path | None
    bus: Bus = Bus.IDE  # on q35 this is the built-in AHCI controller; on pc, IDE
    boot_index: int | None = None


@dataclass(frozen=True, slots=True)
class FloppySpec:
    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Forward:
    """A guest port made reachable on this host. ``host_port`` 0 lets the kernel pick: ask the machine for it."""

    guest_port: int
    host_port: int = 0
    protocol: str = "tcp"
    address: str = "127.0.0.1"
    guest_address: str = ""
    """Empty: the one that the guest gets by DHCP."""


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network card on QEMU's user network (guest sees the host's loopback as 10.0.2.2)."""

    id: str
    model: str = "virtio-net-pci"
    mac: str = ""
    forwards: tuple[Forward, ...] = ()
    restricted: bool = False
    """True cuts the guest off from everything but the forwards (and the host's loopback stays unreachable)."""
    bridge: str = ""
    """Name of a host bridge instead of the user network."""
    network: tuple[str, ...] = ()
    """Further options of the user network, as ``name=value``; they win over ours."""
    device: tuple[str, ...] = ()
    """The same of the card."""


@dataclass(frozen=True, slots=True)
class UefiSpec:
    """UEFI firmware: ``code`` is mapped read-only, ``variables`` is this machine's own writable copy."""

    code: Path
    variables: Path
    code_format: str = "raw"
    variables_format: str = "raw"
    secure_boot: bool = False
    """Needs SMM and q35; set when the firmware's descriptor has the feature ``requires-smm``."""


@dataclass(frozen=True, slots=True)
class TpmSpec:
    """An emulated TPM served by swtpm on a unix socket."""

    socket: Path
    model: str = "tpm-crb"  # tpm-tis for older guests
    version: str = "2.0"


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """Direct kernel boot: nothing is typed and no boot loader runs."""

    kernel: Path
    initrd: Path | None
    command_line: str


@dataclass(frozen=True, slots=True)
class CpuSpec:
    model: str = "max"
    count: int = 1
    sockets: int = 0
    cores: int = 0
    threads: int = 0


class Reboot(enum.StrEnum):
    """What a guest's reset does to the machine."""

    ENDS_MACHINE = "shutdown"  # the event SHUTDOWN/guest-reset, then the process waits for us
    RESETS = "reset"


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A whole machine. Paths of sockets and logs are below ``runtime_dir``, which must be short (108-byte limit)."""

    name: str
    binary: str
    machine_type: str  # pinned, e.g. "pc-q35-7.2"
    accelerator: str  # "kvm", "tcg", …: as measured
    memory: Size
    cpu: CpuSpec = CpuSpec()
    disks: tuple[DiskSpec, ...] = ()
    cdroms: tuple[CdromSpec, ...] = ()
    floppies: tuple[FloppySpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    uefi: UefiSpec | None = None
    bios: Path | None = None
    tpm: TpmSpec | None = None
    kernel: KernelSpec | None = None
    display: str = "std"  # a VGA device; "none" for no display at all
    reboot: Reboot = Reboot.ENDS_MACHINE
    serial_log: Path | None = None
    """Where everything of the first serial line is appended; None puts it into ``runtime_dir``."""
    incoming: Path | None = None
    """A file with a machine's memory to resume from, instead of booting."""
    rtc: str = "utc"
    usb_tablet: bool = False
    extra_args: tuple[str, ...] = ()
    """The user's own arguments, appended as they are."""
    replaced_switches: frozenset[str] = field(default_factory=frozenset)
    """Switches (without the dash) whose generated arguments are dropped, for Packer's ``qemuargs``."""
