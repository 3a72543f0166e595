"""Turns the sealed disks into delivered files: exported into a staging folder, described, then renamed into place."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from factory.drivers.protocols import DiskImages
from factory.outputs.delivery import deliver
from factory.outputs.export import export_all
from factory.outputs.hardware import OvfHardware
from factory.outputs.manifest import write_manifest
from factory.outputs.model import Exports
from factory.outputs.staging import staging_folder
from factory.plan.resources import MachineState, SealedDisk, Staging
from factory.plan.step import Scope, Step
from factory.steps.seal_disks import SEAL_REPORT
from factory.steps.verify_images import Verdict
from factory.template.output_options import OutputOptions


@dataclass(frozen=True, slots=True)
class OpenStaging(Step):
    """A folder beside the final place (so that one rename is enough), and what dead builds left half is removed."""

    output: Path
    image: str

    provides: ClassVar[tuple[type, ...]] = (Staging,)

    @property
    def title(self) -> str:
        return f"prepare {self.output / self.image}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        with staging_folder(self.output, self.image) as folder:
            scope.put(Staging(folder, self.output / self.image))
            yield


@dataclass(frozen=True, slots=True)
class ExportImages(Step):
    disks: tuple[str, ...]
    outputs: tuple[OutputOptions, ...]
    hardware: OvfHardware
    image: str
    uefi: bool

    needs: ClassVar[tuple[type, ...]] = (MachineState, Staging, DiskImages)
    provides: ClassVar[tuple[type, ...]] = (Exports,)

    @property
    def title(self) -> str:
        return "export " + ", ".join(o.kind for o in self.outputs)

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        state, images = scope.get(MachineState), scope.get(DiskImages)
        sealed = []
        for name in self.disks:
            info = await images.info(state.disk(name), format="qcow2")
            sealed.append(SealedDisk(name, state.disk(name), "qcow2", info.virtual_size))
        guest = (seal_report(state) or {}).get("guest", {})
        exports = await export_all(
            sealed,
            self.outputs,
            name=self.image,
            hardware=replace(self.hardware, os_id=guest.get("id", ""), os_version=guest.get("version", "")),
            uefi_variables=state.uefi_variables if self.uefi else None,
            staging=scope.get(Staging).folder,
            images=images,
            emit=scope.emit,
        )
        scope.put(exports)
        yield


@dataclass(frozen=True, slots=True)
class Publish(Step):
    """Writes manifest and checksums, then makes everything appear by one rename."""

    about: Mapping[str, Any]
    """What the manifest says besides the files: template, plan key, inputs, versions."""

    needs: ClassVar[tuple[type, ...]] = (Exports, Staging, MachineState)

    @property
    def title(self) -> str:
        return "publish the artifact"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        staging, exports = scope.get(Staging), scope.get(Exports)
        state = scope.get(MachineState)
        seal, verdict = seal_report(state), scope.find(Verdict)
        if seal:
            await asyncio.to_thread(shutil.copyfile, state.folder / SEAL_REPORT, staging.folder / SEAL_REPORT)
        verify = verdict.to_json() if verdict else None
        write_manifest(staging.folder, exports, about=self.about, seal=seal, verify=verify)
        await asyncio.to_thread(deliver, staging.folder, staging.destination)
        scope.detail(str(staging.destination))
        yield


def seal_report(state: MachineState) -> dict[str, Any] | None:
    """What sealing wrote beside the disks; None when they were not sealed."""
    path = state.folder / SEAL_REPORT
    if not path.exists():
        return None
    report: dict[str, Any] = json.loads(path.read_text())
    return report
