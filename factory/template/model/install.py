"""How an installer is started and answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from factory.quantity import Duration
from factory.template.model.expect import BootCommand, Expect
from factory.template.model.source import BuiltFile
from factory.template.model.text import Keyboard, Name, Strict, Text


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


class Medium(Strict):
    """One more CD or floppy in the machine while it is built: an image as it is, or made of files."""

    kind: Literal["cd", "floppy"] = Field("cd", description="What it is.")
    image: str | None = Field(None, description="An ISO or floppy image of this host.")
    label: str = Field("factory", description="Of one that is made of `files`.")
    files: tuple[SeedFile, ...] = Field((), description="What is on it; a folder brings all that is in it.")

    @model_validator(mode="after")
    def _one(self) -> Medium:
        if (self.image is None) == (not self.files):
            raise ValueError("a medium has exactly one of `image` or `files`")
        return self


def _first_and_last(ports: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= ports[0] <= ports[1] <= 65535:
        raise ValueError("`seed_ports` are the first and the last port of a range, between 1 and 65535")
    return ports


class Install(Strict):
    """How the installer is started and answered."""

    profile: Name = Field(description="A boot profile: boot_configs/NAME.yml.")
    boot: BootMethod = Field(BootMethod.AUTO, description="`direct` starts the ISO's kernel without typing.")
    boot_wait: Duration | None = Field(None, description="Before the first key; default: the profile's.")
    expect: tuple[Expect, ...] | None = Field(None, description="Replaces the profile's waits.")
    boot_command: BootCommand | None = Field(
        None, description="Replaces the profile's: texts to type, and waits as in `expect` between them."
    )
    kernel_args: Text = Field("", description="Added to the profile's kernel command line.")
    seed: SeedDelivery | None = Field(None, description="How the answer file travels; default: the profile's.")
    seed_dir: str | None = Field(None, description="A folder of answer files in place of the profile's.")
    seed_files: tuple[SeedFile, ...] = Field((), description="More files beside the seed's, or in their place.")
    seed_vars: dict[str, Any] = Field(default_factory=dict, description="Seen by the answer files as `install.<name>`.")
    seed_ports: Annotated[tuple[int, int], AfterValidator(_first_and_last)] | None = Field(
        None,
        description="First and last port of this host to serve the seed on, without the one-time path in its URL: "
        "for answer files that name the address themselves.",
    )
    media: tuple[Medium, ...] = Field((), description="More CDs and floppies, besides the installer and the seed.")
    seed_deadline: Duration | None = Field(None, description="Until the seed is fetched; default: the profile's.")
    deadline: Duration | None = Field(None, description="From the first key to the installer's reset.")
    keyboard: Keyboard | None = Field(None, description="The layout that the boot prompt has.")
