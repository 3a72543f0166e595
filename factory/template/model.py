"""What a person wrote, as frozen typed data. Knows nothing of this host.

Two documents: a ``Template`` (``images/*.yml``) and a ``Profile`` (``boot_configs/*.yml``). Both refuse unknown
fields. Texts that need a value which exists only while a build runs (``seed.url``, the build key, a generated
password) stay a ``LateText``: they are rendered when the value is there and only their source enters a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import core_schema

from factory.drivers.machine_spec import Bus
from factory.errors import Problem
from factory.quantity import Duration, Size
from factory.template.output_options import Output, as_mapping

LATE_NAMES = frozenset({"seed", "build", "guest"})
"""Names that exist only at run time: ``seed.url``, ``build.ssh_public_key``, ``guest.port``, …; besides them, every
generated variable (``vars.root_password`` with ``generate:``) is late."""


@dataclass(frozen=True, slots=True)
class LateText:
    """Jinja2 source whose late names are still open. ``variables`` holds the values of the others that it uses."""

    source: str
    variables: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string"}


Text = str | LateText
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]


class Strict(BaseModel):
    """Frozen; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, (str, LateText)) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many)]


# --- variables -----------------------------------------------------------------------------------------------------


class VariableType(StrEnum):
    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    SIZE = "size"
    DURATION = "duration"
    LIST = "list"
    MAP = "map"


class Variable(Strict):
    """A value that the user may set: ``-var``, ``--var-file`` or ``FACTORY_VAR_<name>``."""

    help: str = ""
    type: VariableType | None = Field(None, description="Default: the type of `default`, else string.")
    default: Any = Field(None, description="`auto` asks this host: mirror, timezone.")
    required: bool = False
    choices: tuple[Any, ...] = ()
    pattern: str = Field("", description="A regular expression that the whole value must match.")
    generate: Literal["password", "uuid", "hex"] | None = Field(
        None, description="Made anew by each installation and kept with its layer; never part of a key."
    )
    sensitive: bool = False


# --- source --------------------------------------------------------------------------------------------------------


class BuiltFile(Strict):
    """A file that a script of ours makes: called as ``SCRIPT OUTPUT_FILE`` with ``env``; cached by its inputs."""

    script: str
    env: dict[str, Text] = Field(default_factory=dict)
    inputs: tuple[str, ...] = Field((), description="Files and folders that the result depends on, besides the script.")
    timeout: Duration = Duration(30 * 60)


class IsoSource(Strict):
    """An installer ISO: downloaded, local, or built by a script."""

    url: Text | None = None
    urls: tuple[Text, ...] = Field((), description="Mirrors, tried in order.")
    path: Text | None = None
    build: BuiltFile | None = None
    checksum: Text | None = Field(None, description="sha256:…, sha512:…, bare hex, file:URL-of-SUMS, or none.")

    @model_validator(mode="after")
    def _one_origin(self) -> IsoSource:
        if sum(bool(x) for x in (self.url or self.urls, self.path, self.build)) != 1:
            raise ValueError("say where it comes from: exactly one of `url` (or `urls`), `path` or `build`")
        if (self.url or self.urls) and self.checksum is None:
            raise ValueError("a download needs `checksum` (write `checksum: none` to go without)")
        return self


class ImageSource(IsoSource):
    """A disk image to start from, in place of an installer."""

    template: Name | None = Field(None, description="Another template's name: it is built first.")
    format: Literal["qcow2", "raw", "vmdk", "vhdx", "vpc"] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> ImageSource:
        if sum(bool(x) for x in (self.url or self.urls, self.path, self.build, self.template)) != 1:
            raise ValueError("say where it comes from: exactly one of `template`, `url`, `path` or `build`")
        if (self.url or self.urls) and self.checksum is None:
            raise ValueError("a download needs `checksum` (write `checksum: none` to go without)")
        return self


def _image_by_name(value: object) -> object:
    return {"template": value} if isinstance(value, str) else value


class Source(Strict):
    iso: IsoSource | None = None
    image: Annotated[ImageSource, BeforeValidator(_image_by_name)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Source:
        if (self.iso is None) == (self.image is None):
            raise ValueError("a source is either `iso` or `image`")
        return self


# --- machine -------------------------------------------------------------------------------------------------------


class Firmware(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"
    UEFI_SECURE = "uefi-secure"


class Disk(Strict):
    id: Identifier = "main"
    size: Size = Size(8 * 2**30)
    bus: Bus = Bus.VIRTIO
    serial: str = ""


class Nic(Strict):
    id: Identifier = "net0"
    model: str = "virtio-net-pci"
    mac: Annotated[str, StringConstraints(pattern=r"^(([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})?$")] = ""
    bridge: str = ""


class Tpm(Strict):
    version: Literal["1.2", "2.0"] = "2.0"
    model: Literal["tpm-crb", "tpm-tis"] = "tpm-crb"


def _tpm_switch(value: object) -> object:
    return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


class Machine(Strict):
    arch: Literal["x86_64"] = "x86_64"
    type: Literal["q35", "pc"] = "q35"
    cpus: Annotated[int, Field(ge=1, le=512)] = 2
    cpu: str = Field("", description="QEMU CPU model; default: host under KVM, max otherwise.")
    memory: Size = Size(2 * 2**30)
    firmware: Firmware = Firmware.BIOS
    tpm: Annotated[Tpm | None, BeforeValidator(_tpm_switch)] = None
    disks: Annotated[tuple[Disk, ...], Field(min_length=1)] = (Disk(),)
    nics: tuple[Nic, ...] = (Nic(),)
    display: str = "std"
    extra_args: tuple[str, ...] = Field((), description="Appended to QEMU's command line as they are.")
    replaced_switches: tuple[str, ...] = Field((), description="Generated switches to drop, as Packer's qemuargs does.")

    @model_validator(mode="after")
    def _unique(self) -> Machine:
        for kind, ids in (("disk", [d.id for d in self.disks]), ("nic", [n.id for n in self.nics])):
            twice = {i for i in ids if ids.count(i) > 1}
            if twice:
                raise ValueError(f"two {kind}s have the id {', '.join(sorted(twice))}")
        return self


# --- installation --------------------------------------------------------------------------------------------------


class SeedDelivery(StrEnum):
    HTTP = "http"
    CD = "cd"
    FLOPPY = "floppy"
    INITRD = "initrd"
    NONE = "none"


class BootMethod(StrEnum):
    AUTO = "auto"
    TYPED = "typed"
    DIRECT = "direct"


class SeedFile(Strict):
    """One more file beside the seed: given as text, as a path, or made by a script."""

    name: str
    content: Text | None = None
    path: str | None = None
    build: BuiltFile | None = None

    @model_validator(mode="after")
    def _one(self) -> SeedFile:
        if sum(x is not None for x in (self.content, self.path, self.build)) != 1:
            raise ValueError("a seed file has exactly one of `content`, `path` or `build`")
        return self


class Install(Strict):
    profile: Name
    boot: BootMethod = BootMethod.AUTO
    boot_wait: Duration | None = Field(None, description="Before the first key; default: the profile's.")
    boot_command: Texts | None = Field(None, description="Replaces the profile's.")
    kernel_args: Text = Field("", description="Added to the profile's kernel command line.")
    seed: SeedDelivery | None = Field(None, description="How the answer file travels; default: the profile's.")
    seed_dir: str | None = Field(None, description="A folder of answer files in place of the profile's.")
    seed_files: tuple[SeedFile, ...] = ()
    seed_vars: dict[str, Any] = Field(default_factory=dict, description="Seen by the answer files as `install.<name>`.")
    seed_deadline: Duration | None = None
    deadline: Duration | None = Field(None, description="From the first key to the installer's reset.")
    keyboard: Literal["us", "gb", "de", "fr"] | None = None


# --- access and provisioning ---------------------------------------------------------------------------------------


class Ssh(Strict):
    user: str = "root"
    password: Text | None = Field(None, description="Default: the key generated for this build, no password.")
    private_key: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    deadline: Duration = Duration(10 * 60)


class WinRm(Strict):
    user: str
    password: Text
    port: Annotated[int, Field(ge=1, le=65535)] = 5985
    tls: bool = False
    deadline: Duration = Duration(30 * 60)


class Access(Strict):
    ssh: Ssh | None = None
    winrm: WinRm | None = None
    none: bool = False

    @model_validator(mode="after")
    def _at_most_one(self) -> Access:
        if sum((self.ssh is not None, self.winrm is not None, self.none)) > 1:
            raise ValueError("`access` is one of `ssh`, `winrm` or `none: true`")
        return self


class Shell(Strict):
    inline: Texts | None = None
    script: str | None = None
    scripts: tuple[str, ...] = ()
    env: dict[str, Text] = Field(default_factory=dict)
    execute_command: Text | None = Field(None, description="With {{ path }} and {{ vars }}, as Packer's.")
    shebang: str = "/bin/sh -e"
    valid_exit_codes: tuple[int, ...] = (0,)
    expect_disconnect: bool = False
    remote_folder: str = "/tmp"

    @model_validator(mode="after")
    def _one(self) -> Shell:
        if sum(bool(x) for x in (self.inline, self.script, self.scripts)) != 1:
            raise ValueError("a shell provisioner has exactly one of `inline`, `script` or `scripts`")
        return self


class File(Strict):
    source: str | None = None
    content: Text | None = None
    destination: str
    direction: Literal["upload", "download"] = "upload"
    mode: Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3,4}$")] | None = None
    owner: str | None = None

    @model_validator(mode="after")
    def _one(self) -> File:
        if (self.source is None) == (self.content is None):
            raise ValueError("a file provisioner has exactly one of `source` or `content`")
        if self.content is not None and self.direction == "download":
            raise ValueError("`content` can't be downloaded: use `source`")
        return self


class Reboot(Strict):
    command: Text | None = None
    deadline: Duration = Duration(5 * 60)


class Ansible(Strict):
    playbook: str
    extra_vars: dict[str, Any] = Field(default_factory=dict)
    extra_args: tuple[Text, ...] = ()
    groups: tuple[str, ...] = ()
    roles_path: str | None = None
    requirements: str | None = None
    user: str | None = None
    become: bool = False


class Plugin(Strict):
    """A provisioner from the entry-point group ``factory.provisioners``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Provision(Strict):
    """One provisioner, with what applies to all kinds."""

    shell: Shell | None = None
    file: File | None = None
    reboot: Reboot | None = None
    ansible: Ansible | None = None
    plugin: Plugin | None = None
    name: str = ""
    timeout: Duration | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    pause_before: Duration = Duration(0)

    @property
    def kind(self) -> str:
        return next(k for k in PROVISIONER_KINDS if getattr(self, k) is not None)

    @property
    def options(self) -> Shell | File | Reboot | Ansible | Plugin:
        options: Shell | File | Reboot | Ansible | Plugin = getattr(self, self.kind)
        return options

    @model_validator(mode="after")
    def _one(self) -> Provision:
        if sum(getattr(self, k) is not None for k in PROVISIONER_KINDS) != 1:
            raise ValueError(f"a provisioner is exactly one of {', '.join(PROVISIONER_KINDS)}")
        return self


PROVISIONER_KINDS = ("shell", "file", "reboot", "ansible", "plugin")


# --- finish --------------------------------------------------------------------------------------------------------


class Shutdown(Strict):
    """How the guest is powered off: the command (if any), then the power button, then a hard end that is an error."""

    command: Text | None = None
    deadline: Duration = Duration(3 * 60)


class Seal(Strict):
    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = Field((), alias="except")
    trim: bool = True
    shrink: bool = False
    allow: tuple[str, ...] = Field((), description="Names of secret-scan findings that are meant to be there.")


class Verify(Strict):
    boot: bool = True
    clones: Annotated[int, Field(ge=1, le=4)] = 1
    run: Texts = ()
    deadline: Duration = Duration(10 * 60)


def _switch(value: object) -> object:
    return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


def _outputs(value: object) -> object:
    return [as_mapping(v) for v in value] if isinstance(value, (list, tuple)) else value


class Layers(StrEnum):
    LIVE = "live"
    OFF = "off"
    NONE = "none"
    AUTO = "auto"


class Template(Strict):
    """A machine image, declared."""

    format: Literal[1]
    name: Name
    description: str = ""
    extends: tuple[str, ...] = Field((), description="Fragments that this template builds on.")
    variables: dict[str, Variable] = Field(default_factory=dict)
    source: Source
    machine: Machine = Machine()
    install: Install | None = None
    access: Access = Access()
    provision: tuple[Provision, ...] = ()
    shutdown: Shutdown = Shutdown()
    seal: Annotated[Seal | None, BeforeValidator(_switch)] = Seal()
    outputs: Annotated[tuple[Output, ...], BeforeValidator(_outputs)] = ()
    verify: Annotated[Verify | None, BeforeValidator(_switch)] = Verify()
    layers: Layers = Layers.AUTO

    @model_validator(mode="after")
    def _consistent(self) -> Template:
        if self.source.iso is not None and self.install is None:
            raise ValueError("an ISO needs `install` with a boot profile")
        if self.provision and self.access.none:
            raise ValueError("`access: {none: true}` leaves no way to provision")
        return self


# --- boot profiles -------------------------------------------------------------------------------------------------


class Expect(Strict):
    """A wait that the profile makes part of the installation."""

    serial: str = ""
    text: str = ""
    deadline: Duration = Duration(5 * 60)
    means: str = Field("", description="What it shows, in words: used in errors.")


class TypedBoot(Strict):
    wait: Duration = Duration(0)
    command: Texts = ()
    command_uefi: Texts = Field((), description="Where the ISO's UEFI boot menu differs; default: `command`.")


class DirectBoot(Strict):
    """Kernel and initrd as they lie in the ISO: the first pair that exists is used."""

    kernel: tuple[str, ...] = ()
    initrd: tuple[str, ...] = ()
    command_line: Text = ""


class ProfileSeed(Strict):
    directory: str = Field(description="A folder of http_seed/.")
    main: str = Field("", description="The file whose fetch shows that the installer has found its seed.")
    delivery: SeedDelivery = SeedDelivery.HTTP
    cd_label: str = "cidata"


class Recognise(Strict):
    """How `factory init` knows this family from an ISO's content: every condition given must hold."""

    volume_id: str = Field("", description="A regular expression on the volume identifier.")
    paths: tuple[str, ...] = ()
    treeinfo: str = Field("", description="A regular expression on `.treeinfo`.")
    disk_info: str = Field("", description="A regular expression on `.disk/info`.")


class Finished(StrEnum):
    RESET = "guest-reset"
    POWER_OFF = "guest-shutdown"


class Profile(Strict):
    """How one family of installers is recognised, booted and told where its seed is."""

    format: Literal[1]
    name: Name
    description: str = ""
    proven: bool = Field(False, description="True once a build with it has run whole in the project's own tests.")
    recognise: tuple[Recognise, ...] = ()
    keyboard: Literal["us", "gb", "de", "fr"] = "us"
    typed: TypedBoot | None = None
    direct: DirectBoot | None = None
    seed: ProfileSeed | None = None
    expect: tuple[Expect, ...] = ()
    finished: Finished = Finished.RESET
    seed_deadline: Duration = Duration(5 * 60)
    deadline: Duration = Duration(90 * 60)
    guest: Literal["linux", "bsd", "windows"] = "linux"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A template as loaded: the model, where it came from, and its resolved variables (late ones absent)."""

    template: Template
    profile: Profile | None
    path: Path
    root: Path
    """The project folder: relative names of scripts, seeds and profiles are looked up from here."""
    variables: Mapping[str, Any]
    generated: Mapping[str, str]
    """Names of late variables and how they are made."""
    raw: Mapping[str, Any]
    """The whole as written, after `extends` and before anything was filled in."""
    secrets: tuple[str, ...] = ()
    """Every sensitive value as text, for the redactor."""
    files: tuple[Path, ...] = ()
    """The template's file and the fragments it extends."""
    profile_path: Path | None = None
    seed_directory: Path | None = None
    """The folder of answer files: `install.seed_dir`, else the profile's below http_seed/."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """What `host.<name>` gave."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each variable's value comes from, in words: "default", "-var mirror", "generated", …"""
    warnings: tuple[Problem, ...] = ()

    def resolve(self, name: str) -> Path:
        """The path of a file that the template names. Names in the model are relative to ``root`` where they lie in
        it, else absolute."""
        return self.root / name
