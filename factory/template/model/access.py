"""The ways into a guest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from factory.quantity import Duration
from factory.template.model.text import Strict, Text


class Bastion(Strict):
    """A host that the guest is reached through, as with ssh's ``ProxyJump``."""

    host: str = Field(description="Its name or address.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(22, description="Of its SSH server.")
    user: str = Field(description="Who logs in there.")
    password: str | None = Field(None, description="Also answers keyboard-interactive questions.")
    private_key: str | None = Field(None, description="A file with the key for the bastion.")
    certificate: str | None = Field(None, description="A file with the certificate of that key.")
    agent: bool = Field(False, description="Offer the keys of the agent that SSH_AUTH_SOCK names.")


class Ssh(Strict):
    """SSH with the key that is made for each installation, or with what is given here."""

    user: str = Field("root", description="Who logs in.")
    password: Text | None = Field(None, description="Default: the key generated for this build, no password.")
    private_key: str | None = Field(None, description="A file, in place of the build's own key.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(22, description="In the guest.")
    host: str = Field("", description="The guest's own address, when its first network card is on a `bridge`.")
    deadline: Duration = Field(Duration(10 * 60), description="Until the guest lets us in.")
    certificate: str | None = Field(None, description="A file with the certificate of `private_key`.")
    agent: bool = Field(False, description="Offer the keys of the agent that SSH_AUTH_SOCK names, too.")
    terminal: bool = Field(False, description="Give provisioners' commands a terminal, for a sudo that wants one.")
    settle: Duration = Field(Duration(0), description="Once let in, hang up, wait this long, and connect anew.")
    bastion: Bastion | None = Field(None, description="A host to go through.")


class WinRm(Strict):
    """Windows' remote management."""

    user: str = Field(description="Who logs in.")
    password: Text = Field(description="A generated variable is the safest.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(5985, description="In the guest; 5986 for TLS.")
    host: str = Field("", description="The guest's own address, when its first network card is on a `bridge`.")
    tls: bool = Field(False, description="HTTPS; the certificate is not checked, since the guest made it.")
    deadline: Duration = Field(Duration(30 * 60), description="Until the guest lets us in.")
    settle: Duration = Field(Duration(0), description="Once let in, hang up, wait this long, and connect anew.")


class Access(Strict):
    """The way into the guest; SSH as root when nothing is said."""

    ssh: Ssh | None = Field(None, description="For everything but Windows.")
    winrm: WinRm | None = Field(None, description="For Windows.")
    none: bool = Field(False, description="No way in: only what needs no guest can be a provisioner.")

    @property
    def host(self) -> str:
        """The guest's own address; empty where a port of this host leads into it."""
        way = self.winrm or self.ssh
        return way.host if way else ""

    @model_validator(mode="after")
    def _at_most_one(self) -> Access:
        if sum((self.ssh is not None, self.winrm is not None, self.none)) > 1:
            raise ValueError("`access` is one of `ssh`, `winrm` or `none: true`")
        return self
