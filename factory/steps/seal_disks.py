"""Seals the machine's disks: removes what belongs to this build, trims, and proves it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from factory.drivers.machine_spec import DiskSpec
from factory.drivers.protocols import ApplianceDriver, DiskImages
from factory.outputs.delivery import SEAL_REPORT
from factory.plan.resources import BuildSecrets, MachineState
from factory.plan.step import Scope, Step
from factory.seal.model import SealOptions
from factory.seal.seal import seal
from factory.secret import Secret


@dataclass(frozen=True, slots=True)
class SealDisks(Step):
    """``secrets`` are the template's sensitive values, by name; the build's own are added when it runs."""

    disks: tuple[str, ...]
    options: SealOptions
    secrets: Mapping[str, Secret[str]] = field(default_factory=dict)

    version: ClassVar[int] = 4
    needs: ClassVar[tuple[type, ...]] = (ApplianceDriver, DiskImages, MachineState, BuildSecrets)

    @property
    def title(self) -> str:
        return "seal the disks"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        state = scope.get(MachineState)
        own = scope.get(BuildSecrets)
        private = await asyncio.to_thread(own.private_key.read_text)
        secrets = {**self.secrets, "build key": Secret(private), **own.generated}
        report = await seal(
            [DiskSpec(name, state.disk(name)) for name in self.disks],
            dataclasses.replace(self.options, secrets=secrets, build_keys=(own.public_key,)),
            driver=scope.get(ApplianceDriver),
            runtime_dir=scope.runtime_dir,
            emit=scope.emit,
            images=scope.get(DiskImages),
        )
        text = json.dumps(report.to_json(), indent=2)
        await asyncio.to_thread((state.folder / SEAL_REPORT).write_text, text)
        report.require_proven()
        scope.detail(report.summary)
        yield
