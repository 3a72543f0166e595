"""``manifest.json`` as a model: what is written is checked against it, and its schema is what the docs publish.

Whoever made an artifact wrote its manifest, and what is read here becomes names of files, arguments of QEMU and lines
on a terminal. So each text has a type that says what may stand in it; only what is run in the guest is any text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from factory.drivers.machine_spec import DEVICE_NAME, Bus
from factory.errors import StepError, VerificationFailed
from factory.opening import read_content
from factory.visible import UNSEEN, visible

_LONGEST_NAME = 230
"""Bytes of a file's name. Linux takes 255, and logs are kept under such names with a few letters more."""
_NO_TEXT = "".join(c if c == "-" else f"\\u{ord(c):04x}" for c in f"{UNSEEN}\t\n")
_NAME = rf"(?:[^./{_NO_TEXT}][^/{_NO_TEXT}]*|\.[^./{_NO_TEXT}][^/{_NO_TEXT}]*|\.\.[^/{_NO_TEXT}]+)"
"""A file's name in a folder: not "." and not "..". Without a look-ahead, which pydantic's regular expressions lack."""


def _short(path: str) -> str:
    if any(len(name.encode()) > _LONGEST_NAME for name in path.split("/")):
        raise ValueError(f"a name in it has more than {_LONGEST_NAME} bytes")
    return path


_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Bytes = Annotated[int, Field(ge=0, lt=2**63, description="Bytes.")]
_Name = Annotated[str, Field(pattern=f"^{_NAME}$"), AfterValidator(_short)]
_Path = Annotated[str, Field(pattern=f"^{_NAME}(?:/{_NAME})*$"), AfterValidator(_short)]
_Word = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
_Id = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9._-]{0,23}$")]  # what QEMU takes, see drivers/qemu/storage
_User = Annotated[str, Field(pattern=f"^[^/:{_NO_TEXT}]{{0,256}}$")]
_Shown = Annotated[str, AfterValidator(visible)]
"""For people: may hold what a guest or a firmware said. Without what would do something to a terminal."""
_Machine = Literal["q35", "pc"]
_Nic = Annotated[str, Field(pattern=f"^({DEVICE_NAME})?$", description="A device of QEMU; empty for none.")]
_ImageFormat = Literal["qcow2", "raw", "vmdk", "vpc", "vhdx"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DiskInFile(_Strict):
    """Where one disk of the machine lies in a file."""

    disk: _Id = Field(description="The template's id of the disk.")
    name: _Path = Field(description="The file, or its name inside of an archive.")
    format: _ImageFormat = Field(description="As QEMU calls it.")
    offset: _Bytes = 0
    length: _Bytes = Field(0, description="Bytes from `offset`; 0 for the whole file.")
    packing: Literal["", "gz", "xz", "zstd", "tar.gz"] = ""


class Target(_Strict):
    """The machine that a file is meant for, as the nearest one that QEMU can be."""

    machine: _Machine
    bus: Bus
    nic: _Nic
    stands_for: _Shown = Field("", description="The platform.")


class File(_Strict):
    path: _Path = Field(description="Relative to the folder of the manifest.")
    format: _Word = Field(description="The output's word in the template, or what a sidecar is.")
    size: _Bytes
    sha256: _Sha256
    virtual_size: _Bytes = 0
    usage: _Shown = ""
    sidecar: bool = Field(False, description="True for what only accompanies another file: a bmap, UEFI variables.")
    disks: tuple[DiskInFile, ...] = ()
    target: Target | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _distinct("disk", (disk.disk for disk in self.disks))
        return self


class Hardware(_Strict):
    cpus: int = Field(ge=1, lt=2**31)
    memory: _Bytes
    firmware: Literal["bios", "uefi"]
    secure_boot: bool
    nics: int = Field(ge=0, lt=2**16)


class SealSummary(_Strict):
    proven: bool
    problems: tuple[_Shown, ...] = ()
    guest: dict[str, Any] = Field(default_factory=dict)
    report: _Path = Field("seal.json", description="The whole report, beside the manifest.")


class DriverFacts(_Strict):
    """Which drivers the newest kernel has for disks and network cards: what decides on which hardware it is booted."""

    kernel: _Shown = ""
    early: tuple[_Shown, ...] = Field((), description="There before the root file system is mounted.")
    all: tuple[_Shown, ...] = Field((), description="There when the guest runs.")
    unknown: _Shown = Field("", description="Why nothing could be told.")
    missing: tuple[_Shown, ...] = Field(
        (), description="What the outputs' platforms need and the guest lacks, in words."
    )


class BootedOn(_Strict):
    machine: _Machine
    bus: Bus
    nic: _Nic
    stands_for: _Shown = ""
    instead: _Shown = Field("", description="Why this was not the target's own hardware.")


class Booted(_Strict):
    """What came of one machine that was started from a delivered file."""

    path: _Path
    format: _Word
    clone: int = Field(ge=1)
    passed: bool
    by: _Shown = Field(description="ssh, winrm, or login prompt: what showed that it was up.")
    banner: _Shown = ""
    seconds: float
    up_after_seconds: float
    hardware: BootedOn
    commands: tuple[dict[str, Any], ...] = ()
    identity: dict[str, Any] | None = None
    notes: tuple[_Shown, ...] = ()
    error: _Shown = ""


class Requested(BaseModel):
    """What was to be proven. A field that is not listed here is of a version that asks for more."""

    model_config = ConfigDict(extra="allow", frozen=True)
    formats: Literal["all", "first"] | tuple[_Word, ...] = Field("all", description="Which outputs are started.")
    clones: int = Field(2, ge=1, le=64, description="As how many machines the first of them is started.")
    run: tuple[str, ...] = Field((), description="Commands that must succeed in each machine.")
    hostname: Literal["any", "same", "differs"] = "any"
    grow: bool = Field(False, description="Whether the root file system must follow a larger disk.")
    allow_failed: tuple[_Shown, ...] = Field((), description="Units that may fail.")
    deadline: float = Field(600, ge=0, allow_inf_nan=False, description="Seconds, for each machine.")
    login: Literal["ssh", "none"] = "ssh"
    user: _User = Field("root", description="Who logs in; empty: nobody, the SSH server's banner is enough.")
    port: int = Field(22, ge=1, le=65535, description="Of the SSH server in the guest.")


class Verification(_Strict):
    passed: bool
    request: Requested = Field(description="What was asked for: `factory verify` asks for the same again.")
    booted: tuple[Booted, ...] = ()
    clones: dict[str, Any] = Field(
        default_factory=dict, description="What of the machines' identities was compared, and what came of it."
    )
    problems: tuple[_Shown, ...] = ()


class Manifest(BaseModel):
    """What an artifact consists of, how it was made and what was proven about it.

    More fields may stand in it (template, plan key, inputs, versions): readers must let them pass.
    """

    model_config = ConfigDict(extra="allow", frozen=True, title="factory's manifest.json")
    format: Literal[1]
    name: _Name
    hardware: Hardware
    files: tuple[File, ...]
    export_seconds: dict[str, float] = Field(default_factory=dict)
    seal: SealSummary | None = None
    drivers: DriverFacts | None = None
    verify: Verification | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _distinct("file", (file.path for file in self.files))
        return self


def _distinct(what: str, names: Iterable[str]) -> None:
    """Raises: ValueError. Two of one name would be written over each other, or stand in for each other."""
    seen = set[str]()
    for name in names:
        if name in seen:
            raise ValueError(f"two of its {what}s are called {name!r}")
        seen.add(name)


_LONGEST_SHOWN = 60  # characters
_WHICH = "give the folder (or its manifest.json) that a build has written"


def read_manifest(path: Path) -> Manifest:
    """Raises: VerificationFailed when it is no manifest of ours."""
    try:
        return Manifest.model_validate_json(read_content(path))
    except OSError as error:
        raise VerificationFailed(f"can't read {path}: {error.strerror}", hint=_WHICH) from error
    except ValidationError as error:
        raise VerificationFailed(f"{path} is no manifest of factory: {_first(error)}", hint=_WHICH) from error


def check_manifest(data: Mapping[str, Any]) -> None:
    """Raises: StepError where what is to be delivered can't be promised: a plug-in's file with an odd name, say."""
    try:
        Manifest.model_validate(data)
    except ValidationError as error:
        raise StepError(
            f"the artifact can't be described: {_first(error)}",
            hint="names of files are plain text, and below its folder",
        ) from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where + ': ' if where else ''}{_said(first['type'], first['input'], first['msg'])}"


def _said(kind: str, given: object, message: str) -> str:
    """A regular expression tells nobody anything; what does not match it does."""
    if kind != "string_pattern_mismatch":
        return message.removeprefix("Value error, ")
    text = repr(given)
    return f"{text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'} can't stand there"
