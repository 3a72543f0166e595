"""Turns the sealed disks into delivered files: exported into a staging folder, described, then renamed into place."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from factory.disk.driver_readiness import Drivers
from factory.drivers.protocols import DiskImages, FolderGuard
from factory.errors import VerificationFailed
from factory.outputs.delivery import SEAL_PAGE, SEAL_REPORT, deliver, refuse_foreign
from factory.outputs.export import export_all
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import KVM, TargetMachine
from factory.outputs.manifest import write_manifest
from factory.outputs.model import Exports
from factory.outputs.staging import output_errors, staging_folder
from factory.plan.resources import MachineState, SealedDisk, Staging
from factory.plan.step import Scope, Step
from factory.seal.page import render_page
from factory.steps.define_in_libvirt import with_qcow2
from factory.steps.guest_drivers import GuestDrivers, guest_drivers, name_missing, needs_of
from factory.template.output_options import OutputOptions
from factory.verify.model import Verdict
from factory.verify.prove import failures

REJECTED = ".rejected"


@dataclass(frozen=True, slots=True)
class OpenStaging(Step):
    """A folder beside the final place (so that one rename is enough), and what dead builds left half is removed."""

    output: Path
    image: str

    needs: ClassVar[tuple[type, ...]] = (FolderGuard,)
    provides: ClassVar[tuple[type, ...]] = (Staging,)

    @property
    def title(self) -> str:
        return f"prepare {self.output / self.image}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        with ExitStack() as stack:
            with output_errors(self.output):
                folder = stack.enter_context(staging_folder(self.output, self.image, scope.get(FolderGuard)))
            scope.put(Staging(folder, self.output / self.image))
            yield


@dataclass(frozen=True, slots=True)
class ExportImages(Step):
    """``machine`` is what the template's own machine is made of: what files for KVM are booted on; ``uefi_code`` is its
    firmware, None for BIOS."""

    disks: tuple[str, ...]
    outputs: tuple[OutputOptions, ...]
    hardware: OvfHardware
    image: str
    uefi_code: Path | None
    machine: TargetMachine

    needs: ClassVar[tuple[type, ...]] = (MachineState, Staging, DiskImages)
    provides: ClassVar[tuple[type, ...]] = (Exports, GuestDrivers)

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
        report = seal_report(state) or {}
        scope.put(await self._readiness(scope, sealed, report.get("drivers")))
        guest = report.get("guest", {})
        staging = scope.get(Staging).folder
        with output_errors(staging):
            exports = await export_all(
                sealed,
                with_qcow2(self.outputs),
                name=self.image,
                hardware=replace(self.hardware, os_id=guest.get("id", ""), os_version=guest.get("version", "")),
                uefi_variables=state.uefi_variables if self.uefi_code else None,
                uefi_code=self.uefi_code,
                staging=staging,
                images=images,
                emit=scope.emit,
            )
        files = tuple(
            replace(f, target=self.machine) if f.target and f.target.stands_for == KVM else f for f in exports.files
        )
        scope.put(replace(exports, files=files))
        yield

    async def _readiness(self, scope: Scope, sealed: list[SealedDisk], seen: Mapping[str, Any] | None) -> GuestDrivers:
        """Names what the guest lacks where it is going, before anything is exported. *seen*: what the seal has seen."""
        found = Drivers.from_json(seen) if seen else await asyncio.to_thread(guest_drivers, sealed)
        return name_missing(found, needs_of(self.outputs), scope.emit)


@dataclass(frozen=True, slots=True)
class Publish(Step):
    """Writes manifest and checksums, then makes everything appear by one rename.

    What did not pass its checks never gets there: it is moved to ``.rejected/`` beside it.
    """

    about: Mapping[str, Any]
    """What the manifest says besides the files: template, plan key, inputs, versions."""

    needs: ClassVar[tuple[type, ...]] = (Exports, Staging, MachineState)
    wants: ClassVar[tuple[type, ...]] = (Verdict, GuestDrivers)

    @property
    def title(self) -> str:
        return "publish the artifact"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        staging, verdict = scope.get(Staging), scope.find(Verdict)
        with output_errors(staging.destination):
            await asyncio.to_thread(self._describe, scope, staging.folder, verdict)
            if verdict and not verdict.passed:
                aside = await asyncio.to_thread(keep_aside, staging)
                raise rejected(verdict, aside)
            await asyncio.to_thread(refuse_foreign, staging.destination)
            await asyncio.to_thread(deliver, staging.folder, staging.destination)
        scope.detail(str(staging.destination))
        yield

    def _describe(self, scope: Scope, folder: Path, verdict: Verdict | None) -> None:
        state, drivers = scope.get(MachineState), scope.find(GuestDrivers)
        seal = seal_report(state)
        if seal:
            shutil.copyfile(state.folder / SEAL_REPORT, folder / SEAL_REPORT)
            (folder / SEAL_PAGE).write_text(render_page(seal, scope.get(Exports).name), encoding="utf-8")
        about = {**self.about, "drivers": drivers.to_json()} if drivers else self.about
        verify = verdict.to_json() if verdict else None
        write_manifest(folder, scope.get(Exports), about=about, seal=seal, verify=verify)


def rejected(verdict: Verdict, aside: Path) -> VerificationFailed:
    """The error for an artifact that does not pass, with the first machine's evidence."""
    wrong = failures(verdict)
    first = next((s.error for s in verdict.seen if s.error), None)
    others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    hint = f"nothing was published; what was built is in {aside}, and its manifest.json says what was seen"
    return VerificationFailed(
        f"the exported image does not pass: {wrong[0]}{others}",
        hint=f"{hint}. {first.hint}" if first and first.hint else hint,
        evidence=first.evidence if first else None,
    )


def keep_aside(staging: Staging) -> Path:
    """Moves what was built to ``.rejected/<name>`` in the output folder, never under its final name."""
    aside = staging.destination.parent / REJECTED / staging.destination.name
    aside.parent.mkdir(exist_ok=True)
    if aside.exists():
        shutil.rmtree(aside)
    staging.folder.rename(aside)
    return aside


def seal_report(state: MachineState) -> dict[str, Any] | None:
    """What sealing wrote beside the disks; None when they were not sealed."""
    path = state.folder / SEAL_REPORT
    if not path.exists():
        return None
    report: dict[str, Any] = json.loads(path.read_text())
    return report
