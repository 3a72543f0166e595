"""A running QEMU, and keeping its memory."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from factory.deadline import Deadline
from factory.drivers.machine_spec import MachineSpec
from factory.events import Emit
from factory.quantity import Size


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

        Raises: MachineDied when QEMU is gone; MachineSilent when it does not answer; StepError with QEMU's words when
        it refuses.
        """


class Machine(Qmp, Protocol):
    """A running QEMU. Made by ``MachineDriver.start`` and gone when that context ends."""

    @property
    def spec(self) -> MachineSpec: ...

    @property
    def pid(self) -> int: ...

    @property
    def argv(self) -> tuple[str, ...]: ...

    async def send_file(self, name: str, descriptor: int) -> None:
        """Hands an open file to QEMU, to be used once as ``fd:name``. Raises: as ``execute``."""

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
        """How a person can look: 'vnc', 'serial' and 'observer' (QMP, one visitor at a time) → socket paths."""


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


class Checkpoints(Protocol):
    async def save(
        self, machine: Machine, *, memory: Path, overlays: Mapping[str, Path], while_paused: Callable[[], None],
        variables: Path | None = None,
    ) -> float:  # fmt: skip
        """Writes the running machine's memory to *memory* and, at the same instant, puts each disk on its overlay.

        ``overlays`` maps a disk's id to a prepared qcow2 whose backing name leads to the disk's current file.
        *while_paused* is called (in a thread) while the guest stands still, to copy firmware variables and the like;
        the firmware goes on in *variables*, which is one of these copies.
        The guest runs on afterwards. Returns the seconds for which it stood still. Raises: StepError, MachineDied.
        """

    def fingerprint(self, spec: MachineSpec) -> Mapping[str, str]:
        """What a memory file is bound to: QEMU version, machine type, CPU model and count, devices."""
