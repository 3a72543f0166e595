"""Boot profiles: how a family of installers is recognised, booted and answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from factory.quantity import Duration
from factory.template.model.expect import BootCommand, Expect
from factory.template.model.install import SeedDelivery
from factory.template.model.text import Keyboard, Name, Strict, Text

DEFAULT_STALL = Duration(5 * 60)
"""How long a machine may do nothing while something is awaited of it."""


class TypedBoot(Strict):
    """What is typed at the ISO's boot prompt."""

    wait: Duration = Field(Duration(0), description="Before the first key.")
    command: BootCommand = Field(
        (), description="The boot command: texts, which are joined, and waits as in `expect` between them."
    )
    command_uefi: BootCommand = Field((), description="Where the ISO's UEFI boot menu differs; default: `command`.")


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
    reads: tuple[SeedDelivery, ...] = Field(
        (SeedDelivery.HTTP, SeedDelivery.CD, SeedDelivery.FLOPPY),
        description="The ways by which its installer finds them, as the profile boots it; `initrd` goes by "
        "`direct.seed_in_initrd`.",
    )
    cd_on: tuple[Literal["q35", "pc"], ...] = Field(
        ("q35", "pc"),
        description="Machine types on which its kernel finds a CD: `q35` has it on SATA, `pc` on IDE.",
    )
    cd_label: str = Field("cidata", description="Of the CD or floppy.")
    verbatim: bool = Field(False, description="Nothing in its files is filled in, and hidden ones are served too.")

    def ways(self, machine_type: str) -> tuple[SeedDelivery, ...]:
        """Those of ``reads`` that its installer can use on a machine of *machine_type*."""
        return tuple(way for way in self.reads if way is not SeedDelivery.CD or machine_type in self.cd_on)


class Recognise(Strict):
    """How `factory init` knows this family from an ISO's content: every condition given must hold."""

    volume_id: str = Field("", description="A regular expression on the volume identifier.")
    paths: tuple[str, ...] = Field((), description="Files that it has.")
    treeinfo: str = Field("", description="A regular expression on `.treeinfo`.")
    disk_info: str = Field("", description="A regular expression on `.disk/info`.")


class Finished(StrEnum):
    RESET = "guest-reset"
    POWER_OFF = "guest-shutdown"
    CONNECTED = "guest-connected"
    """It lets us in: one machine runs from the first key to the end of provisioning, with its media in its drives."""


class Profile(Strict):
    """How one family of installers is recognised, booted and told where its seed is."""

    format: Literal[1] = Field(description="Of this file.")
    name: Name = Field(description="As the file is called, without `.yml`.")
    description: str = Field("", description="In a sentence.")
    proven: bool = Field(False, description="True once a build with it has run whole in the project's own tests.")
    recognise: tuple[Recognise, ...] = Field((), description="How its ISOs are known: one of these must hold.")
    keyboard: Keyboard = Field("us", description="The layout that the boot prompt has.")
    typed: TypedBoot | None = Field(None, description="Booting by keyboard.")
    direct: DirectBoot | None = Field(None, description="Booting the ISO's kernel without its boot loader.")
    seed: ProfileSeed | None = Field(None, description="The answer files.")
    expect: tuple[Expect, ...] = Field(
        (),
        description="Waits after the boot command, in order. Those with `on` that come first are made before the wait "
        "for the seed: what they type may be what starts the installer.",
    )
    finished: Finished = Field(Finished.RESET, description="How the installer shows that it is done.")
    seed_deadline: Duration = Field(Duration(5 * 60), description="Until the seed is fetched.")
    deadline: Duration = Field(Duration(90 * 60), description="From the first key to the installer's end.")
    stall: Duration = Field(
        DEFAULT_STALL,
        description="How long its machine may do nothing (no disk, network, serial line or screen moves) before the "
        "installation counts as hung; `0s` for ever.",
    )
    guest: Literal["linux", "bsd", "windows"] = Field("linux", description="What it installs.")
