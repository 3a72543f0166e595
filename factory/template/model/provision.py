"""What is done in a guest."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from factory.quantity import Duration
from factory.template.model.text import Strict, Text, Texts


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
    skip_clean: bool = Field(False, description="Scripts stay in the guest.")

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
    generated: bool = Field(False, description="`source` is made while the build runs: it does not count for a key.")

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
    collections_path: str | None = Field(None, description="A folder of collections.")
    requirements: str | None = Field(None, description="A file for ansible-galaxy.")
    user: str | None = Field(None, description="Default: that of `access`.")
    become: bool = Field(False, description="Become root.")
    host: str = Field("default", description="The guest's name in the inventory.")
    env: dict[str, Text] = Field(default_factory=dict, description="Environment variables of ansible-playbook.")


class Plugin(Strict):
    """A provisioner from the entry-point group ``factory.provisioners``."""

    name: str = Field(description="As the plug-in is registered.")
    options: dict[str, Any] = Field(default_factory=dict, description="What it is told.")
    files: tuple[str, ...] = Field((), description="Files and folders of this host that its work depends on.")


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
    pause_after: Duration = Field(Duration(0), description="Waited after it has succeeded.")
    continue_on_error: bool = Field(False, description="Its failure is a warning, and the build goes on.")

    @property
    def kind(self) -> str:
        return next(k for k in PROVISIONER_KINDS if getattr(self, k) is not None)

    @property
    def type(self) -> str:
        """The kind as a person calls it: a plug-in by its name, so ``shell-local`` and not ``plugin``."""
        return self.plugin.name if self.plugin is not None else self.kind

    @property
    def on_host(self) -> bool:
        """It needs no guest: what it does it does on this host."""
        return self.type in ON_HOST

    @property
    def options(self) -> Shell | File | Reboot | Ansible | Plugin:
        options: Shell | File | Reboot | Ansible | Plugin = getattr(self, self.kind)
        return options

    @model_validator(mode="after")
    def _one(self) -> Provision:
        if sum(getattr(self, k) is not None for k in PROVISIONER_KINDS) != 1:
            raise ValueError(f"a provisioner is exactly one of {', '.join(PROVISIONER_KINDS)}")
        return self


ON_HOST = frozenset({"breakpoint", "shell-local", "sleep"})
"""Provisioners that do not speak to the guest."""
PROVISIONER_KINDS = ("shell", "file", "reboot", "ansible", "plugin")
