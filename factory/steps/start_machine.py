"""Starts QEMU on the machine's state: to install, to go on, or to look at a finished artifact."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from factory.drivers.machine_spec import CdromSpec, FloppySpec, KernelSpec, MachineSpec, TpmSpec
from factory.drivers.protocols import GuestAddress, Machine, MachineDriver, ScreenReader
from factory.errors import Evidence, FactoryError
from factory.plan.resources import (
    BuildSecrets,
    FurtherMedia,
    GuestAt,
    KernelFiles,
    MachineState,
    Media,
    SeedLog,
    SeedPlace,
    TpmAt,
)
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.late import late_values
from factory.template.late import render_late
from factory.template.model import Text

SERIAL_LOG = "serial.log"
TPM_LINK = "tpm-state"
_PICTURE = Duration(7)
"""For the last look at the screen: within the runner's patience for all evidence."""


class Role(enum.StrEnum):
    """What the machine is started for; names its logs."""

    INSTALL = "install"
    BOOT = "boot"


@dataclass(frozen=True, slots=True)
class StartTpm(Step):
    """Runs swtpm on the state in the layer."""

    tpm_version: str = "2.0"

    needs: ClassVar[tuple[type, ...]] = (MachineDriver, MachineState)
    provides: ClassVar[tuple[type, ...]] = (TpmAt,)

    @property
    def title(self) -> str:
        return f"start the TPM {self.tpm_version}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        driver = scope.get(MachineDriver)
        state = scope.get(MachineState).tpm
        state.mkdir(mode=0o700, exist_ok=True)
        # By a link, for the folder becomes a layer's at the next checkpoint, and the state goes on in another.
        link = scope.runtime_dir / TPM_LINK
        link.unlink(missing_ok=True)
        link.symlink_to(state.absolute())
        async with driver.start_tpm(
            link, runtime_dir=scope.runtime_dir, version=self.tpm_version, emit=scope.emit
        ) as socket:
            scope.put(TpmAt(socket, link))
            yield


@dataclass(frozen=True, slots=True)
class StartMachine(Step):
    """Starts the machine and lets it run.

    ``spec`` is the plan's machine without what belongs to one run: disks and firmware variables get their place in
    the layer, the installer ISO and seed media are attached for an installation, the TPM's socket is filled in.
    """

    spec: MachineSpec
    role: Role
    guest_port: int = 0
    command_line: Text = ""
    """For a direct kernel boot, with the seed's URL still open."""
    arguments: tuple[Text, ...] = ()
    """The user's own arguments for QEMU, with the seed's address still open; they stand in place of the spec's."""
    networks: tuple[tuple[Text, ...], ...] = ()
    """The same for the user networks of the cards."""
    guest: GuestAddress | None = None
    """The guest's own address, on a bridge; else a port of this host leads to ``guest_port``."""

    needs: ClassVar[tuple[type, ...]] = (MachineDriver, MachineState)
    wants: ClassVar[tuple[type, ...]] = (
        Media, SeedPlace, FurtherMedia, KernelFiles, TpmAt, BuildSecrets, ScreenReader,
    )  # fmt: skip
    provides: ClassVar[tuple[type, ...]] = (Machine, GuestAt)

    @property
    def title(self) -> str:
        what = "the installer" if self.role is Role.INSTALL else "the machine"
        spec = self.spec
        return f"start {what} ({spec.cpu.count} CPUs, {spec.memory}, {spec.accelerator})"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        driver = scope.get(MachineDriver)
        state = scope.get(MachineState)
        log_dir = scope.run_dir / self.role.value
        log_dir.mkdir(mode=0o700, exist_ok=True)
        spec = self._resolved(scope, state, log_dir)
        async with driver.start(spec, runtime_dir=scope.runtime_dir, log_dir=log_dir, emit=scope.emit) as machine:
            scope.on_failure(lambda: collect(scope, machine, log_dir))
            await machine.resume()
            scope.put_as(Machine, machine)
            if self.guest:
                scope.put(GuestAt(self.guest))
            elif self.guest_port:
                port = await machine.forwarded_port(self.guest_port)
                scope.put(GuestAt(GuestAddress("127.0.0.1", port)))
            if state.memory:
                scope.detail("resumed from memory")
            yield

    def _resolved(self, scope: Scope, state: MachineState, log_dir: Path) -> MachineSpec:
        spec = replace(
            self.spec,
            disks=tuple(replace(d, path=state.disk(d.id)) for d in self.spec.disks),
            serial_log=log_dir / SERIAL_LOG,
        )
        if spec.uefi:
            spec = replace(spec, uefi=replace(spec.uefi, variables=state.uefi_variables))
        if tpm := scope.find(TpmAt):
            spec = replace(spec, tpm=replace(spec.tpm or TpmSpec(tpm.socket), socket=tpm.socket))
        if state.memory:
            spec = replace(spec, incoming=state.memory.absolute())
        place = scope.find(SeedPlace)
        if place:
            spec = _with_seed(spec, place)
        if further := scope.find(FurtherMedia):
            spec = _with_media(spec, further)
        if self.arguments:
            late = late_values(scope)
            spec = replace(spec, extra_args=tuple(render_late(a, late) for a in self.arguments))
        if self.networks:
            late = late_values(scope)
            rendered = [tuple(render_late(option, late) for option in network) for network in self.networks]
            spec = replace(spec, nics=tuple(replace(n, network=r) for n, r in zip(spec.nics, rendered, strict=True)))
        if self.role is Role.INSTALL:
            spec = self._with_installer(scope, spec, place)
        return spec

    def _with_installer(self, scope: Scope, spec: MachineSpec, place: SeedPlace | None) -> MachineSpec:
        cds = tuple(replace(cd, path=scope.get(Media).path) if cd.id == "installer" else cd for cd in spec.cdroms)
        spec = replace(spec, cdroms=cds)
        files = scope.find(KernelFiles)
        if files:
            line = render_late(self.command_line, late_values(scope))
            initrd = place.initrd if place and place.initrd else files.initrd
            # QEMU's own boot ROM for -kernel has boot index 0: no device may have it, and none needs one.
            spec = replace(
                spec,
                kernel=KernelSpec(files.kernel, initrd, line),
                disks=tuple(replace(d, boot_index=None) for d in spec.disks),
                cdroms=tuple(replace(cd, boot_index=None) for cd in spec.cdroms),
            )
        return spec


def _with_seed(spec: MachineSpec, place: SeedPlace) -> MachineSpec:
    if place.cd:
        spec = replace(spec, cdroms=(*spec.cdroms, CdromSpec("seed", place.cd)))
    if place.floppy:
        spec = replace(spec, floppies=(*spec.floppies, FloppySpec("seed-floppy", place.floppy)))
    return spec


def _with_media(spec: MachineSpec, further: FurtherMedia) -> MachineSpec:
    cds = tuple(CdromSpec(f"cd{i}", path) for i, path in enumerate(further.cds, 1))
    floppies = tuple(FloppySpec(f"floppy{i}", path) for i, path in enumerate(further.floppies, 1))
    return replace(spec, cdroms=(*spec.cdroms, *cds), floppies=(*spec.floppies, *floppies))


async def collect(scope: Scope, machine: Machine, log_dir: Path) -> Evidence:
    """What explains a failure while the machine is still there: screenshot, screen text, serial tail, seed requests.

    Each part may fail on its own: a dying machine still leaves the others.
    """
    notes: list[str] = []
    screen, screenshot = "", log_dir / "failure.png"
    try:
        async with asyncio.timeout(float(_PICTURE)):  # a QEMU that does not answer must not hide the rest
            reader = scope.find(ScreenReader)
            if reader:
                await reader.save_picture(machine, screenshot)
                screen = await reader.read_text(machine)
            else:
                await machine.screenshot(screenshot)
    except TimeoutError:
        notes.append(f"no screenshot within {_PICTURE}")
    except (FactoryError, OSError) as error:
        notes.append(f"no screenshot: {error}")
    requests = scope.find(SeedLog)
    return Evidence(
        argv=machine.argv,
        serial=await asyncio.to_thread(machine.serial_text),
        screen=screen,
        screenshot=screenshot if screenshot.exists() else None,
        http_log=tuple(requests.lines) if requests else (),
        files=_logs(log_dir),
        notes=tuple(notes),
    )


def _logs(log_dir: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in log_dir.iterdir() if p.suffix in (".log", ".argv")))
