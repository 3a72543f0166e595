"""Makes a libvirt domain of the image: volumes in a pool, and a definition that can be started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from factory.drivers.protocols import LibvirtDriver, LibvirtPlace, LibvirtVolume
from factory.errors import StepError
from factory.events import ArtifactReady
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import TargetMachine
from factory.outputs.libvirt_domain import Domain, DomainDisk, domain_xml, files_of, made_by_us
from factory.outputs.model import Exported, Exports
from factory.plan.resources import Staging
from factory.plan.step import Scope, Step
from factory.template.output_options import USER_NETWORK, Libvirt, OutputOptions, Qcow2
from factory.verify.model import Verdict


@dataclass(frozen=True, slots=True)
class DefineInLibvirt(Step):
    """Uploads the qcow2 files that were exported and proven, and defines a domain on them.

    Runs before the artifact is published: when libvirt refuses, nothing is, and the next build tries again.
    """

    options: Libvirt
    image: str
    hardware: OvfHardware
    machine: TargetMachine
    accelerator: str

    needs: ClassVar[tuple[type, ...]] = (Exports, Staging, LibvirtDriver)
    wants: ClassVar[tuple[type, ...]] = (Verdict,)

    @property
    def title(self) -> str:
        return f"define the domain {self.image} in {self.options.uri}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        verdict = scope.find(Verdict)
        if verdict is None or verdict.passed:
            await self._define(scope)
        yield

    async def _define(self, scope: Scope) -> None:
        exports, folder = scope.get(Exports), scope.get(Staging).folder
        disks = [f for f in exports.files if f.format == "qcow2" and f.parts]
        if not disks:
            raise StepError("there is no qcow2 to upload", hint="this is an error of the program: please report it")
        volumes = [LibvirtVolume(_volume(f), folder / f.path, "qcow2", int(f.virtual_size)) for f in disks]
        nvram = next((f for f in exports.files if f.format == "uefi-variables"), None)
        if nvram:
            volumes.append(LibvirtVolume(_volume(nvram), folder / nvram.path, "raw", int(nvram.size)))

        network = "" if self.options.network == USER_NETWORK else self.options.network

        def describe(paths: Mapping[str, str], uuid: str) -> str:
            return domain_xml(
                Domain(
                    name=self.image,
                    key=disks[0].sha256,
                    hardware=self.hardware,
                    machine=self.machine.type,
                    nic=self.machine.nic,
                    network=network,
                    disks=[DomainDisk(paths[_volume(f)], str(self.machine.bus)) for f in disks],
                    nvram=paths[_volume(nvram)] if nvram else "",
                    kind="kvm" if self.accelerator == "kvm" else "qemu",
                    uuid=uuid,
                )
            )

        place = LibvirtPlace(self.options.uri, self.options.pool, network)
        await scope.get(LibvirtDriver).define(
            place, self.image, volumes, describe, ours=made_by_us, files=files_of, emit=scope.emit
        )
        scope.detail(", ".join(v.name for v in volumes))
        size = sum(int(f.size) for f in disks)
        usage = f"virsh -c {self.options.uri} start {self.image}"
        scope.emit(ArtifactReady(f"{self.options.uri} {self.image}", "libvirt", size, usage))


def _volume(file: Exported) -> str:
    """A name that differs with the content: the old definition keeps its volumes until the new one stands."""
    return f"{file.path.stem}-{file.sha256[:8]}{file.path.suffix}"


def with_qcow2(outputs: tuple[OutputOptions, ...]) -> tuple[OutputOptions, ...]:
    """What is written for *outputs*: a libvirt domain stands on a qcow2, which is delivered and proven too."""
    written = tuple(o for o in outputs if not isinstance(o, Libvirt))
    if len(written) < len(outputs) and not any(isinstance(o, Qcow2) for o in written):
        return (Qcow2(), *written)
    return written
