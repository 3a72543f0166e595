"""libguestfs."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from factory.deadline import Deadline
from factory.errors import StepError
from factory.events import Emit


class DiskAccess(enum.StrEnum):
    """What an appliance may do to the disks that it is given."""

    READ_ONLY = "read-only"
    READ_WRITE = "read-write"


@dataclass(frozen=True, slots=True)
class ApplianceDisk:
    """A disk image for the appliance; the first is ``/dev/sda`` in it. ``id`` is the machine's name for it."""

    path: Path
    format: str
    id: str = ""


class ApplianceCallFailed(StepError):
    """libguestfs refused one call. Its binding gives words only, no number."""

    @property
    def is_missing(self) -> bool:
        """True when it says that a file is not there."""
        return self.message.endswith("No such file or directory")


ApplianceCall = tuple[Any, ...]
"""``(method, argument, …)``; a mapping in the last place holds the optional arguments."""


class Appliance(Protocol):
    """A running libguestfs appliance. Made by ``ApplianceDriver.launch`` and gone when that context ends."""

    @property
    def scratch(self) -> Path:
        """A folder on this host for files on their way in or out; it goes with the appliance."""

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Calls one method of the binding ``guestfs.GuestFS`` (``Path`` arguments become text, bytes stay bytes).

        Raises: ApplianceCallFailed; StepError when the appliance has died.
        """

    async def batch(self, calls: Sequence[ApplianceCall]) -> list[Any]:
        """Makes many calls in one round trip and returns their values; ends at the first that fails.

        Raises: ApplianceCallFailed.
        """

    async def attempt(self, calls: Sequence[ApplianceCall]) -> list[Any]:
        """As ``batch``, but makes them all: what failed gives its ``ApplianceCallFailed`` in place of a value."""

    async def paths(self, directory: str) -> list[bytes]:
        """Every name below *directory* of the mounted guest, relative to it; bytes, for they need not be UTF-8."""


class ApplianceDriver(Protocol):
    """libguestfs."""

    def launch(
        self,
        disks: Sequence[ApplianceDisk],
        *,
        access: DiskAccess,
        runtime_dir: Path,
        deadline: Deadline,
        emit: Emit,
    ) -> AbstractAsyncContextManager[Appliance]:
        """Starts an appliance with *disks*; *deadline* bounds all that is done in it.

        When the context ends well, everything is written and the appliance is shut down; else it is killed.
        Raises: HostError (with the command that mends it) when no appliance comes up here, DeadlineExpired.
        """
