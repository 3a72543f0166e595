"""QEMU's control channel: ``qemu.qmp`` with what it lacks.

Its ``execute`` has no deadline, its ``disconnect`` raises ``EOFError`` after an orderly ``quit``, and its event
listener keeps every event for ever; all three are settled here, once.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

from qemu.qmp import ExecInterruptedError, ExecuteError, QMPClient, QMPError, Runstate
from qemu.qmp.events import EventListener
from qemu.qmp.message import Message

from factory.deadline import Deadline
from factory.errors import StepError
from factory.quantity import Duration

PATIENCE = Duration(120)
"""How long a single command may take. Long tasks are jobs of QEMU's: their command returns at once."""

OnEvent = Callable[[str, Mapping[str, Any]], None]

_log = logging.getLogger(__name__)


class ConnectionLost(Exception):
    """QEMU hung up: it ended, or is about to."""


class QmpConnection:
    """A connected control channel. *on_event(name, data)* is called for each event, in order."""

    def __init__(self, name: str, on_event: OnEvent) -> None:
        self._client = QMPClient(name)
        self._client.register_listener(_Caller(on_event))

    async def connect(self, connected: socket.socket, deadline: Deadline) -> None:
        """Greets and negotiates; takes over the socket. Raises: ConnectionLost, DeadlineExpired."""
        connected.setblocking(False)
        try:
            async with deadline.limit():
                await self._client.connect(connected)
        except (QMPError, EOFError, OSError) as error:
            connected.close()
            raise ConnectionLost(str(error)) from error

    async def execute(
        self, command: str, arguments: Mapping[str, Any] | None = None, *, patience: Duration = PATIENCE
    ) -> Any:
        """Runs a command and returns its value.

        Raises: ConnectionLost, StepError with QEMU's words when it refuses, DeadlineExpired.
        """
        _log.debug("qmp %s %s", command, json.dumps(arguments, default=str))
        deadline = Deadline.after(patience, f"QEMU to answer {command!r}")
        try:
            async with deadline.limit():
                return await self._client.execute(command, dict(arguments) if arguments is not None else None)
        except ExecuteError as error:
            raise StepError(f"QEMU refuses {command!r}: {error}") from error
        except (ExecInterruptedError, QMPError, EOFError, OSError) as error:
            raise ConnectionLost(str(error)) from error

    async def send_file(self, name: str, descriptor: int) -> None:
        """Hands an open file to QEMU, to be used as ``fd:name`` (QMP ``getfd``). Ours may be closed afterwards.

        Raises: as ``execute``.
        """
        try:
            self._client.send_fd_scm(descriptor)
        except (QMPError, OSError) as error:
            raise ConnectionLost(str(error)) from error
        await self.execute("getfd", {"fdname": name})

    async def wait_until_lost(self) -> None:
        """Returns when QEMU has hung up and everything that it said before has been handled."""
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()

    async def close(self) -> None:
        if self._client.runstate is Runstate.IDLE:
            return
        try:
            await self._client.disconnect()
        except (EOFError, OSError, QMPError) as error:
            _log.debug("qmp disconnect: %r", error)  # the other side was faster: that is how it ends


class _Caller(EventListener):
    """Calls back at once and keeps nothing."""

    def __init__(self, on_event: OnEvent) -> None:
        super().__init__()
        self._on_event = on_event

    async def put(self, event: Message) -> None:
        data = event.get("data", {})
        try:
            self._on_event(str(event["event"]), data if isinstance(data, Mapping) else {})
        except Exception:  # an exception here would end the whole connection
            _log.exception("a subscriber of QMP events failed at %r", event)
