"""One appliance cache for all tests of this run, and the driver that uses it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from factory.drivers.guestfs.appliance import GuestfsDriver
from factory.drivers.guestfs.environment import ApplianceSettings, find_interpreter


@pytest.fixture(scope="session")
def appliance_driver() -> GuestfsDriver:
    """The real libguestfs; its appliance (some 370 MB) is kept between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "factory" / "guestfs"
    return GuestfsDriver(ApplianceSettings(asyncio.run(find_interpreter()), cache))
