"""``manifest.json`` as a model: what is written is checked against it, and its schema is what the docs publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from factory.errors import VerificationFailed
from factory.opening import read_content

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Bytes = Annotated[int, Field(ge=0, description="Bytes.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DiskInFile(_Strict):
    """Where one disk of the machine lies in a file."""

    disk: str = Field(description="The template's id of the disk.")
    name: str = Field(description="The file, or its name inside of an archive.")
    format: str = Field(description="As QEMU calls it: qcow2, raw, vmdk, vpc, vhdx.")
    offset: _Bytes = 0
    length: int = Field(0, ge=0, description="Bytes from `offset`; 0 for the whole file.")
    packing: Literal["", "gz", "xz", "zstd", "tar.gz"] = ""


class Target(_Strict):
    """The machine that a file is meant for, as the nearest one that QEMU can be."""

    machine: Literal["q35", "pc"]
    bus: str
    nic: str
    stands_for: str = Field("", description="The platform.")


class File(_Strict):
    path: str = Field(description="Relative to the folder of the manifest.")
    format: str = Field(description="The output's word in the template, or what a sidecar is.")
    size: _Bytes
    sha256: _Sha256
    virtual_size: _Bytes = 0
    usage: str = ""
    sidecar: bool = Field(False, description="True for what only accompanies another file: a bmap, UEFI variables.")
    disks: tuple[DiskInFile, ...] = ()
    target: Target | None = None


class Hardware(_Strict):
    cpus: int
    memory: _Bytes
    firmware: Literal["bios", "uefi"]
    secure_boot: bool
    nics: int


class SealSummary(_Strict):
    proven: bool
    problems: tuple[str, ...] = ()
    guest: dict[str, Any] = Field(default_factory=dict)
    report: str = Field("seal.json", description="The whole report, beside the manifest.")


class DriverFacts(_Strict):
    """Which drivers the newest kernel has for disks and network cards: what decides on which hardware it is booted."""

    kernel: str = ""
    early: tuple[str, ...] = Field((), description="There before the root file system is mounted.")
    all: tuple[str, ...] = Field((), description="There when the guest runs.")
    unknown: str = Field("", description="Why nothing could be told.")
    missing: tuple[str, ...] = Field((), description="What the outputs' platforms need and the guest lacks, in words.")


class BootedOn(_Strict):
    machine: Literal["q35", "pc"]
    bus: str
    nic: str
    stands_for: str = ""
    instead: str = Field("", description="Why this was not the target's own hardware.")


class Booted(_Strict):
    """What came of one machine that was started from a delivered file."""

    path: str
    format: str
    clone: int
    passed: bool
    by: str = Field(description="ssh, winrm, or login prompt: what showed that it was up.")
    banner: str = ""
    seconds: float
    up_after_seconds: float
    hardware: BootedOn
    commands: tuple[dict[str, Any], ...] = ()
    identity: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    error: str = ""


class Verification(_Strict):
    passed: bool
    request: dict[str, Any] = Field(description="What was asked for: `factory verify` asks for the same again.")
    booted: tuple[Booted, ...] = ()
    clones: dict[str, Any] = Field(
        default_factory=dict, description="What of the machines' identities was compared, and what came of it."
    )
    problems: tuple[str, ...] = ()


class Manifest(BaseModel):
    """What an artifact consists of, how it was made and what was proven about it.

    More fields may stand in it (template, plan key, inputs, versions): readers must let them pass.
    """

    model_config = ConfigDict(extra="allow", frozen=True, title="factory's manifest.json")
    format: Literal[1]
    name: str
    hardware: Hardware
    files: tuple[File, ...]
    export_seconds: dict[str, float] = Field(default_factory=dict)
    seal: SealSummary | None = None
    drivers: DriverFacts | None = None
    verify: Verification | None = None


_WHICH = "give the folder (or its manifest.json) that a build has written"


def read_manifest(path: Path) -> Manifest:
    """Raises: VerificationFailed when it is no manifest of ours."""
    try:
        return Manifest.model_validate_json(read_content(path))
    except OSError as error:
        raise VerificationFailed(f"can't read {path}: {error.strerror}", hint=_WHICH) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where + ': ' if where else ''}{first['msg']}"
        raise VerificationFailed(f"{path} is no manifest of factory: {said}", hint=_WHICH) from error
