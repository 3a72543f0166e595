"""Makes the machine's empty disks, or an overlay on a source image, and its own copy of the firmware's variables."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from factory.disk.trust import self_contained
from factory.drivers.protocols import DiskImages
from factory.plan.resources import MachineState, Media
from factory.plan.step import Scope, Step
from factory.quantity import Size
from factory.template.model import Disk

_NEVER_GROWN = Size(2**20)
"""No image is smaller: who says this much wants the disk to be as large as the image."""


@dataclass(frozen=True, slots=True)
class CreateDisks(Step):
    disks: tuple[Disk, ...]
    uefi_variables: Path | None = None
    """The firmware's template for its variables."""

    needs: ClassVar[tuple[type, ...]] = (DiskImages, MachineState)

    @property
    def title(self) -> str:
        return "create " + ", ".join(f"disk {d.id} ({d.size})" for d in self.disks)

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        images = scope.get(DiskImages)
        state = scope.get(MachineState)
        for disk in self.disks:
            await images.create(state.disk(disk.id), size=disk.size)
        if self.uefi_variables:
            await asyncio.to_thread(shutil.copyfile, self.uefi_variables, state.uefi_variables)
        yield


@dataclass(frozen=True, slots=True)
class ImportImage(Step):
    """Copies a source image into the machine's first disk and makes the others."""

    disks: tuple[Disk, ...]
    uefi_variables: Path | None = None
    format: str = ""
    """What the image must be; empty for what its head says."""

    needs: ClassVar[tuple[type, ...]] = (DiskImages, MachineState, Media)

    @property
    def title(self) -> str:
        main = self.disks[0]
        return f"import the image into disk {main.id}" + (f" ({main.size})" if main.size > _NEVER_GROWN else "")

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        images = scope.get(DiskImages)
        state, media = scope.get(MachineState), scope.get(Media)
        # Refused even where the file is the user's own: the key counts the image's bytes, not those of another file.
        format = await asyncio.to_thread(self_contained, media.path, self.format)
        info = await images.info(media.path, format=format)
        main = self.disks[0]
        await images.convert(media.path, state.disk(main.id), source_format=info.format, format="qcow2")
        if info.virtual_size < main.size:
            await images.resize(state.disk(main.id), main.size)
        elif info.virtual_size > main.size:
            scope.detail(f"the image is larger than {main.size}: the disk has {info.virtual_size}")
        rest = CreateDisks(self.disks[1:], self.uefi_variables)
        async with rest.enter(scope):
            yield
