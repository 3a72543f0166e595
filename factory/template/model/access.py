"""The ways into a guest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from factory.quantity import Duration
from factory.template.model.text import Strict, Text


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
