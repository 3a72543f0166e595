"""A running QEMU: what it is asked, what it tells, and how it ends. ``driver`` starts it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from factory.deadline import Deadline, poll
from factory.drivers.full_disk import no_space_left
from factory.drivers.machine_spec import MachineSpec
from factory.drivers.process import Patience, Process
from factory.drivers.protocols import ShutdownReason
from factory.drivers.qemu.arguments import (
    OBSERVER_SOCKET,
    SERIAL_SOCKET,
    VNC_SOCKET,
)
from factory.drivers.qemu.last_words import last_complaint, refuses_memory, what_to_try
from factory.drivers.qemu.qmp import ConnectionLost, QmpConnection
from factory.drivers.qemu.serial import SerialLine
from factory.drivers.qemu.silence import is_stopped, silent
from factory.errors import DeadlineExpired, Evidence, MachineDied, MemoryRefused, StepError
from factory.events import Emit, MachineEnded, Note, QmpEvent
from factory.quantity import Duration, Size

START_PATIENCE = Duration(120)
"""For QEMU to answer on its control channel: it opens all images first, and the host may be loaded."""
QUIT_PATIENCE = Duration(10)
_LAST_WORDS = Duration(5)
_EVIDENCE_TAIL = Size(16 * 1024)
_GUEST_ENDED = frozenset({ShutdownReason.GUEST_RESET, ShutdownReason.GUEST_SHUTDOWN, ShutdownReason.GUEST_PANIC})
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)")
"""A forward that is reached on the loopback device: others are the user's own."""


class QemuMachine:
    """Implements ``protocols.Machine``."""

    def __init__(
        self, spec: MachineSpec, process: Process, serial: SerialLine, *, runtime_dir: Path, log_dir: Path, emit: Emit
    ) -> None:
        self._spec, self._process, self._serial, self._emit = spec, process, serial, emit
        self._runtime_dir, self._log_dir = runtime_dir, log_dir
        self._qmp = QmpConnection(spec.name, self._on_event)
        self._subscribers: list[Callable[[str, Mapping[str, Any]], None]] = []
        self._stopped = asyncio.Event()
        self._reason: ShutdownReason | None = None
        self._up = False
        self._quitting = False
        self._disk_full = False
        self._disks_end = asyncio.Event()

    @property
    def spec(self) -> MachineSpec:
        return self._spec

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def argv(self) -> tuple[str, ...]:
        return self._process.argv

    @property
    def shutdown_reason(self) -> ShutdownReason | None:
        """Why the guest stopped, or None while it runs (or has not run yet)."""
        return self._reason

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        try:
            return await self._qmp.execute(command, arguments)
        except ConnectionLost as error:
            raise await self._death() from error
        except DeadlineExpired as error:
            raise silent(self.pid, asked=error.message, evidence=self.evidence()) from error

    async def send_file(self, name: str, descriptor: int) -> None:
        """Hands an open file to QEMU, to be used as ``fd:name``. Raises: as ``execute``."""
        try:
            await self._qmp.send_file(name, descriptor)
        except ConnectionLost as error:
            raise await self._death() from error

    async def resume(self) -> None:
        self._stopped.clear()
        self._reason = None
        if self._spec.incoming:
            # A guest that was stopped when its memory was written stays stopped: an earlier `cont` would be lost.
            deadline = Deadline.after(START_PATIENCE, "the guest's memory to be read")
            await poll(self._memory_is_read, deadline, every=Duration(0.01))
        await self.execute("cont")

    async def _memory_is_read(self) -> bool | None:
        status = await self.execute("query-status")
        return True if status["status"] != "inmigrate" else None

    async def wait_for_shutdown(self, deadline: Deadline) -> ShutdownReason:
        try:
            async with deadline.limit():
                await self._stopped.wait()
        except DeadlineExpired:
            raise deadline.error(evidence=self.evidence()) from None
        if self._reason is None:
            raise await self._death()
        return self._reason

    async def forwarded_port(self, guest_port: int) -> int:
        text = await self.execute("human-monitor-command", {"command-line": "info usernet"})
        for host, guest in _FORWARD.findall(str(text)):
            if int(guest) == guest_port:
                return int(host)
        raise StepError(
            f"no port of this computer leads to the guest's port {guest_port}",
            hint="the machine's network card has no such forward",
        )

    async def screenshot(self, path: Path) -> None:
        if is_stopped(self.pid):
            raise silent(self.pid)  # whoever explains a failure by it must not wait for it
        # Absolute, for QEMU's folder need not be ours; renamed, so that nobody sees half a picture.
        picture = path.absolute().with_name(f".{path.name}.part")
        try:
            await self.execute("screendump", {"filename": str(picture), "format": "png"})
        except StepError as error:
            if "PNG" not in str(error) and "format" not in str(error):
                raise
            # Before 7.1, or built without libpng.
            await self.execute("screendump", {"filename": str(picture)})
            await asyncio.to_thread(_to_png, picture)
        os.replace(picture, path)

    def serial_text(self, limit: Size = Size(64 * 1024)) -> str:
        return self._serial.text(limit)

    async def write_serial(self, text: str) -> None:
        await self._serial.write(text.encode())

    def subscribe(self, callback: Callable[[str, Mapping[str, Any]], None]) -> Callable[[], None]:
        self._subscribers.append(callback)

        def stop() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return stop

    async def power_button(self) -> None:
        await self.execute("system_powerdown")

    async def quit(self) -> None:
        self._quitting = True
        self._disks_end.set()
        if self._process.exit_status is None:
            self._process.send_signal(signal.SIGCONT)  # somebody may have stopped it
            # QEMU hangs up without an answer when it is quick; a machine that is beyond answering gets signals.
            with suppress(ConnectionLost, StepError):
                await self._qmp.execute("quit", patience=QUIT_PATIENCE)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), float(QUIT_PATIENCE))
        # QEMU takes INT for a request to quit as well, which it has just not heard.
        await self._process.terminate(Patience(interrupt=Duration(0), terminate=Duration(3)))
        await self._qmp.close()

    async def attachments(self) -> Mapping[str, str]:
        names = {"serial": SERIAL_SOCKET, "vnc": VNC_SOCKET, "observer": OBSERVER_SOCKET}
        places = {name: self._runtime_dir / file for name, file in names.items()}
        return {name: str(path) for name, path in places.items() if path.is_socket()}

    def evidence(self) -> Evidence:
        """What QEMU said and what the guest wrote last."""
        return Evidence(
            argv=self.argv,
            exit_status=self._process.exit_status,
            stderr=self._process.stderr,
            serial=self.serial_text(_EVIDENCE_TAIL),
            files=tuple(path for path in (self._log_dir / "qemu.log", self._spec.serial_log) if path is not None),
        )

    def tell_end(self) -> None:
        """Emits how QEMU ended; to be called once it has."""
        status = self._process.exit_status
        stderr = self._process.stderr[-int(_EVIDENCE_TAIL) :]
        self._emit(MachineEnded(self._log_dir.name, self.pid, status if status is not None else 0, stderr))

    async def connect(self, connected: socket.socket) -> None:
        """Begins to talk to QEMU over its control channel. Raises: MachineDied, DeadlineExpired."""
        deadline = Deadline.after(START_PATIENCE, "QEMU to come up")
        try:
            await self._qmp.connect(connected, deadline)
        except ConnectionLost as error:
            raise await self._death() from error
        self._up = True
        with suppress(FileNotFoundError):  # QEMU's own umask made it; the others are bound by us
            (self._runtime_dir / VNC_SOCKET).chmod(0o600)

    async def watch(self) -> None:
        """Returns when QEMU has ended as it should. Raises: MachineDied."""
        status = await self._process.wait()
        # What it said before it ended may still be on its way to us, and may be the reason.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._qmp.wait_until_lost(), float(_LAST_WORDS))
        if self._quitting or (status == 0 and self._reason in _GUEST_ENDED):
            self._stopped.set()
            return
        self._stopped.set()
        raise await self._death()

    async def watch_disks(self) -> None:
        """Returns when the machine quits. Raises: StoreError when the guest stands still because a disk is full."""
        await self._disks_end.wait()
        if self._disk_full:
            disk = self._spec.disks[0].path if self._spec.disks else self._log_dir
            raise no_space_left(disk.parent, "the guest's disk can't grow", self.evidence())

    async def _death(self) -> MachineDied:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), float(_LAST_WORDS))
        status = self._process.exit_status
        what = "ended by itself" if self._up else "did not come up"
        what = f"{what} (status {status})" if status is not None else "hung up, but has not ended"
        # A QEMU that was killed (a negative status) says nothing about the file.
        refused = self._spec.incoming is not None and (status or 0) > 0 and refuses_memory(self._process.stderr)
        return (MemoryRefused if refused else MachineDied)(
            f"QEMU {what}: {last_complaint(self._process.stderr)}",
            hint=what_to_try(self._process.stderr),
            evidence=self.evidence(),
        )

    def _on_event(self, name: str, data: Mapping[str, Any]) -> None:
        self._emit(QmpEvent(name, json.dumps(data, sort_keys=True)))
        if name == "SHUTDOWN":
            reason = str(data.get("reason", ""))
            known = reason in ShutdownReason._value2member_map_
            self._stop(ShutdownReason(reason) if known else ShutdownReason.OTHER)
        elif name == "GUEST_PANICKED":
            self._stop(ShutdownReason.GUEST_PANIC)
        elif name == "BLOCK_IO_ERROR" and data.get("nospace") and data.get("action") == "stop":
            # QEMU has stopped the guest and would wait for ever (its `werror=enospc`).
            self._disk_full = True
            self._disks_end.set()
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(name, data)
            except Exception as error:  # the others, and the connection, must go on
                self._subscribers.remove(subscriber)
                self._emit(Note(f"a subscriber of QEMU's events failed at {name}: {error!r}", "warning"))

    def _stop(self, reason: ShutdownReason) -> None:
        if self._reason is None:  # the first one says why; what follows is the aftermath
            self._reason = reason
        self._stopped.set()


def _to_png(picture: Path) -> None:
    from PIL import Image

    with Image.open(picture) as image:
        image.save(picture, format="PNG")
