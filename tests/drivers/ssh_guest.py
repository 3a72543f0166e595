"""A connection to a real SSH server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers.protocols import GuestConnection
from factory.drivers.ssh import SshCommunicator, SshSettings
from factory.quantity import Duration
from tests.drivers.ssh_server import Guest, guest


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def soon(seconds: float = 60, what: str = "the command") -> Deadline:
    return Deadline.after(Duration(seconds), what)


@asynccontextmanager
async def connected(
    home: Path, settings: SshSettings | None = None, **options: Any
) -> AsyncIterator[tuple[GuestConnection, Guest]]:
    async with guest(home, **options) as host:
        ssh = SshCommunicator(settings)
        async with ssh.connect(
            host.address, host.credentials(), deadline=soon(), emit=lambda event: None
        ) as connection:
            yield connection, host
