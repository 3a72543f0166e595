"""CDs, floppies, downloads, programs and folders of this host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.deadline import Deadline
from factory.drivers.iso_view import IsoView
from factory.drivers.protocols.guest import OnLine
from factory.events import Emit


class MediaMaker(Protocol):
    """CDs and floppies, written and read (``drivers/iso``, ``drivers/floppy``)."""

    async def make_cd(self, path: Path, label: str, files: Mapping[str, bytes | Path]) -> None: ...

    async def make_floppy(self, path: Path, label: str, files: Mapping[str, bytes | Path]) -> None:
        """Raises: StepError when the files don't fit 1.44 MB."""

    async def view(self, iso: Path) -> IsoView:
        """The ISO's table of contents, and what tells its family. Raises: StepError when it is no whole ISO."""

    async def extract(self, iso: Path, files: Mapping[str, Path]) -> None:
        """Copies files out of *iso*: destinations by their names in it. Raises: StepError."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program on the host ended; texts are tails."""

    exit_status: int
    stdout: str
    stderr: str


class Programs(Protocol):
    """Programs on this host (``drivers/process``)."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        deadline: Deadline,
        emit: Emit,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        on_line: OnLine | None = None,
    ) -> ProgramResult:
        """Runs a program to its end. Raises: CommandFailed, DeadlineExpired, HostError when it is not installed."""


class Downloader(Protocol):
    """Media from elsewhere (``drivers/download``)."""

    async def fetch(self, urls: Sequence[str], checksum: str, *, emit: Emit) -> tuple[Path, str]:
        """Brings the file here, once, and checks it. Returns its path and its SHA-256 in hex.

        Raises: StepError; never returns a file whose checksum is wrong.
        """

    async def local(self, path: Path, checksum: str, *, emit: Emit) -> tuple[Path, str]:
        """Checks a file that is here already. Returns the same."""

    async def identity(self, urls: Sequence[str], checksum: str) -> str:
        """What names the content before it is here: its checksum (``file:`` resolved, from memory when offline)."""


class FolderGuard(Protocol):
    """Sees to it that a folder does not outlive the factory (``drivers/process.gone_with_us``)."""

    def __call__(self, folder: Path) -> AbstractContextManager[None]:
        """For as long as the context lasts, *folder* is removed when the factory is killed, however that happens."""
        ...
