from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from factory.drivers.download import MediaDownloads
from factory.events import Event, Note
from factory.quantity import Duration
from tests.drivers.file_server import FileServer

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


@pytest.fixture(autouse=True)
def straight_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proxy of this host, and without long waits between tries."""
    monkeypatch.setattr("factory.drivers.download._WAIT_BEFORE_RETRY", Duration(0.01))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Store:
    """A store under test, with what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloads = MediaDownloads(folder)
        self.events: list[Event] = []

    async def fetch(self, checksum: str, *urls: str) -> tuple[Path, str]:
        return await self.downloads.fetch(urls, checksum, emit=self.events.append)

    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "media")


def serving(server: FileServer) -> str:
    server.files["/d/a.iso"] = CONTENT
    return server.url("/d/a.iso")
