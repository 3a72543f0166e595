"""Serving answer files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from factory.deadline import Deadline
from factory.events import Emit


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
        """One-time path component: ``http://10.0.2.2:<port>/<token>/<name>``; empty when served without one."""

    async def wait_for_request(self, name: str, deadline: Deadline) -> None:
        """Waits until *name* has been fetched whole (status 200). Raises: DeadlineExpired, SeedError."""


class SeedServer(Protocol):
    def serve(
        self, source: SeedSource, *, emit: Emit, ports: range | None = None
    ) -> AbstractAsyncContextManager[SeedEndpoint]:
        """Listens on 127.0.0.1, on a port of the kernel's choice, until the context ends.

        With *ports* on the first free one of these, and without the one-time path. Raises: HostError when none is.
        """
