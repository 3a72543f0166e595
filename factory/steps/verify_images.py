"""Boots what was exported, on a throw-away overlay, before anybody is given it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from factory.deadline import Deadline
from factory.drivers.machine_spec import MachineSpec
from factory.drivers.protocols import (
    ApplianceDisk,
    ApplianceDriver,
    Communicator,
    Credentials,
    DiskAccess,
    DiskImages,
    GuestAddress,
    GuestConnection,
    Machine,
    MachineDriver,
    SshProbe,
)
from factory.errors import FactoryError, VerificationFailed
from factory.events import GuestOutput
from factory.outputs.model import Exported, Exports
from factory.plan.resources import BuildSecrets, MachineState, Staging
from factory.plan.step import Scope, Step
from factory.seal.layout import inspect
from factory.steps.late import late_values
from factory.steps.start_machine import collect
from factory.template.late import render_late
from factory.template.model import Ssh, Verify


@dataclass(slots=True)
class Verdict:
    """What was seen of each artifact that was booted; goes into the manifest."""

    results: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"passed": all(r["passed"] for r in self.results), "booted": self.results}


@dataclass(frozen=True, slots=True)
class VerifyImages(Step):
    """Raises VerificationFailed: then nothing is published, and what was built is kept aside for a look."""

    verify: Verify
    ssh: Ssh | None
    spec: MachineSpec
    guest_port: int

    needs: ClassVar[tuple[type, ...]] = (Exports, Staging, MachineState, DiskImages, MachineDriver, ApplianceDriver)
    wants: ClassVar[tuple[type, ...]] = (SshProbe, Communicator, BuildSecrets)
    provides: ClassVar[tuple[type, ...]] = (Verdict,)

    @property
    def title(self) -> str:
        return "boot the exported image"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        verdict = Verdict()
        for exported in bootable(scope.get(Exports)):
            folder = scope.run_dir / "verify" / exported.format
            folder.mkdir(parents=True, mode=0o700)
            started = time.monotonic()
            try:
                seen = await self._boot(scope, exported, folder)
            except FactoryError as error:
                aside = await asyncio.to_thread(keep_aside, scope.get(Staging))
                raise VerificationFailed(
                    f"the exported {exported.format} does not pass: {error.message}",
                    hint=f"nothing was published; what was built is in {aside}. {error.hint}".strip(),
                    evidence=error.evidence,
                ) from error
            finally:
                for overlay in folder.glob("*.qcow2"):
                    overlay.unlink()
            seconds = round(time.monotonic() - started, 1)
            verdict.results.append(
                {"path": str(exported.path), "format": exported.format, "passed": True, "seconds": seconds, **seen}
            )
            scope.detail(f"{exported.format}: {seen.get('banner') or 'booted'}")
        scope.put(verdict)
        yield

    async def _boot(self, scope: Scope, exported: Exported, folder: Path) -> dict[str, Any]:
        spec = await self._machine(scope, exported, folder)
        commands = [render_late(text, late_values(scope)) for text in self.verify.run]
        key = await self._admit(scope, spec) if commands and self.ssh else None
        runtime = scope.runtime_dir / f"v-{exported.format}"
        driver = scope.get(MachineDriver)
        async with driver.start(spec, runtime_dir=runtime, log_dir=folder, emit=scope.emit) as machine:
            await machine.resume()
            try:
                return await self._look(scope, machine, commands, key)
            except FactoryError as error:
                error.evidence = await collect(scope, machine, folder)
                raise

    async def _machine(self, scope: Scope, exported: Exported, folder: Path) -> MachineSpec:
        """The template's machine, with overlays on the exported disks and its own copy of the UEFI variables."""
        images, staging, state = scope.get(DiskImages), scope.get(Staging).folder, scope.get(MachineState)
        disks = []
        for disk, part in zip(self.spec.disks, exported.parts, strict=False):
            overlay = folder / f"{disk.id}.qcow2"
            await images.create(overlay, size=None, backing=str((staging / exported.path).with_name(part.name)))
            disks.append(replace(disk, path=overlay))
        spec = replace(self.spec, disks=tuple(disks), serial_log=folder / "serial.log", tpm=None)
        if spec.uefi:
            variables = folder / "uefi-variables.fd"
            await asyncio.to_thread(shutil.copyfile, state.uefi_variables, variables)
            spec = replace(spec, uefi=replace(spec.uefi, variables=variables))
        return spec

    async def _admit(self, scope: Scope, spec: MachineSpec) -> Path:
        """Puts the build key into the overlay: the image itself lets nobody in."""
        assert self.ssh is not None
        secrets = scope.get(BuildSecrets)
        home = "/root" if self.ssh.user == "root" else f"/home/{self.ssh.user}"
        deadline = Deadline.after(self.verify.deadline, "the appliance to admit the verifier")
        disks = [ApplianceDisk(d.path, d.format) for d in spec.disks]
        async with scope.get(ApplianceDriver).launch(
            disks, access=DiskAccess.READ_WRITE, runtime_dir=scope.runtime_dir, deadline=deadline, emit=scope.emit
        ) as appliance:
            await inspect(appliance)  # finds the file systems and mounts them
            line = f"{secrets.public_key}\n"
            await appliance.batch(
                [
                    ("mkdir_p", f"{home}/.ssh"),
                    ("chmod", 0o700, f"{home}/.ssh"),
                    ("write_append", f"{home}/.ssh/authorized_keys", line),
                    ("chmod", 0o600, f"{home}/.ssh/authorized_keys"),
                ]
            )
            owner = await appliance.call("stat", home)
            for name in (f"{home}/.ssh", f"{home}/.ssh/authorized_keys"):
                await appliance.call("chown", owner["uid"], owner["gid"], name)
        return secrets.private_key

    async def _look(self, scope: Scope, machine: Machine, commands: list[str], key: Path | None) -> dict[str, Any]:
        deadline = Deadline.after(self.verify.deadline, "the exported image to answer by SSH")
        if self.ssh is None:
            return {"banner": "", "commands": []}
        address = GuestAddress("127.0.0.1", await machine.forwarded_port(self.guest_port))
        banner = await scope.get(SshProbe)(address, deadline=deadline, emit=scope.emit)
        await machine.screenshot(scope.run_dir / "verify" / "booted.png")
        if not commands:
            return {"banner": banner, "commands": []}
        credentials = Credentials(self.ssh.user, private_key=key)
        async with scope.get(Communicator).connect(
            address, credentials, deadline=deadline, emit=scope.emit
        ) as connection:
            return {"banner": banner, "commands": [await run(scope, connection, c, deadline) for c in commands]}


async def run(scope: Scope, connection: GuestConnection, command: str, deadline: Deadline) -> dict[str, Any]:
    """One of ``verify.run``. Raises: VerificationFailed."""

    def on_line(stream: str, line: str) -> None:
        scope.emit(GuestOutput("verify", stream, line))

    result = await connection.run(command, deadline=deadline, on_line=on_line)
    if result.exit_status != 0:
        words = (result.stderr or result.stdout).strip().splitlines()
        last = f": {words[-1]}" if words else ""
        raise VerificationFailed(
            f"{command!r} ended with {result.exit_status} in the booted image{last}",
            hint="what `verify.run` names must end with 0",
        )
    return {"command": command, "exit_status": result.exit_status}


def bootable(exports: Exports) -> list[Exported]:
    """What is booted: the qcow2, for every other format was made to equal it; else the first that can be."""
    candidates = [f for f in exports.files if not f.sidecar and f.parts and f.format in ("qcow2", "raw", "vmdk")]
    preferred = [f for f in candidates if f.format == "qcow2"]
    return (preferred or candidates)[:1]


def keep_aside(staging: Staging) -> Path:
    """Moves what was built beside the final place, never under its name."""
    aside = staging.destination.with_name(f"{staging.destination.name}.failed")
    if aside.exists():
        shutil.rmtree(aside)
    staging.folder.rename(aside)
    return aside
