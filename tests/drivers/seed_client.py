"""The seed server under test, and ways to ask it that no well-behaved client would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factory.deadline import Deadline, poll
from factory.drivers.http_server import HttpSeedServer
from factory.drivers.protocols import SeedEndpoint, SeedSource
from factory.events import Event, SeedRequested
from factory.quantity import Duration


class MemorySeed:
    """Answer files in memory; an exception in place of a content is raised."""

    def __init__(self, files: dict[str, bytes | Path | Exception]) -> None:
        self.files = files

    def names(self) -> Sequence[str]:
        return tuple(self.files)

    def read(self, name: str) -> bytes | Path | None:
        content = self.files.get(name)
        if isinstance(content, Exception):
            raise content
        return content


class Running:
    """A server under test, with the events that it caused."""

    def __init__(self, endpoint: SeedEndpoint, events: list[Event]) -> None:
        self.endpoint = endpoint
        self.events = events
        self.base = f"http://127.0.0.1:{endpoint.port}"
        self.url = f"{self.base}/{endpoint.token}"

    def requests(self) -> list[SeedRequested]:
        return [event for event in self.events if isinstance(event, SeedRequested)]

    async def reported(self, count: int) -> None:
        """Waits for *count* events: a client may have its whole answer a moment before the server says so."""

        async def enough() -> bool | None:
            return len(self.requests()) >= count or None

        await poll(enough, soon(), every=Duration(0.01))


@asynccontextmanager
async def serving(files: dict[str, bytes | Path | Exception]) -> AsyncIterator[Running]:
    events: list[Event] = []
    source: SeedSource = MemorySeed(files)
    async with HttpSeedServer().serve(source, emit=events.append) as endpoint:
        yield Running(endpoint, events)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def soon(what: str = "a request") -> Deadline:
    return Deadline.after(Duration(30), what)
