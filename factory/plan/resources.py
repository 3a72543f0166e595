"""What steps hand to each other. A resource's key is its class (or, for drivers, their Protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from factory.drivers.protocols import GuestAddress
from factory.quantity import Size
from factory.secret import Secret

UEFI_VARIABLES = "uefi-variables.fd"
TPM_STATE = "tpm"
BUILD_SECRETS = "build.json"
MEMORY = "memory"


def disk_file(disk_id: str) -> str:
    """The name of a disk in a layer's folder."""
    return f"disk-{disk_id}.qcow2"


@dataclass(frozen=True, slots=True)
class MachineState:
    """Where the machine's state lies while a phase works on it.

    ``folder`` is the layer in the making. ``memory`` is the memory file of the live layer that it continues, None
    when the machine is powered off.
    """

    folder: Path
    memory: Path | None = None

    def disk(self, disk_id: str) -> Path:
        return self.folder / disk_file(disk_id)

    @property
    def uefi_variables(self) -> Path:
        return self.folder / UEFI_VARIABLES

    @property
    def tpm(self) -> Path:
        return self.folder / TPM_STATE


@dataclass(frozen=True, slots=True)
class BuildSecrets:
    """What an installation made for itself: its SSH key, and the variables that have ``generate``."""

    private_key: Path
    public_key: str
    generated: Mapping[str, Secret[str]]


@dataclass(frozen=True, slots=True)
class Media:
    """The installer ISO (or source image), checked. ``digest`` is its SHA-256 in hex."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class SeedPlace:
    """Where the guest finds its answer files: a URL without a trailing slash, or media to attach."""

    url: str = ""
    cd: Path | None = None
    floppy: Path | None = None
    initrd: Path | None = None


@dataclass(frozen=True, slots=True)
class FurtherMedia:
    """Images to attach besides the installer and the seed, in this order."""

    cds: tuple[Path, ...] = ()
    floppies: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildName:
    """The template's name, for ``build.name``; ``run_id`` is that of the whole command, for ``build.run_id``."""

    name: str
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class GuestAt:
    """Where the guest's SSH (or WinRM) port is reachable from this host."""

    address: GuestAddress


class GuestNotice(Protocol):
    """Where a build notes how people get into its guest (``engine.run_control``)."""

    def guest_reachable(self, kind: str, address: GuestAddress, user: str, key: Path | None) -> None: ...


@dataclass(frozen=True, slots=True)
class SealedDisk:
    id: str
    path: Path
    format: str
    virtual_size: Size


@dataclass(frozen=True, slots=True)
class Staging:
    """The folder in which an artifact grows; it becomes ``output/<name>`` by one rename."""

    folder: Path
    destination: Path


@dataclass(frozen=True, slots=True)
class TpmAt:
    """The socket of a running swtpm. ``state`` is a link to the folder of its state, which it opens anew each time."""

    socket: Path
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class KernelFiles:
    """Kernel and initrd taken out of the installer ISO, for direct boot."""

    kernel: Path
    initrd: Path | None


@dataclass(frozen=True, slots=True)
class SeedLog:
    """What the guest asked the seed server for, newest last: for errors and the dossier."""

    lines: list[str] = field(default_factory=list)
