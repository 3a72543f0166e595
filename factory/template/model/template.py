"""The whole of a template."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from factory.quantity import Duration
from factory.template.model.access import Access
from factory.template.model.finish import Seal, Shutdown, Verify
from factory.template.model.install import Install
from factory.template.model.machine import Machine
from factory.template.model.matrix import MatrixOf
from factory.template.model.provision import Provision
from factory.template.model.source import Source
from factory.template.model.text import Name, Strict, one_or_many
from factory.template.model.variables import Variable
from factory.template.output_options import Output, as_mapping

NEEDS_INSTALL = "an ISO needs `install` with a boot profile"
NO_WAY_TO_PROVISION = "`access: {none: true}` leaves no way to provision"


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
    extends: Annotated[tuple[str, ...], BeforeValidator(one_or_many, json_schema_input_type=str | list[str])] = Field(
        (), description="Fragments that this template builds on."
    )
    variables: dict[str, Variable] = Field(default_factory=dict, description="What a user may set, by name.")
    matrix: MatrixOf = Field(
        None, description="Makes a build for each combination of values: variable → list of values; see below."
    )
    source: Source = Field(description="What the machine starts from.")
    machine: Machine = Field(Machine(), description="What it is made of.")
    install: Install | None = Field(None, description="How the installer is started; needed with `source.iso`.")
    access: Access = Field(Access(), description="The way into the guest.")
    provision: tuple[Provision, ...] = Field((), description="What is done in the guest, in order.")
    initramfs: Literal["check", "rebuild"] = Field(
        "check",
        description="What is done about drivers that the outputs' platforms need: told when they are missing, or put"
        " into the initramfs.",
    )
    shutdown: Shutdown = Field(Shutdown(), description="How it is powered off.")
    seal: Annotated[Seal | None, BeforeValidator(_switch, json_schema_input_type=Seal | bool | None)] = Field(
        Seal(), description="`false` leaves the disk as provisioning left it."
    )
    outputs: Annotated[tuple[Output, ...], BeforeValidator(_outputs)] = Field((), description="What is delivered.")
    verify: Annotated[Verify | None, BeforeValidator(_switch, json_schema_input_type=Verify | bool | None)] = Field(
        Verify(), description="`false` delivers without proof."
    )
    stall: Duration | None = Field(
        None,
        description="How long a machine that is waited for may do nothing before it counts as hung; `0s` for ever. "
        "Default: the boot profile's for the installation, then 5 minutes.",
    )
    layers: Layers = Field(Layers.AUTO, description="What is kept of a build, to go on from.")

    @model_validator(mode="after")
    def _consistent(self) -> Template:
        if self.source.iso is not None and self.install is None:
            raise ValueError(NEEDS_INSTALL)
        if self.access.none and not all(p.on_host for p in self.provision):
            raise ValueError(NO_WAY_TO_PROVISION)
        if self.initramfs == "rebuild" and (self.access.none or self.access.winrm):
            raise ValueError("`initramfs: rebuild` is done in the guest, and needs `access.ssh`")
        return self
