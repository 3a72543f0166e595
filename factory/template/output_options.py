"""What each output format may be told, as frozen models. The exporters in ``outputs/`` take these.

In a template an output is a bare word (``qcow2``) or one key with its options (``raw: {compress: zstd}``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field


class OutputOptions(BaseModel):
    """Base of all: ``kind`` is the word in the template."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str


class Qcow2(OutputOptions):
    kind: Literal["qcow2"] = "qcow2"
    compress: Literal["auto", "none", "zlib", "zstd"] = "auto"
    compat: Literal["0.10", "1.1"] = "1.1"

    @property
    def compression(self) -> Literal["none", "zlib", "zstd"]:
        """What "auto" stands for: zstd, but zlib where the format is too old for it."""
        if self.compress == "auto":
            return "zlib" if self.compat == "0.10" else "zstd"
        return self.compress


class Raw(OutputOptions):
    kind: Literal["raw"] = "raw"
    compress: Literal["none", "gz", "xz", "zstd"] = "none"
    bmap: bool = False


class Vmdk(OutputOptions):
    kind: Literal["vmdk"] = "vmdk"
    subformat: Literal["streamOptimized", "monolithicSparse"] = "streamOptimized"
    adapter: Literal["lsilogic", "ide", "pvscsi"] = "lsilogic"


class Ova(OutputOptions):
    kind: Literal["ova"] = "ova"
    manifest: Literal["sha256", "sha1", "none"] = "sha256"
    hardware_version: Annotated[int, Field(ge=7, le=30)] = 14
    controller: Literal["lsilogic", "pvscsi", "sata", "ide"] = "lsilogic"
    network: Literal["e1000", "vmxnet3"] = "e1000"
    os_type: str = ""
    product: str = ""
    vendor: str = ""
    version: str = ""


class Vagrant(OutputOptions):
    kind: Literal["vagrant"] = "vagrant"
    provider: Literal["libvirt", "virtualbox"] = "libvirt"
    box_format: Literal["v1", "v2"] = "v1"
    vagrantfile: str = ""
    version: str = "0"
    compression_level: Annotated[int, Field(ge=0, le=9)] = 6


class Vhd(OutputOptions):
    """Fixed VHD of whole MiB, as Azure takes it."""

    kind: Literal["vhd"] = "vhd"


class Vhdx(OutputOptions):
    kind: Literal["vhdx"] = "vhdx"


class Gce(OutputOptions):
    kind: Literal["gce"] = "gce"


class ContainerDisk(OutputOptions):
    kind: Literal["containerdisk"] = "containerdisk"
    tag: str = "latest"


USER_NETWORK = "user"
"""In place of a libvirt network's name: QEMU's own, which needs no rights; others can't reach the guest on it."""


class Libvirt(OutputOptions):
    """A volume in a pool and a defined domain. The network ``user`` is QEMU's own."""

    kind: Literal["libvirt"] = "libvirt"
    uri: str = "qemu:///system"
    pool: str = "default"
    network: str = "default"


class PluginOutput(OutputOptions):
    """Another kind, by a package with an entry point of that name in the group `factory.outputs`. It is handed a qcow2
    of each disk, and what it makes is not booted: an output beside it that is proves the image."""

    kind: Literal["plugin"] = "plugin"
    name: str
    options: dict[str, Any] = Field(default_factory=dict)


Output = Annotated[
    Union[Qcow2, Raw, Vmdk, Ova, Vagrant, Vhd, Vhdx, Gce, ContainerDisk, Libvirt, PluginOutput],  # noqa: UP007
    Field(discriminator="kind"),
]
OPTIONS_MODELS: dict[str, type[OutputOptions]] = {
    m.model_fields["kind"].default: m
    for m in (Qcow2, Raw, Vmdk, Ova, Vagrant, Vhd, Vhdx, Gce, ContainerDisk, Libvirt, PluginOutput)
}
OWN_KINDS = tuple(kind for kind in OPTIONS_MODELS if kind != "plugin")
"""What this program writes itself, each of which needs no options."""


def as_mapping(value: object) -> object:
    """Turns the short forms of an output (``qcow2``, ``{raw: {compress: zstd}}``) into the model's own mapping."""
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and len(value) == 1 and "kind" not in value:
        ((kind, options),) = value.items()
        rest: dict[str, Any] = (
            dict(options or {}) if isinstance(options, dict) or options is None else {"options": options}
        )
        return {"kind": kind, **rest}
    return value
