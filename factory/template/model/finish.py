"""What is done when a guest is provisioned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from factory.quantity import Duration
from factory.template.model.text import Strict, Text, Texts


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
    remove_users: tuple[str, ...] = Field(
        (), description="Users that go, with their homes: the installer's own, say. The proof then logs in as root."
    )


_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")]


class Verify(Strict):
    """The proof: every file that is delivered is started in its own format, on hardware like its target's."""

    boot: bool = Field(True, description="It must come up and let us in.")
    formats: Literal["all", "first"] | tuple[_Word, ...] = Field(
        "all", description="Which outputs are started: all, the first, or those that are named."
    )
    clones: Annotated[int, Field(ge=1, le=4)] = Field(
        2, description="As how many machines the first of them is started; what is theirs must differ."
    )
    run: Texts = Field((), description="Commands that must succeed in each machine.")
    hostname: Literal["any", "same", "differs"] = Field("any", description="What the names of two machines must do.")
    grow: bool | None = Field(
        None,
        description="Disks are made larger, and the root file system must follow; default: when sealing shrunk them.",
    )
    allow_failed: tuple[str, ...] = Field((), description="Units that may fail; any other is an error.")
    deadline: Duration = Field(Duration(10 * 60), description="For each machine.")
