"""What is done when a guest is provisioned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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


class Verify(Strict):
    """The proof: what is delivered is started, on a throw-away overlay."""

    boot: bool = Field(True, description="It must come up and let us in.")
    clones: Annotated[int, Field(ge=1, le=4)] = Field(
        1, description="How many at once; two must differ in what is theirs."
    )
    run: Texts = Field((), description="Commands that must succeed in it.")
    deadline: Duration = Field(Duration(10 * 60), description="For each clone.")
