"""A bench for builds that fail, and the tiny installer's kernel, made once."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from factory.drivers.guestfs.appliance import GuestfsDriver
from factory.drivers.guestfs.environment import ApplianceSettings, find_interpreter
from factory.plan.resources import KernelFiles
from tests.dossier.broken_build import PROJECT, Bench, take_kernel


@pytest.fixture(scope="session")
def appliance_driver() -> GuestfsDriver:
    """The real libguestfs; its appliance (some 370 MB) is kept between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "factory" / "guestfs"
    return GuestfsDriver(ApplianceSettings(asyncio.run(find_interpreter()), cache))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def tiny_kernel(tmp_path_factory: pytest.TempPathFactory) -> KernelFiles:
    folder = tmp_path_factory.mktemp("tiny")
    iso = folder / "tiny.iso"
    subprocess.run([PROJECT / "scripts/iso/tiny", iso], check=True, stdin=subprocess.DEVNULL)
    return asyncio.run(take_kernel(iso, folder))
