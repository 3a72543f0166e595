"""libguestfs as an async driver: one appliance per context, in a child process that can be killed at any moment."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers import process
from factory.drivers.guestfs import environment
from factory.drivers.guestfs.environment import ApplianceSettings
from factory.drivers.protocols import ApplianceCall, ApplianceCallFailed, ApplianceDisk, DiskAccess
from factory.errors import Evidence, StepError
from factory.events import Emit, Note, Progress
from factory.quantity import Duration

_CHILD = Path(__file__).with_name("child.py")
_AT_ONCE = process.Patience(Duration(0), Duration(0))
_LOG_TAIL = 64 * 1024


class GuestfsAppliance:
    """The parent's side of a running appliance: ``protocols.Appliance``."""

    def __init__(self, deadline: Deadline, scratch: Path, emit: Emit) -> None:
        self._deadline, self._scratch, self._emit = deadline, scratch, emit
        self._process: process.Process | None = None
        self._answers: dict[int, asyncio.Future[list[dict[str, Any]]]] = {}
        self._last = 0

    @property
    def scratch(self) -> Path:
        return self._scratch

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return (await self.batch([(method, *arguments, options)]))[0]

    async def batch(self, calls: Sequence[ApplianceCall]) -> list[Any]:
        values = await self._send(calls, keep_going=False)
        if values and isinstance(values[-1], ApplianceCallFailed):
            raise values[-1]
        return values

    async def attempt(self, calls: Sequence[ApplianceCall]) -> list[Any]:
        return await self._send(calls, keep_going=True)

    async def paths(self, directory: str) -> list[bytes]:
        listing: bytes = await self.call("child_paths", directory, self._scratch / "paths")
        return [name for name in listing.split(b"\0") if name]

    def on_line(self, line: str) -> None:
        """One line of the child's standard output."""
        message = json.loads(line)
        if message.get("event") == "progress":
            self._emit(Progress(f"guestfs: {message['method']}", message["position"], message["total"], "B"))
            return
        waiting = self._answers.pop(message["id"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message["results"])

    def attach(self, child: process.Process) -> None:
        self._process = child

    def ended(self, status: int) -> None:
        """The child is gone: whoever waits is told."""
        evidence = self._process.evidence() if self._process is not None else Evidence()
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(
                    StepError(
                        f"libguestfs ended in the middle of its work (exit status {status})",
                        hint="look for an out-of-memory kill in `dmesg`, then build again",
                        evidence=evidence,
                    )
                )
        self._answers.clear()

    async def _send(self, calls: Sequence[ApplianceCall], *, keep_going: bool) -> list[Any]:
        if not calls:
            return []
        if self._process is None or self._process.exit_status is not None:
            raise StepError("libguestfs has ended already", hint="build again; its own words are in the evidence")
        self._last += 1
        request = {"id": self._last, "keep_going": keep_going, "calls": [_request(c) for c in calls]}
        answer: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self._answers[self._last] = answer
        async with self._deadline.limit():
            with suppress(BrokenPipeError):  # it is dying: `ended` answers, with its exit status
                await self._process.write(json.dumps(request).encode() + b"\n")
            results = await answer
        return [_value(call, result) for call, result in zip(calls, results, strict=False)]


def _request(call: ApplianceCall) -> list[Any]:
    method, *arguments = call
    options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    return [method, [_encode(a) for a in arguments], {k: _encode(v) for k, v in options.items()}]


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_encode(v) for v in value]
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["$bytes"]) if "$bytes" in value else {k: _decode(v) for k, v in value.items()}
    return [_decode(v) for v in value] if isinstance(value, list) else value


def _value(call: ApplianceCall, result: dict[str, Any]) -> Any:
    if "error" not in result:
        return _decode(result["value"])
    shown = " ".join([str(call[0]), *(str(a)[:200] for a in call[1:] if isinstance(a, (str, int, Path)))])
    return ApplianceCallFailed(f"libguestfs: {shown}: {result['error']}")


class GuestfsDriver:
    """``protocols.ApplianceDriver``, on this host as *settings* say."""

    def __init__(self, settings: ApplianceSettings) -> None:
        self._settings = settings

    @asynccontextmanager
    async def launch(
        self,
        disks: Sequence[ApplianceDisk],
        *,
        access: DiskAccess,
        runtime_dir: Path,
        deadline: Deadline,
        emit: Emit,
    ) -> AsyncIterator[GuestfsAppliance]:
        scratch = _folders(self._settings.cache_dir, runtime_dir)
        started = time.time() - 1  # file times are coarser than the clock
        appliance = GuestfsAppliance(deadline, scratch, emit)
        failure: BaseException | None = None
        try:
            async with (
                process.spawn(
                    [str(self._settings.interpreter), str(_CHILD)],
                    emit=emit,
                    env=self._settings.environment(scratch),
                    stdin=process.Stdin.PIPE,
                    on_stdout_line=appliance.on_line,
                    patience=_AT_ONCE,
                ) as child,
                asyncio.TaskGroup() as group,
            ):
                appliance.attach(child)
                watcher = group.create_task(_watch(child, appliance))
                try:
                    await self._start(appliance, disks, access, scratch / "appliance.log", emit)
                    yield appliance
                    await appliance.batch([("umount_all",), ("shutdown",)])
                    child.close_stdin()
                    await deadline.bound(child.wait())
                except BaseException as error:
                    failure = error  # raised below: a task group would wrap it
                finally:
                    watcher.cancel()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            environment.remove_dead_sockets(started)
        if failure is not None:
            raise failure

    async def _start(
        self,
        appliance: GuestfsAppliance,
        disks: Sequence[ApplianceDisk],
        access: DiskAccess,
        log: Path,
        emit: Emit,
    ) -> None:
        prepare = self._prepare(disks, access)
        try:
            await appliance.batch([*prepare, ("launch",)])
        except ApplianceCallFailed as first:
            if "launch" not in first.message.split(":")[1]:
                raise  # a disk that can't be opened, say: a second try tells nothing new
            # Its words mean little without the log, and the log costs time: so it is made only now.
            emit(Note("libguestfs's appliance did not start; trying once more, with its log", "warning"))
            try:
                await appliance.batch([("child_renew",), ("child_verbose", log), *prepare, ("launch",)])
            except ApplianceCallFailed as second:
                raise environment.launch_error(second.message, _tail(log)) from first

    def _prepare(self, disks: Sequence[ApplianceDisk], access: DiskAccess) -> list[ApplianceCall]:
        calls: list[ApplianceCall] = [("set_network", False)]
        if self._settings.memory:
            calls.append(("set_memsize", self._settings.memory.mib))
        for disk in disks:
            options: dict[str, Any] = {"format": disk.format}
            if access is DiskAccess.READ_ONLY:
                options["readonly"] = True
            else:
                # A build whose host dies is run again: its flushes need not reach the disk.
                options |= {"discard": "besteffort", "cachemode": "unsafe"}
            calls.append(("add_drive", disk.path, options))
        return calls


async def _watch(child: process.Process, appliance: GuestfsAppliance) -> None:
    appliance.ended(await child.wait())


def _folders(cache_dir: Path, runtime_dir: Path) -> Path:
    cache_dir.mkdir(parents=True, exist_ok=True)
    runtime_dir.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="gf", dir=runtime_dir))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL:] if log.exists() else ""
