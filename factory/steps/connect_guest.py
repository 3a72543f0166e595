"""Connects to the installed system, and to nothing else."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from factory.deadline import Deadline, pause
from factory.drivers.protocols import (
    ActivityProbe,
    Communicator,
    Credentials,
    Guest,
    GuestAddress,
    GuestConnection,
    Machine,
)
from factory.errors import GuestUnreachable, HostError
from factory.events import Emit
from factory.plan.resources import BuildSecrets, GuestAt, GuestNotice, MachineState
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.secret import Redactor, Secret
from factory.steps.late import late_values
from factory.steps.resumed_guest import refresh
from factory.steps.watch import watching
from factory.template.late import render_late
from factory.template.model import Text


class GuestLink:
    """The connection into the guest, which can be made anew: a reboot breaks it. A resource."""

    def __init__(self, communicator: Communicator, address: GuestAddress, credentials: Credentials, emit: Emit) -> None:
        self._communicator, self._address, self._credentials, self._emit = communicator, address, credentials, emit
        self._stack = AsyncExitStack()
        self._connection: GuestConnection | None = None

    @property
    def connection(self) -> GuestConnection:
        """Raises: GuestUnreachable when the last try to connect has failed."""
        if self._connection is None:
            raise GuestUnreachable(f"there is no connection to {self._address}")
        return self._connection

    async def connect(self, deadline: Deadline, guest: Guest = Guest.STARTED) -> GuestConnection:
        """Gives up what there is and connects. Raises: GuestUnreachable."""
        await self.close()
        self._connection = await self._stack.enter_async_context(
            self._communicator.connect(
                self._address, self._credentials, deadline=deadline, emit=self._emit, guest=guest
            )
        )
        return self._connection

    async def close(self) -> None:
        self._connection = None
        await self._stack.aclose()


@dataclass(frozen=True, slots=True)
class ConnectGuest(Step):
    user: str
    password: Text | None
    private_key: Path | None
    budget: Duration
    stall: Duration
    kind: str = "SSH"
    certificate: Path | None = None
    agent: str = ""
    """The variable of the environment that names the socket of an agent, whose keys are offered; none when empty."""
    settle: Duration = Duration(0)
    """What a guest that has let us in needs before it is one to work with."""

    needs: ClassVar[tuple[type, ...]] = (Machine, GuestAt, BuildSecrets, Communicator, MachineState)
    wants: ClassVar[tuple[type, ...]] = (GuestNotice, ActivityProbe)
    provides: ClassVar[tuple[type, ...]] = (GuestLink,)

    @property
    def title(self) -> str:
        return f"connect by {self.kind} as {self.user}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        deadline = Deadline.after(self.budget, f"the guest to answer by {self.kind}")
        address = scope.get(GuestAt).address
        given = credentials(self, scope)
        if notice := scope.find(GuestNotice):  # before it works: a person may have to find out why it does not
            notice.guest_reachable(self.kind, address, given.user, given.private_key)
        link = GuestLink(scope.get(Communicator), address, given, scope.emit)
        try:
            async with watching(scope, deadline, self.stall) as watched:
                state = Guest.RESUMED if scope.get(MachineState).memory else Guest.STARTED
                connection = await link.connect(watched, state)
                if self.settle and not scope.get(MachineState).memory:  # else it had settled before it was stored
                    await link.close()
                    await pause(self.settle)
                    connection = await link.connect(watched)
            scope.put(link)
            scope.detail(str(address))
            if scope.get(MachineState).memory:
                await refresh(connection, self.kind, scope.emit)
            yield
        finally:
            await link.close()


def credentials(step: ConnectGuest, scope: Scope) -> Credentials:
    """The template's password or key; the build key when it names neither (or only a password: both are offered)."""
    password = None
    if step.password is not None:
        text = render_late(step.password, late_values(scope))
        scope.get(Redactor).add(text)
        password = Secret(text)
    key = step.private_key or scope.get(BuildSecrets).private_key
    return Credentials(step.user, password, key, step.certificate, _agent(step.agent))


def _agent(variable: str) -> Path | None:
    if not variable:
        return None
    place = os.environ.get(variable)
    if not place:
        raise HostError(f"{variable} is not set, so there is no SSH agent to ask", hint="start one, or name a key")
    return Path(place)
