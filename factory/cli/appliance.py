"""libguestfs on this computer, looked for when something needs it: most builds of Packer's templates never do."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers.guestfs.appliance import GuestfsDriver
from factory.drivers.guestfs.environment import ApplianceSettings, find_interpreter
from factory.drivers.protocols import Appliance, ApplianceDisk, DiskAccess
from factory.events import Emit
from factory.host.facts import HostFacts, collect


class ApplianceWhenNeeded:
    """``protocols.ApplianceDriver``: finds libguestfs at the first launch. *facts*: those known already."""

    def __init__(self, cache: Path, facts: HostFacts | None = None) -> None:
        self._cache, self._facts = cache, facts
        self._driver: GuestfsDriver | None = None

    @contextlib.asynccontextmanager
    async def launch(
        self,
        disks: Sequence[ApplianceDisk],
        *,
        access: DiskAccess,
        runtime_dir: Path,
        deadline: Deadline,
        emit: Emit,
    ) -> AsyncIterator[Appliance]:
        """Raises: HostError when no interpreter can import the binding, and what the driver's own launch raises."""
        driver = self._driver = self._driver or GuestfsDriver(await self._settings())
        async with driver.launch(
            disks, access=access, runtime_dir=runtime_dir, deadline=deadline, emit=emit
        ) as appliance:
            yield appliance

    async def _settings(self) -> ApplianceSettings:
        interpreter = await find_interpreter()
        facts = self._facts or await collect(self._cache)
        return ApplianceSettings(interpreter, self._cache / "guestfs", facts.accelerator or "tcg")
