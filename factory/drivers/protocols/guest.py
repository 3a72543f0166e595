"""The way into a guest: SSH or WinRM."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.deadline import Deadline
from factory.events import Emit
from factory.secret import Secret


class ConnectState(enum.StrEnum):
    """How far a connection to the guest got; the last one reached names what is wrong."""

    REFUSED = "refused"  # nothing listens, or the guest's network is down
    NO_BANNER = "no-banner"  # accepted (by QEMU), but no SSH server spoke
    KEY_EXCHANGE = "key-exchange"  # a server spoke, but no common algorithms
    AUTHENTICATION = "authentication"  # our key or password was refused
    INSTALLER = "installer"  # the installer's own sshd answered
    CONNECTED = "connected"


class Guest(enum.Enum):
    """What is known of a guest before it is called."""

    STARTED = "started"  # it may be booting still, and it may be an installer
    RESUMED = "resumed"  # it had let us in before its memory was stored: it is there at once


@dataclass(frozen=True, slots=True)
class GuestAddress:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """``certificate`` belongs to ``private_key``; ``agent`` is the socket of an agent whose keys are offered, too."""

    user: str
    password: Secret[str] | None = None
    private_key: Path | None = None
    certificate: Path | None = None
    agent: Path | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    exit_status: int
    stdout: str
    stderr: str


OnLine = Callable[[str, str], None]
"""``(stream, line)``: called for each line of output, "stdout" or "stderr", without its newline."""


class GuestConnection(Protocol):
    """A shell and a way to carry files, in the guest."""

    async def run(
        self, command: str, *, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
    ) -> CommandResult:
        """Runs *command* in the user's shell. ``stdout``/``stderr`` are bounded tails (64 KiB).

        Raises: GuestUnreachable when the connection breaks, DeadlineExpired.
        """

    async def run_given(self, command: str, *, deadline: Deadline, on_line: OnLine | None = None) -> CommandResult:
        """Runs a command of the template's: as ``run``, but on a terminal where the template asks for one.

        What is ours goes through ``run``: a terminal changes bytes on their way in and out.
        """

    async def upload(
        self,
        source: Path | bytes,
        destination: str,
        *,
        mode: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Writes a file in the guest (whole or not at all: a temporary name and a rename where the guest can)."""

    async def upload_tree(self, source: Path, destination: str) -> None:
        """Writes a folder's content below *destination*."""

    async def download(self, source: str, destination: Path) -> None: ...

    async def remove(self, paths: Sequence[str], *, deadline: Deadline) -> None:
        """Removes files of the connection's user; what is not there, or can't be removed, stays without a word."""

    async def boot_id(self) -> str:
        """A value that differs after each boot."""

    async def close(self) -> None: ...

    @property
    def address(self) -> GuestAddress: ...

    @property
    def credentials(self) -> Credentials: ...


class Communicator(Protocol):
    def connect(
        self, address: GuestAddress, credentials: Credentials, *, deadline: Deadline, emit: Emit,
        guest: Guest = Guest.STARTED,
    ) -> AbstractAsyncContextManager[GuestConnection]:  # fmt: skip
        """Tries until it works or *deadline* passes; each try is a ``ConnectAttempt`` event.

        Raises: GuestUnreachable that tells the last ``ConnectState`` and what to do about it.
        """


class KeyMaker(Protocol):
    def __call__(self, comment: str) -> tuple[bytes, str]:
        """A new ed25519 key: the private half (OpenSSH PEM) and the public line, ending in *comment*."""


class SshProbe(Protocol):
    async def __call__(self, address: GuestAddress, *, deadline: Deadline, emit: Emit) -> str:
        """Waits until an SSH server speaks there and returns its banner. Raises: GuestUnreachable."""
