"""How an installer is started and answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from factory.quantity import Duration
from factory.template.model.source import BuiltFile
from factory.template.model.text import Name, Strict, Text, Texts


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
