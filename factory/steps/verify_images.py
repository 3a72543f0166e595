"""Boots what was exported, on throw-away overlays, before anybody is given it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from factory.drivers.machine_spec import MachineSpec
from factory.drivers.protocols import (
    ActivityProbe,
    ApplianceDriver,
    Communicator,
    DiskImages,
    KeyMaker,
    MachineDriver,
    ScreenReader,
    SshProbe,
)
from factory.outputs.model import Exports
from factory.plan.resources import BuildSecrets, MachineState, Staging
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.artifact import seal_report
from factory.steps.guest_drivers import GuestDrivers
from factory.steps.late import late_values
from factory.steps.watch import watcher
from factory.template.late import render_late
from factory.template.model import DEFAULT_STALL, Template, Verify
from factory.verify.model import NO_LOGIN, Bench, Request, Verdict
from factory.verify.prove import Places, in_brief, prove


@dataclass(frozen=True, slots=True)
class VerifyImages(Step):
    """Puts a ``Verdict``; ``Publish`` acts on it, and keeps aside what did not pass.

    ``fresh_variables`` are the firmware's own, for platforms that start a machine without the build's.
    """

    verify: Verify
    request: Request
    spec: MachineSpec
    machine_types: Mapping[str, str]
    fresh_variables: Path | None = None
    stall: Duration = DEFAULT_STALL

    needs: ClassVar[tuple[type, ...]] = (
        Exports, GuestDrivers, Staging, MachineState, DiskImages, MachineDriver, ApplianceDriver, KeyMaker,
    )  # fmt: skip
    wants: ClassVar[tuple[type, ...]] = (SshProbe, Communicator, BuildSecrets, ScreenReader, ActivityProbe)
    provides: ClassVar[tuple[type, ...]] = (Verdict,)

    @property
    def title(self) -> str:
        return "boot the exported images"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        commands = tuple(render_late(text, late_values(scope)) for text in self.verify.run)
        state = scope.get(MachineState)
        bench = Bench(
            scope.get(MachineDriver), scope.get(DiskImages), scope.get(ApplianceDriver), scope.get(SshProbe),
            scope.get(Communicator), scope.get(KeyMaker), scope.find(ScreenReader), self.spec, self.machine_types,
            state.uefi_variables if self.spec.uefi else None, self.fresh_variables,
            watcher(scope.find(ActivityProbe), scope.emit, self.stall),
        )  # fmt: skip
        places = Places(scope.get(Staging).folder, scope.run_dir / "verify", scope.runtime_dir)
        grow = self.request.grow
        if self.verify.grow is None:  # the seal leaves a disk as it is where the guest could not grow again
            grow = bool((seal_report(state) or {}).get("shrunk"))
        request, drivers = replace(self.request, run=commands, grow=grow), scope.get(GuestDrivers).drivers
        verdict = await prove(scope.get(Exports), request, bench, places, drivers, scope.emit)
        scope.put(verdict)
        scope.detail(in_brief(verdict))
        yield


def request_of(template: Template) -> Request:
    """What a template asks to be proven; its commands are filled in when it is."""
    verify, access = template.verify or Verify(), template.access
    login, user, port = NO_LOGIN, "root", 22
    if not access.none and not access.winrm:
        login = "ssh"
        if access.ssh:
            user, port = access.ssh.user, access.ssh.port
            if template.seal and user in template.seal.remove_users:
                user = "root"  # who stays in every image: the seal refuses to remove it
    return Request(
        formats=verify.formats if verify.boot else (),
        clones=verify.clones,
        hostname=verify.hostname,
        grow=bool(verify.grow),
        allow_failed=verify.allow_failed,
        deadline=Duration(verify.deadline),
        login=login,
        user=user,
        port=port,
    )
