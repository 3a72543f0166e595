"""Starts QEMU and sees to its certain end.

The machine starts paused and is subscribed to before anything runs. Inside ``start`` QEMU's unasked death cancels
whatever waits, and leaves the context as ``MachineDied`` with QEMU's own words; when the context ends, in whatever way,
QEMU has ended too.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from factory.drivers import swtpm
from factory.drivers.machine_spec import MachineSpec
from factory.drivers.process import spawn
from factory.drivers.qemu.arguments import (
    OBSERVER_SOCKET,
    QMP_SOCKET,
    SERIAL_SOCKET,
    VNC_SOCKET,
    Channels,
    arguments,
)
from factory.drivers.qemu.machine import QemuMachine
from factory.drivers.qemu.serial import SerialLine
from factory.drivers.qemu.serial_events import SerialEvents
from factory.errors import HostError, MachineDied, StepError, StoreError
from factory.events import Emit, MachineStarted, Note
from factory.log_files import mask_logs, open_log
from factory.secret import Redactor

_LONGEST_SOCKET_PATH = 107  # bytes: sun_path without its NUL, unix(7)
_OURS_ALONE = 0o077
"""QEMU's umask: its pictures and its log of the serial line show what nobody else is to see."""


class QemuDriver:
    """Implements ``protocols.MachineDriver``. *redactor* masks the machine's logs when it has ended."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()

    def start(
        self, spec: MachineSpec, *, runtime_dir: Path, log_dir: Path, emit: Emit
    ) -> AbstractAsyncContextManager[QemuMachine]:
        """See ``protocols.MachineDriver``. ``log_dir/qemu.argv`` holds the command line for pasting,
        with secrets masked.

        Raises: HostError when *runtime_dir* is too long for a socket or there is no QEMU.
        """
        return _running(spec, runtime_dir=runtime_dir, log_dir=log_dir, redactor=self._redactor, emit=emit)

    def start_tpm(
        self, state_dir: Path, *, runtime_dir: Path, version: str, emit: Emit
    ) -> AbstractAsyncContextManager[Path]:
        return swtpm.start(state_dir, runtime_dir=runtime_dir, version=version, emit=emit)


@asynccontextmanager
async def _running(
    spec: MachineSpec, *, runtime_dir: Path, log_dir: Path, redactor: Redactor, emit: Emit
) -> AsyncIterator[QemuMachine]:
    _prepare(runtime_dir, log_dir)
    if spec.serial_log is None:
        spec = replace(spec, serial_log=log_dir / "serial.log")
    failure: BaseException | None = None
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_mask_logs, log_dir, redactor, emit)
        machine, qmp = await _launch(stack, spec, runtime_dir, log_dir, redactor, emit)
        stack.callback(machine.tell_end)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(machine.watch())
                group.create_task(machine.watch_disks())
                try:
                    await machine.connect(qmp)
                    yield machine
                except asyncio.CancelledError:
                    raise  # by QEMU's death (the group turns it into that) or by the user
                except BaseException as error:
                    failure = error  # the group would wrap it
                finally:
                    await machine.quit()
        except BaseExceptionGroup as errors:
            died, others = errors.split((MachineDied, StoreError))
            if died is None or others is not None:
                raise
            if not isinstance(failure, (MachineDied, StoreError)):
                raise died.exceptions[0] from failure
    if failure is not None:
        raise failure


async def _launch(
    stack: AsyncExitStack, spec: MachineSpec, runtime_dir: Path, log_dir: Path, redactor: Redactor, emit: Emit
) -> tuple[QemuMachine, socket.socket]:
    qmp, qmp_of_qemu = socket.socketpair()
    line, line_of_qemu = socket.socketpair()
    stack.callback(qmp.close)
    observer = listening(runtime_dir / OBSERVER_SOCKET)
    with (
        qmp_of_qemu,
        line_of_qemu,
        observer,
        spec.incoming.open("rb", buffering=0) if spec.incoming else nullcontext() as memory,
    ):  # ours are closed once QEMU has its own: then its end is an end of file here
        serial = SerialLine(line)
        told = SerialEvents(emit)
        serial.subscribe(told.feed)
        stack.callback(told.close)
        stack.callback(serial.close)
        try:
            channels = Channels(
                qmp_of_qemu.fileno(), line_of_qemu.fileno(), observer.fileno(), memory.fileno() if memory else None
            )
            argv = arguments(spec, runtime_dir=runtime_dir, channels=channels)
            pasteable = arguments(spec, runtime_dir=runtime_dir)
        except ValueError as error:
            raise StepError(f"the machine {spec.name!r} can't be built: {error}") from error
        _write_argv(log_dir / "qemu.argv", redactor(shlex.join(pasteable)))
        process = await stack.enter_async_context(
            spawn(argv, emit=emit, log=log_dir / "qemu.log", pass_fds=channels.descriptors, umask=_OURS_ALONE)
        )
    emit(MachineStarted(log_dir.name, process.pid, spec.accelerator, shlex.join(pasteable)))
    await serial.offer(runtime_dir / SERIAL_SOCKET)
    return QemuMachine(spec, process, serial, runtime_dir=runtime_dir, log_dir=log_dir, emit=emit), qmp


def _prepare(runtime_dir: Path, log_dir: Path) -> None:
    runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_dir.mkdir(parents=True, exist_ok=True)
    sockets = (SERIAL_SOCKET, VNC_SOCKET, QMP_SOCKET, OBSERVER_SOCKET)
    longest = max(sockets, key=len)
    if len(os.fsencode(runtime_dir / longest)) > _LONGEST_SOCKET_PATH:
        raise HostError(
            f"{runtime_dir} is too long a name for a folder of sockets",
            hint="set XDG_RUNTIME_DIR or TMPDIR to a shorter one",
        )
    for name in sockets:
        (runtime_dir / name).unlink(missing_ok=True)  # of a machine that was killed


def _write_argv(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # of the machine before
    with open_log(path) as stream:
        stream.write(f"{text}\n".encode("utf-8", "surrogateescape"))


async def _mask_logs(log_dir: Path, redactor: Redactor, emit: Emit) -> None:
    """In a thread: a log may be long, and other builds go on."""
    for path in await asyncio.to_thread(mask_logs, log_dir, redactor):
        emit(Note(f"{path} held a secret and could not be masked: it is removed", "warning"))


def listening(path: Path) -> socket.socket:
    """A unix socket at *path* that only its owner may connect to."""
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(str(path))
        path.chmod(0o600)  # nobody can connect before `listen`
        server.listen()
    except BaseException:
        server.close()
        raise
    return server
