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


Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])]


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

    help: str = Field("", description="What it is for, in a sentence.")
    type: VariableType | None = Field(None, description="Default: the type of `default`, else string.")
    default: Any = Field(None, description="`auto` asks this host: mirror, timezone.")
    required: bool = Field(False, description="An error when nobody gives it.")
    choices: tuple[Any, ...] = Field((), description="The only values that it may have.")
    pattern: str = Field("", description="A regular expression that the whole value must match.")
    generate: Literal["password", "uuid", "hex"] | None = Field(
        None, description="Made anew by each installation and kept with its layer; never part of a key."
    )
    sensitive: bool = Field(False, description="Masked wherever it could be shown; enters a key only as a keyed hash.")


# --- source --------------------------------------------------------------------------------------------------------


class BuiltFile(Strict):
    """A file that a script of ours makes: called as ``SCRIPT OUTPUT_FILE`` with ``env``; cached by its inputs."""

    script: str = Field(description="The program.")
    env: dict[str, Text] = Field(default_factory=dict, description="Its environment variables.")
    inputs: tuple[str, ...] = Field((), description="Files and folders that the result depends on, besides the script.")
    timeout: Duration = Field(Duration(30 * 60), description="How long it may take.")


class IsoSource(Strict):
    """An installer ISO: downloaded, local, or built by a script."""

    url: Text | None = Field(None, description="http, https, ftp or file.")
    urls: tuple[Text, ...] = Field((), description="Mirrors, tried in order.")
    path: Text | None = Field(None, description="A file of this host.")
    build: BuiltFile | None = Field(None, description="Made by a script.")
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
    format: Literal["qcow2", "raw", "vmdk", "vhdx", "vpc"] | None = Field(
        None, description="Default: as the file says."
    )

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
    """What the machine starts from: an installer or a disk."""

    iso: IsoSource | None = Field(None, description="Starts an installer.")
    image: Annotated[ImageSource, BeforeValidator(_image_by_name, json_schema_input_type=ImageSource | str)] | None = (
        Field(None, description="A disk image, or the name of another template.")
    )

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
    """A disk of the machine; the first one is installed to and delivered first."""

    id: Identifier = Field("main", description="Names it, and its file among the artifacts.")
    size: Size = Field(Size(8 * 2**30), description="What the guest sees.")
    bus: Bus = Field(Bus.VIRTIO, description="The controller that it is attached to.")
    serial: str = Field("", description="A serial number that the guest can read.")


class Nic(Strict):
    """A network card."""

    id: Identifier = Field("net0", description="Names it.")
    model: str = Field("virtio-net-pci", description="A device of QEMU.")
    mac: Annotated[str, StringConstraints(pattern=r"^(([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})?$")] = Field(
        "", description="Default: QEMU's."
    )
    bridge: str = Field("", description="A bridge of this host; default: QEMU's user network.")


class Tpm(Strict):
    """An emulated TPM; its state is kept with the layers."""

    version: Literal["1.2", "2.0"] = Field("2.0", description="Of the specification.")
    model: Literal["tpm-crb", "tpm-tis"] = Field("tpm-crb", description="`tpm-tis` for TPM 1.2 and older guests.")


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
    nics: tuple[Nic, ...] = Field((Nic(),), description="The first is how the guest is reached.")
    display: str = Field("std", description="A VGA device of QEMU, or none.")
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

    name: str = Field(description="As the installer asks for it.")
    content: Text | None = Field(None, description="The text itself.")
    path: str | None = Field(None, description="A file of this host, served as it is.")
    build: BuiltFile | None = Field(None, description="Made by a script.")

    @model_validator(mode="after")
    def _one(self) -> SeedFile:
        if sum(x is not None for x in (self.content, self.path, self.build)) != 1:
            raise ValueError("a seed file has exactly one of `content`, `path` or `build`")
        return self


class Install(Strict):
    """How the installer is started and answered."""

    profile: Name = Field(description="A boot profile: boot_configs/NAME.yml.")
    boot: BootMethod = Field(BootMethod.AUTO, description="`direct` starts the ISO's kernel without typing.")
    boot_wait: Duration | None = Field(None, description="Before the first key; default: the profile's.")
    boot_command: Texts | None = Field(None, description="Replaces the profile's.")
    kernel_args: Text = Field("", description="Added to the profile's kernel command line.")
    seed: SeedDelivery | None = Field(None, description="How the answer file travels; default: the profile's.")
    seed_dir: str | None = Field(None, description="A folder of answer files in place of the profile's.")
    seed_files: tuple[SeedFile, ...] = Field((), description="More files beside the seed's, or in their place.")
    seed_vars: dict[str, Any] = Field(default_factory=dict, description="Seen by the answer files as `install.<name>`.")
    seed_deadline: Duration | None = Field(None, description="Until the seed is fetched; default: the profile's.")
    deadline: Duration | None = Field(None, description="From the first key to the installer's reset.")
    keyboard: Literal["us", "gb", "de", "fr"] | None = Field(None, description="The layout that the boot prompt has.")


# --- access and provisioning ---------------------------------------------------------------------------------------


class Ssh(Strict):
    """SSH with the key that is made for each installation, or with what is given here."""

    user: str = Field("root", description="Who logs in.")
    password: Text | None = Field(None, description="Default: the key generated for this build, no password.")
    private_key: str | None = Field(None, description="A file, in place of the build's own key.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(22, description="In the guest.")
    deadline: Duration = Field(Duration(10 * 60), description="Until the guest lets us in.")


class WinRm(Strict):
    """Windows' remote management."""

    user: str = Field(description="Who logs in.")
    password: Text = Field(description="A generated variable is the safest.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(5985, description="In the guest; 5986 for TLS.")
    tls: bool = Field(False, description="HTTPS; the certificate is not checked, since the guest made it.")
    deadline: Duration = Field(Duration(30 * 60), description="Until the guest lets us in.")


class Access(Strict):
    """The way into the guest; SSH as root when nothing is said."""

    ssh: Ssh | None = Field(None, description="For everything but Windows.")
    winrm: WinRm | None = Field(None, description="For Windows.")
    none: bool = Field(False, description="No way in: nothing can be provisioned.")

    @model_validator(mode="after")
    def _at_most_one(self) -> Access:
        if sum((self.ssh is not None, self.winrm is not None, self.none)) > 1:
            raise ValueError("`access` is one of `ssh`, `winrm` or `none: true`")
        return self


class Shell(Strict):
    """Runs scripts in the guest."""

    inline: Texts | None = Field(None, description="Lines of one script.")
    script: str | None = Field(None, description="A file of this host.")
    scripts: tuple[str, ...] = Field((), description="Several, in order.")
    env: dict[str, Text] = Field(default_factory=dict, description="Environment variables of the script.")
    execute_command: Text | None = Field(None, description="With {{ path }} and {{ vars }}, as Packer's.")
    shebang: str = Field("/bin/sh -e", description="Of the script that `inline` makes.")
    valid_exit_codes: tuple[int, ...] = Field((0,), description="What counts as success.")
    expect_disconnect: bool = Field(False, description="The script may end the connection, as a reboot does.")
    remote_folder: str = Field("/tmp", description="Where scripts are put in the guest.")

    @model_validator(mode="after")
    def _one(self) -> Shell:
        if sum(bool(x) for x in (self.inline, self.script, self.scripts)) != 1:
            raise ValueError("a shell provisioner has exactly one of `inline`, `script` or `scripts`")
        return self


class File(Strict):
    """Carries a file or a folder into the guest, or out of it."""

    source: str | None = Field(None, description="A file or folder of this host (of the guest for a download).")
    content: Text | None = Field(None, description="The text itself, in place of `source`.")
    destination: str = Field(description="Where it goes.")
    direction: Literal["upload", "download"] = Field("upload", description="`download` brings it out of the guest.")
    mode: Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3,4}$")] | None = Field(
        None, description='Octal, in quotes: "0644".'
    )
    owner: str | None = Field(None, description="USER or USER:GROUP.")

    @model_validator(mode="after")
    def _one(self) -> File:
        if (self.source is None) == (self.content is None):
            raise ValueError("a file provisioner has exactly one of `source` or `content`")
        if self.content is not None and self.direction == "download":
            raise ValueError("`content` can't be downloaded: use `source`")
        return self


class Reboot(Strict):
    """Restarts the guest and waits until it is another boot."""

    command: Text | None = Field(None, description="Default: what the guest's system has.")
    deadline: Duration = Field(Duration(5 * 60), description="Until the guest is back.")


class Ansible(Strict):
    """Runs ansible-playbook on this host against the guest."""

    playbook: str = Field(description="A file of this host.")
    extra_vars: dict[str, Any] = Field(default_factory=dict, description="Variables of the play.")
    extra_args: tuple[Text, ...] = Field((), description="Appended to its command line.")
    groups: tuple[str, ...] = Field((), description="Groups of the inventory that the guest is in.")
    roles_path: str | None = Field(None, description="A folder of roles.")
    requirements: str | None = Field(None, description="A file for ansible-galaxy.")
    user: str | None = Field(None, description="Default: that of `access`.")
    become: bool = Field(False, description="Become root.")


class Plugin(Strict):
    """A provisioner from the entry-point group ``factory.provisioners``."""

    name: str = Field(description="As the plug-in is registered.")
    options: dict[str, Any] = Field(default_factory=dict, description="What it is told.")


class Provision(Strict):
    """One provisioner, with what applies to all kinds."""

    shell: Shell | None = Field(None, description="Scripts in the guest.")
    file: File | None = Field(None, description="Files into the guest or out of it.")
    reboot: Reboot | None = Field(None, description="A restart.")
    ansible: Ansible | None = Field(None, description="A playbook.")
    plugin: Plugin | None = Field(None, description="Another kind.")
    name: str = Field("", description="How output and logs call it.")
    timeout: Duration | None = Field(None, description="How long it may take; default: for ever.")
    retries: Annotated[int, Field(ge=0, le=100)] = Field(0, description="How often it is tried again.")
    pause_before: Duration = Field(Duration(0), description="Waited before it begins.")

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

    command: Text | None = Field(None, description="Default: what the guest's system has.")
    deadline: Duration = Field(Duration(3 * 60), description="Until the guest is off.")


class Seal(Strict):
    """Takes what is this machine's own out of the disk, and proves it."""

    only: tuple[str, ...] = Field((), description="Names of the operations to run; default: all that fit the guest.")
    except_: tuple[str, ...] = Field((), alias="except", description="Names of operations to leave out.")
    trim: bool = Field(True, description="Frees the blocks that no file uses.")
    shrink: bool = Field(False, description="Makes the last file system and the disk as small as they can be.")
    allow: tuple[str, ...] = Field((), description="Names of secret-scan findings that are meant to be there.")


class Verify(Strict):
    """The proof: what is delivered is started, on a throw-away overlay."""

    boot: bool = Field(True, description="It must come up and let us in.")
    clones: Annotated[int, Field(ge=1, le=4)] = Field(
        1, description="How many at once; two must differ in what is theirs."
    )
    run: Texts = Field((), description="Commands that must succeed in it.")
    deadline: Duration = Field(Duration(10 * 60), description="For each clone.")


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

    format: Literal[1] = Field(description="Of this file.")
    name: Name = Field(description="Of the image: its artifacts lie in output/NAME/.")
    description: str = Field("", description="In a sentence.")
    extends: Annotated[tuple[str, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])] = Field(
        (), description="Fragments that this template builds on."
    )
    variables: dict[str, Variable] = Field(default_factory=dict, description="What a user may set, by name.")
    source: Source = Field(description="What the machine starts from.")
    machine: Machine = Field(Machine(), description="What it is made of.")
    install: Install | None = Field(None, description="How the installer is started; needed with `source.iso`.")
    access: Access = Field(Access(), description="The way into the guest.")
    provision: tuple[Provision, ...] = Field((), description="What is done in the guest, in order.")
    shutdown: Shutdown = Field(Shutdown(), description="How it is powered off.")
    seal: Annotated[Seal | None, BeforeValidator(_switch, json_schema_input_type=Seal | bool | None)] = Field(
        Seal(), description="`false` leaves the disk as provisioning left it."
    )
    outputs: Annotated[tuple[Output, ...], BeforeValidator(_outputs)] = Field((), description="What is delivered.")
    verify: Annotated[Verify | None, BeforeValidator(_switch, json_schema_input_type=Verify | bool | None)] = Field(
        Verify(), description="`false` delivers without proof."
    )
    layers: Layers = Field(Layers.AUTO, description="What is kept of a build, to go on from.")

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

    serial: str = Field("", description="A regular expression on the serial line.")
    text: str = Field("", description="A regular expression on the screen.")
    deadline: Duration = Field(Duration(5 * 60), description="How long to wait.")
    means: str = Field("", description="What it shows, in words: used in errors.")


class TypedBoot(Strict):
    """What is typed at the ISO's boot prompt."""

    wait: Duration = Field(Duration(0), description="Before the first key.")
    command: Texts = Field((), description="The boot command; several are joined.")
    command_uefi: Texts = Field((), description="Where the ISO's UEFI boot menu differs; default: `command`.")


class DirectBoot(Strict):
    """Kernel and initrd as they lie in the ISO: what `.treeinfo` names, else the first pair that exists."""

    kernel: tuple[str, ...] = Field((), description="Names in the ISO; `*` stands for any part of a name.")
    initrd: tuple[str, ...] = Field(
        (), description="Names in the ISO, in the order of `kernel`; a `*` stands for what it stood for there."
    )
    command_line: Text = Field("", description="The kernel's.")
    seed_in_initrd: Text | None = Field(
        None,
        description="Added to the command line for a seed in the initrd; not given: the installer does not look there.",
    )


class ProfileSeed(Strict):
    """The answer files of the family."""

    directory: str = Field(description="A folder of http_seed/.")
    main: str = Field("", description="The file whose fetch shows that the installer has found its seed.")
    delivery: SeedDelivery = Field(SeedDelivery.HTTP, description="How they reach the installer.")
    cd_label: str = Field("cidata", description="Of the CD or floppy.")


class Recognise(Strict):
    """How `factory init` knows this family from an ISO's content: every condition given must hold."""

    volume_id: str = Field("", description="A regular expression on the volume identifier.")
    paths: tuple[str, ...] = Field((), description="Files that it has.")
    treeinfo: str = Field("", description="A regular expression on `.treeinfo`.")
    disk_info: str = Field("", description="A regular expression on `.disk/info`.")


class Finished(StrEnum):
    RESET = "guest-reset"
    POWER_OFF = "guest-shutdown"


class Profile(Strict):
    """How one family of installers is recognised, booted and told where its seed is."""

    format: Literal[1] = Field(description="Of this file.")
    name: Name = Field(description="As the file is called, without `.yml`.")
    description: str = Field("", description="In a sentence.")
    proven: bool = Field(False, description="True once a build with it has run whole in the project's own tests.")
    recognise: tuple[Recognise, ...] = Field((), description="How its ISOs are known: one of these must hold.")
    keyboard: Literal["us", "gb", "de", "fr"] = Field("us", description="The layout that the boot prompt has.")
    typed: TypedBoot | None = Field(None, description="Booting by keyboard.")
    direct: DirectBoot | None = Field(None, description="Booting the ISO's kernel without its boot loader.")
    seed: ProfileSeed | None = Field(None, description="The answer files.")
    expect: tuple[Expect, ...] = Field((), description="Waits after the boot command, in order.")
    finished: Finished = Field(Finished.RESET, description="How the installer shows that it is done.")
    seed_deadline: Duration = Field(Duration(5 * 60), description="Until the seed is fetched.")
    deadline: Duration = Field(Duration(90 * 60), description="From the first key to the installer's end.")
    guest: Literal["linux", "bsd", "windows"] = Field("linux", description="What it installs.")


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
