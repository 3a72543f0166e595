"""The guards of the unit tier bite."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ForbiddenInUnitTest, Golden

pytestmark = pytest.mark.unit


def _connect() -> None:
    with socket.socket() as client:
        client.connect(("127.0.0.1", 1))


def _bind() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))


@pytest.mark.parametrize(
    "act",
    [
        lambda: subprocess.run(["true"]),
        _connect,
        _bind,
        lambda: time.sleep(0.001),
        lambda: asyncio.run(asyncio.sleep(0.001)),
    ],
    ids=["spawn", "connect", "bind", "sleep", "async sleep"],
)
def test_a_unit_test_that_leaves_its_process_fails(act: Callable[[], object]) -> None:
    with pytest.raises(ForbiddenInUnitTest):
        act()


def test_no_except_hides_the_violation() -> None:
    assert not issubclass(ForbiddenInUnitTest, Exception)


def test_an_event_loop_and_its_yield_are_allowed() -> None:
    asyncio.run(asyncio.sleep(0))


def test_golden_files_notice_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = Golden(regenerate=False)
    monkeypatch.setattr(golden, "_root", tmp_path)
    with pytest.raises(AssertionError, match="--regenerate"):
        golden.check("a.txt", "text")
    writer = Golden(regenerate=True)
    monkeypatch.setattr(writer, "_root", tmp_path)
    with pytest.raises(AssertionError, match="was regenerated"):
        writer.check("a.txt", "text")
    golden.check("a.txt", "text")
    with pytest.raises(AssertionError):
        golden.check("a.txt", "other")
