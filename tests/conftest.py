"""Rules of the test tiers (``docs``: CONTRIBUTING): what a unit test may not do, and the ``--regenerate`` option."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.command import Outcome, Place

# Before any test module is read, which is when its settings are taken. The machine may be busy: no test measures time.
settings.register_profile("factory", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("factory")


class ForbiddenInUnitTest(BaseException):
    """A unit test started a process, opened a socket or slept. A ``BaseException``, so that no ``except`` hides it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate", action="store_true", help="rewrite the golden files with what the code gives now, then fail"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tests ask blkid, dumpe2fs and the like, which Debian leaves out of the PATH of an ordinary user."""
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tiers = {"unit", "machine", "e2e"}
    missing = [item.nodeid for item in items if not tiers & {mark.name for mark in item.iter_markers()}]
    if missing:
        raise pytest.UsageError("these tests name no tier (unit, machine or e2e): " + ", ".join(missing[:10]))
    if config.getoption("dist", "no") != "no":  # several processes: what takes longest is begun first
        items.sort(key=lambda item: _together(item) != _BUILDS)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_together(item)))


_BUILDS = "builds"


def _together(item: pytest.Item) -> str:
    """Tests that one process runs, one after the other: they share what takes long to make.

    Whole builds go on from each other's layers; some folders have a machine or a disk for all their tests.
    """
    folder, *rest = item.path.relative_to(Path(__file__).parent).parts
    if folder in {"e2e", "drills"}:
        return _BUILDS
    return folder if folder in {"seal", "dossier"} else "/".join((folder, *rest))


def _forbidden(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise ForbiddenInUnitTest(f"a unit test may not {what}; mark it `machine`, or hand in a fake")

    return refuse


@pytest.fixture(autouse=True)
def unit_tests_stay_in_the_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbids spawning, connecting, listening and sleeping in tests marked ``unit``."""
    if request.node.get_closest_marker("unit") is None:
        return
    for owner, name in (
        (subprocess.Popen, "__init__"),
        (os, "system"),
        (os, "fork"),
        (os, "posix_spawn"),
    ):
        monkeypatch.setattr(owner, name, _forbidden("start a process"))
    for name in ("connect", "connect_ex", "bind", "listen"):
        # Class attributes of a C type can't be set: the Python subclass ``socket.socket`` takes them instead. A
        # socketpair stays allowed: it reaches nobody, and every event loop has one.
        monkeypatch.setattr(socket.socket, name, _forbidden("open a socket"), raising=False)
    monkeypatch.setattr(time, "sleep", _forbidden("sleep"))
    real_sleep = asyncio.sleep

    async def yield_only(delay: float, result: Any = None) -> Any:
        if delay > 0:
            _forbidden("sleep")()
        return await real_sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", yield_only)


class Golden:
    """Compares with files under ``tests/golden``; ``--regenerate`` writes them."""

    def __init__(self, regenerate: bool) -> None:
        self._regenerate = regenerate
        self._root = Path(__file__).parent / "golden"

    def check(self, name: str, text: str) -> None:
        """Fails unless *text* equals the golden file *name*."""
        path = self._root / name
        if self._regenerate:
            path.parent.mkdir(parents=True, exist_ok=True)
            changed = not path.exists() or path.read_text() != text
            path.write_text(text)
            assert not changed, f"{path} was regenerated: look at the difference, then run again without --regenerate"
        assert path.exists(), f"no golden file {path}: run once with --regenerate and read what it wrote"
        assert text == path.read_text()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(bool(request.config.getoption("--regenerate")))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Folders of a user for all whole builds of a session: the others begin at the first one's layers."""
    return Place(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="session")
def tiny(place: Place) -> Outcome:
    """``images/tiny.yml``, from nothing: typed into, provisioned, sealed, exported, booted."""
    outcome = place.build("images/tiny.yml")
    assert outcome.code == 0, outcome.stderr
    return outcome
