"""The seams: what steps ask of drivers. Concrete drivers are chosen in ``cli/compose.py`` only.

All blocking work happens in threads or child processes behind these async calls. A ``deadline`` is a
``factory.deadline.Deadline``: named, so that its expiry can say what was waited for.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from factory.deadline import Deadline
from factory.drivers.iso_view import IsoView
from factory.drivers.machine_spec import MachineSpec
from factory.errors import StepError
from factory.events import Emit
from factory.quantity import Duration, Size
from factory.secret import Secret


class ShutdownReason(enum.StrEnum):
    """Why a machine stopped, in QEMU's own words (QAPI ``ShutdownCause``)."""

    GUEST_RESET = "guest-reset"
    GUEST_SHUTDOWN = "guest-shutdown"
    GUEST_PANIC = "guest-panic"
    HOST_QUIT = "host-qmp-quit"
    HOST_SIGNAL = "host-signal"
    OTHER = "other"


@runtime_checkable
class Qmp(Protocol):
    """QEMU's control channel."""

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Runs one QMP command and returns its value.

        Raises: MachineDied when QEMU is gone; StepError with QEMU's words when it refuses.
        """


class Machine(Qmp, Protocol):
    """A running QEMU. Made by ``MachineDriver.start`` and gone when that context ends."""

    @property
    def spec(self) -> MachineSpec: ...

    @property
    def pid(self) -> int: ...

    @property
    def argv(self) -> tuple[str, ...]: ...

    async def resume(self) -> None:
        """QMP ``cont``: lets the guest run. A machine starts paused."""

    async def wait_for_shutdown(self, deadline: Deadline) -> ShutdownReason:
        """Waits until the guest has reset, powered off or panicked.

        Raises: MachineDied (with stderr and serial tail), DeadlineExpired.
        """

    async def forwarded_port(self, guest_port: int) -> int:
        """The port on 127.0.0.1 that leads to *guest_port*."""

    async def screenshot(self, path: Path) -> None:
        """Writes a PNG of the first display."""

    def serial_text(self, limit: Size = Size(64 * 1024)) -> str:
        """The tail of what the guest wrote to its first serial line."""

    async def write_serial(self, text: str) -> None:
        """Types on the first serial line."""

    def subscribe(self, callback: Callable[[str, Mapping[str, Any]], None]) -> Callable[[], None]:
        """Calls *callback(name, data)* for each QMP event; returns how to stop it."""

    async def power_button(self) -> None:
        """ACPI power button."""

    async def quit(self) -> None:
        """Ends QEMU: QMP ``quit``, then TERM, then KILL. Does nothing when it is gone already."""

    async def attachments(self) -> Mapping[str, str]:
        """How a person can look: 'vnc' and 'serial' → socket paths."""


class MachineDriver(Protocol):
    def start(
        self, spec: MachineSpec, *, runtime_dir: Path, log_dir: Path, emit: Emit
    ) -> AbstractAsyncContextManager[Machine]:
        """Starts QEMU paused, with QMP connected and events subscribed; ends it when the context ends.

        ``runtime_dir`` takes sockets (short path), ``log_dir`` takes ``qemu.log`` and ``serial.log``.
        Raises: MachineDied with QEMU's own words when it does not come up.
        """

    def start_tpm(
        self, state_dir: Path, *, runtime_dir: Path, version: str, emit: Emit
    ) -> AbstractAsyncContextManager[Path]:
        """Runs swtpm on *state_dir* and yields its socket."""


class ConnectState(enum.StrEnum):
    """How far a connection to the guest got; the last one reached names what is wrong."""

    REFUSED = "refused"  # nothing listens, or the guest's network is down
    NO_BANNER = "no-banner"  # accepted (by QEMU), but no SSH server spoke
    KEY_EXCHANGE = "key-exchange"  # a server spoke, but no common algorithms
    AUTHENTICATION = "authentication"  # our key or password was refused
    INSTALLER = "installer"  # the installer's own sshd answered
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class GuestAddress:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: Secret[str] | None = None
    private_key: Path | None = None


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

    async def boot_id(self) -> str:
        """A value that differs after each boot."""

    async def close(self) -> None: ...

    @property
    def address(self) -> GuestAddress: ...

    @property
    def credentials(self) -> Credentials: ...


class Communicator(Protocol):
    def connect(
        self, address: GuestAddress, credentials: Credentials, *, deadline: Deadline, emit: Emit
    ) -> AbstractAsyncContextManager[GuestConnection]:
        """Tries until it works or *deadline* passes; each try is a ``ConnectAttempt`` event.

        Raises: GuestUnreachable that tells the last ``ConnectState`` and what to do about it.
        """


class SeedSource(Protocol):
    """The answer files of one build, by name."""

    def names(self) -> Sequence[str]: ...

    def read(self, name: str) -> bytes | Path | None:
        """The content of *name* (rendered text as bytes, or a raw file's path), None when there is no such file.

        Raises: SeedError when it can't be rendered.
        """


class SeedEndpoint(Protocol):
    """A running seed server."""

    @property
    def port(self) -> int: ...

    @property
    def token(self) -> str:
        """One-time path component: ``http://10.0.2.2:<port>/<token>/<name>``."""

    async def wait_for_request(self, name: str, deadline: Deadline) -> None:
        """Waits until *name* has been fetched whole (status 200). Raises: DeadlineExpired, SeedError."""


class SeedServer(Protocol):
    def serve(self, source: SeedSource, *, emit: Emit) -> AbstractAsyncContextManager[SeedEndpoint]:
        """Listens on 127.0.0.1, on a port of the kernel's choice, until the context ends."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """``qemu-img info``: sizes in bytes."""

    format: str
    virtual_size: Size
    actual_size: Size
    backing_file: str = ""


class DiskImages(Protocol):
    """qemu-img."""

    async def create(
        self,
        path: Path,
        *,
        size: Size | None,
        format: str = "qcow2",
        backing: str = "",
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Makes an empty image. ``backing`` is written as it is (may be relative to *path*) and must be qcow2."""

    async def info(self, path: Path, *, format: str = "") -> ImageInfo: ...

    async def convert(
        self,
        source: Path,
        destination: Path,
        *,
        source_format: str,
        format: str,
        options: Sequence[str] = (),
        compress: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None: ...

    async def check(self, path: Path, *, format: str) -> None:
        """Raises: CommandFailed when the image is damaged."""

    async def compare(self, first: Path, first_format: str, second: Path, second_format: str) -> bool:
        """True when a guest would read the same bytes from both."""

    async def resize(self, path: Path, size: Size, *, format: str = "qcow2") -> None: ...

    async def rebase(self, path: Path, backing: str) -> None:
        """Rewrites the name of the backing file without looking at contents."""

    async def map_extents(self, path: Path, *, format: str) -> Sequence[tuple[int, int]]:
        """``(offset, length)`` in bytes of everything that holds data."""


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


class Checkpoints(Protocol):
    async def save(
        self, machine: Machine, *, memory: Path, overlays: Mapping[str, Path], while_paused: Callable[[], None]
    ) -> float:
        """Writes the running machine's memory to *memory* and, at the same instant, puts each disk on its overlay.

        ``overlays`` maps a disk's id to a prepared qcow2 whose backing name leads to the disk's current file.
        *while_paused* is called (in a thread) while the guest stands still, to copy firmware variables and the like.
        The guest runs on afterwards. Returns the seconds for which it stood still. Raises: StepError, MachineDied.
        """

    def fingerprint(self, machine: Machine) -> Mapping[str, str]:
        """What a memory file is bound to: QEMU version, machine type, CPU model, firmware."""


class KeyMaker(Protocol):
    def __call__(self, comment: str) -> tuple[bytes, str]:
        """A new ed25519 key: the private half (OpenSSH PEM) and the public line, ending in *comment*."""


class ScreenReader(Protocol):
    """The senses (``drivers/screen``)."""

    async def read_text(self, machine: Machine) -> str:
        """What a person would read on the machine's screen now; empty when nothing can be read."""

    async def wait_for_text(self, machine: Machine, pattern: re.Pattern[str], deadline: Deadline) -> str:
        """Waits until the screen shows *pattern* and returns the screen. Raises: DeadlineExpired with what it saw."""

    async def wait_for_serial(self, machine: Machine, pattern: re.Pattern[str], deadline: Deadline) -> str:
        """Waits until the serial line has said *pattern* since the last such wait matched. Raises: DeadlineExpired."""

    async def wait_still(self, machine: Machine, still: Duration, deadline: Deadline) -> None:
        """Waits until nothing has changed on the screen for *still*. Raises: DeadlineExpired."""


class BootWaits(Protocol):
    """The waits that a boot command may contain."""

    async def wait(self, duration: Duration) -> None: ...

    async def wait_text(self, pattern: re.Pattern[str], budget: Duration) -> None: ...

    async def wait_serial(self, pattern: re.Pattern[str], budget: Duration) -> None: ...

    async def wait_still(self, still: Duration, budget: Duration) -> None: ...

    async def wait_seed(self, path: str, budget: Duration) -> None: ...


@dataclass(frozen=True, slots=True)
class TypingReport:
    """How typing went: characters typed, of these read back and right, of these typed again; seconds in all."""

    characters: int
    verified: int
    retyped: int
    duration: Duration
    warnings: tuple[str, ...] = ()


class Typist(Protocol):
    """Hands (``drivers/keyboard``)."""

    async def type(
        self, machine: Machine, command: str, *, dialect: str, layout: str, waits: BootWaits, emit: Emit
    ) -> TypingReport:
        """Types a boot command whose late names are filled in. ``dialect`` is "factory" or "packer".

        Raises: TemplateError, UnexpectedScreen, DeadlineExpired, MachineDied.
        """


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


class SshProbe(Protocol):
    async def __call__(self, address: GuestAddress, *, deadline: Deadline, emit: Emit) -> str:
        """Waits until an SSH server speaks there and returns its banner. Raises: GuestUnreachable."""
