"""A provisioner's surroundings, on the in-process SSH server of the driver tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers import process
from factory.drivers.protocols import GuestConnection, OnLine, ProgramResult, Programs
from factory.drivers.ssh import InstallerMarks, SshCommunicator, SshSettings
from factory.events import Emit, Event, GuestOutput
from factory.quantity import Duration
from factory.secret import Secret
from tests.drivers.ssh_server import Guest, guest


class HostPrograms:
    """Programs of this host, by the process driver."""

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
        result = await process.run(
            argv,
            deadline=deadline,
            emit=emit,
            cwd=cwd,
            env=env,
            log=log,
            on_stdout_line=(lambda line: on_line("stdout", line)) if on_line else None,
            on_stderr_line=(lambda line: on_line("stderr", line)) if on_line else None,
        )
        return ProgramResult(result.exit_status, result.stdout, result.stderr)


@dataclass
class Surroundings:
    """Implements ``provision.context.ProvisionContext``."""

    host: Guest
    workdir: Path
    stack: AsyncExitStack
    ssh: SshCommunicator
    name: str = "test"
    environment: Mapping[str, str | Secret[str]] = field(default_factory=dict)
    programs: Programs = field(default_factory=HostPrograms)
    events: list[Event] = field(default_factory=list)
    reconnects: int = 0
    current: GuestConnection | None = None

    @asynccontextmanager
    async def watching(self, deadline: Deadline) -> AsyncIterator[Deadline]:
        yield deadline  # there is no machine here

    @property
    def emit(self) -> Emit:
        return self.events.append

    @property
    def connection(self) -> GuestConnection:
        assert self.current is not None
        return self.current

    async def reconnect(self, deadline: Deadline) -> GuestConnection:
        if self.current is not None:
            self.reconnects += 1
            await self.current.close()
        self.current = await self.stack.enter_async_context(
            self.ssh.connect(self.host.address, self.host.credentials(), deadline=deadline, emit=self.emit)
        )
        return self.current

    def lines(self, stream: str = "stdout") -> list[str]:
        return [event.line for event in self.events if isinstance(event, GuestOutput) and event.stream == stream]


def soon(seconds: float = 100, what: str = "the provisioner") -> Deadline:
    return Deadline.after(Duration(seconds), what)


@asynccontextmanager
async def surroundings(folder: Path, *, with_terminal: bool = False, **options: Any) -> AsyncIterator[Surroundings]:
    """A guest whose home is ``folder/home``, and a connection to it."""
    marks = InstallerMarks(files=())
    settings = SshSettings(installer=marks, between_attempts=Duration(0.05), with_terminal=with_terminal)
    work = folder / "work"
    work.mkdir()
    async with guest(folder / "home", **options) as host, AsyncExitStack() as stack:
        context = Surroundings(host, work, stack, SshCommunicator(settings))
        await context.reconnect(soon())
        yield context
