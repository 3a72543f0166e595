"""Goes on from the image of another build: grows its disks, adds the missing ones, and lets the build key in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from factory.deadline import Deadline
from factory.drivers.protocols import ApplianceDisk, ApplianceDriver, DiskAccess, DiskImages
from factory.plan.resources import BuildSecrets, MachineState
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.seal.layout import inspect
from factory.template.model import Disk
from factory.verify.let_in import write_key

APPLIANCE_PATIENCE = Duration(10 * 60)


@dataclass(frozen=True, slots=True)
class FitDisks(Step):
    """The base's disks are there already, as overlays on its layer."""

    base: str
    disks: tuple[Disk, ...]

    needs: ClassVar[tuple[type, ...]] = (DiskImages, MachineState)

    @property
    def title(self) -> str:
        return f"go on from the image of {self.base}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        images, state = scope.get(DiskImages), scope.get(MachineState)
        for disk in self.disks:
            path = state.disk(disk.id)
            if not path.exists():
                await images.create(path, size=disk.size)
                continue
            size = (await images.info(path, format="qcow2")).virtual_size
            if size < disk.size:
                await images.resize(path, disk.size)
                scope.detail(f"disk {disk.id} grows from {size} to {disk.size}")
            elif size > disk.size:
                scope.detail(f"disk {disk.id} keeps the {size} that it has")
        yield


@dataclass(frozen=True, slots=True)
class AdmitBuildKey(Step):
    """A sealed image lets nobody in, and this build wants to provision it."""

    user: str
    disks: tuple[str, ...]

    needs: ClassVar[tuple[type, ...]] = (MachineState, BuildSecrets, ApplianceDriver)

    @property
    def title(self) -> str:
        return f"let the build key in as {self.user}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        state, secrets = scope.get(MachineState), scope.get(BuildSecrets)
        async with scope.get(ApplianceDriver).launch(
            [ApplianceDisk(state.disk(name), "qcow2") for name in self.disks],
            access=DiskAccess.READ_WRITE,
            runtime_dir=scope.runtime_dir,
            deadline=Deadline.after(APPLIANCE_PATIENCE, "the appliance to let the build key in"),
            emit=scope.emit,
        ) as appliance:
            await inspect(appliance)  # finds the file systems and mounts them
            await write_key(appliance, self.user, secrets.public_key)
        yield
