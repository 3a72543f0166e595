"""What a machine starts from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from factory.quantity import Duration
from factory.template.model.text import Name, Strict, Text


class BuiltFile(Strict):
    """A file that a script of ours makes: called as ``SCRIPT OUTPUT_FILE`` with ``env``; cached by its inputs."""

    script: str = Field(description="The program.")
    env: dict[str, Text] = Field(default_factory=dict, description="Its environment variables.")
    inputs: tuple[str, ...] = Field((), description="Files and folders that the result depends on, besides the script.")
    timeout: Duration = Field(Duration(30 * 60), description="How long it may take.")


class IsoSource(Strict):
    """An installer ISO: downloaded, local, or built by a script."""

    url: Text | None = Field(None, description="http, https or file.")
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
