"""Delivery as Packer does it: the disks under given names in a given folder, then the template's post-processors."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from factory.deadline import Deadline
from factory.drivers.protocols import DiskImages, Programs
from factory.errors import StepError, TemplateError
from factory.events import ArtifactReady, GuestOutput, Progress
from factory.outputs.delivery import deliver
from factory.outputs.post.artifact import Artifact, Surroundings
from factory.outputs.post.run import run_chains
from factory.outputs.staging import output_errors
from factory.plan.resources import BuildName, MachineState
from factory.plan.step import Scope, Step
from factory.provision.shell_local import local_scripts
from factory.quantity import Duration
from factory.template.model import Delivery

UEFI_VARIABLES = "efivars.fd"
QEMU_ARTIFACT = "VM"
"""What Packer's qemu builder calls its artifact."""
_LONGEST = Duration(24 * 3600)


@dataclass(frozen=True, slots=True)
class DeliverDisks(Step):
    """Everything appears by one rename; a folder that stood there goes only then, and only when that was asked for."""

    delivery: Delivery
    disks: tuple[str, ...]
    uefi: bool

    needs: ClassVar[tuple[type, ...]] = (MachineState, DiskImages)
    provides: ClassVar[tuple[type, ...]] = (Artifact,)

    @property
    def title(self) -> str:
        return f"deliver {self.delivery.file_name} in {self.delivery.folder_name}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        folder = self.delivery.folder
        refuse_existing(self.delivery)
        draft = folder.with_name(f".{folder.name}.{scope.run_dir.name}")
        with output_errors(folder):
            draft.mkdir(parents=True)
        try:
            with output_errors(folder):
                artifact = await self._write(scope, draft)
                await asyncio.to_thread(_put_in_place, draft, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, draft, True)
        for name in artifact.files:
            path = self.delivery.working / name
            scope.emit(ArtifactReady(str(path), self.delivery.format, path.stat().st_size))
        scope.put(artifact)
        yield

    async def _write(self, scope: Scope, draft: Path) -> Artifact:
        images, state, delivery = scope.get(DiskImages), scope.get(MachineState), self.delivery
        names: list[str] = []
        size = 0
        for number, disk in enumerate(self.disks):
            name = delivery.file_name if number == 0 else f"{delivery.file_name}-{number}"
            info = await images.info(state.disk(disk), format="qcow2")
            size = size or int(info.virtual_size)
            await images.convert(
                state.disk(disk), draft / name, source_format="qcow2", format=delivery.format,
                compress=delivery.compress,
                progress=lambda done, total, name=name: scope.emit(Progress(name, done, total)),  # type: ignore[misc]
            )  # fmt: skip
            names.append(name)
        disks = tuple(names)
        if self.uefi:
            await asyncio.to_thread(shutil.copyfile, state.uefi_variables, draft / UEFI_VARIABLES)
            if delivery.lists_variables:
                names.append(UEFI_VARIABLES)
        shown = delivery.folder_name
        details: dict[str, Any] = {
            "disks": [f"{shown}/{name}" for name in disks],
            "format": delivery.format,
            "size": size,
            "hardware": dict(delivery.hardware),
        }
        files = tuple(f"{shown}/{name}" for name in sorted(names))
        return Artifact(files, QEMU_ARTIFACT, delivery.folder, details)


def refuse_existing(delivery: Delivery) -> None:
    """As Packer: a folder that is there is somebody's work. Raises: TemplateError, unless it may be overwritten."""
    if delivery.folder.exists() and not delivery.overwrites:
        raise TemplateError(
            f"the output directory {delivery.folder_name} exists already",
            hint="move it away, or give -force to have it replaced once the new one is made",
        )


def _put_in_place(draft: Path, folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    deliver(draft, folder)


@dataclass(frozen=True, slots=True)
class PostProcessArtifact(Step):
    delivery: Delivery

    needs: ClassVar[tuple[type, ...]] = (Artifact, Programs, BuildName)

    @property
    def title(self) -> str:
        return "run " + ", ".join(link.kind for chain in self.delivery.chains for link in chain)

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        delivery, run_id = self.delivery, scope.get(BuildName).run_id
        chains = [[link.with_run_id(run_id) for link in chain] for chain in delivery.chains]

        async def run_scripts(options: Mapping[str, Any]) -> None:
            await local_scripts(options).run_on_host(
                scope.get(Programs),
                scope.runtime_dir,
                deadline=Deadline.after(_LONGEST, "a post-processor's script"),
                emit=scope.emit,
                on_line=lambda stream, line: scope.emit(GuestOutput("shell-local", stream, line)),
            )

        around = Surroundings(
            build=delivery.build,
            builder=delivery.builder,
            run_id=run_id,
            working=delivery.working,
            programs=scope.get(Programs),
            run_scripts=run_scripts,
            emit=scope.emit,
            time=int(time.time()),
            overwrites=frozenset({"manifest"} if delivery.overwrites else ()),
        )
        original = scope.get(Artifact)
        left = await run_chains(chains, original, around)
        if not left:
            raise StepError("no post-processor left anything of the artifact")
        for name in dict.fromkeys(name for artifact in left if artifact != original for name in artifact.files):
            path = delivery.working / name
            if path.exists():
                scope.emit(ArtifactReady(str(path), path.suffix.lstrip("."), path.stat().st_size))
        yield
