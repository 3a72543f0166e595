"""Puts the drivers that the outputs' platforms need into the guest's initramfs, while the guest still runs."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from factory.deadline import Deadline
from factory.drivers.protocols import ActivityProbe, Machine
from factory.errors import GuestCommandFailed
from factory.events import GuestOutput
from factory.outputs.driver_needs import driver_needs
from factory.plan.step import Scope, Step
from factory.quantity import Duration
from factory.steps.connect_guest import GuestLink
from factory.steps.watch import by_connection, watching
from factory.template.model import DEFAULT_STALL
from factory.template.output_options import OutputOptions

SCRIPT = Path(__file__).with_suffix(".sh")
_BUDGET = Duration(30 * 60)


@dataclass(frozen=True, slots=True)
class RebuildInitramfs(Step):
    """Runs the guest's own tool (initramfs-tools, dracut, mkinitcpio, mkinitfs) with the modules to add."""

    modules: tuple[str, ...]
    stall: Duration = DEFAULT_STALL

    needs: ClassVar[tuple[type, ...]] = (GuestLink,)
    wants: ClassVar[tuple[type, ...]] = (Machine, ActivityProbe)

    @property
    def title(self) -> str:
        return "rebuild the initramfs for the outputs' platforms"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        def on_line(stream: str, line: str) -> None:
            scope.emit(GuestOutput("initramfs", stream, line))

        words = f"env MODULES={shlex.quote(' '.join(self.modules))} sh -s"
        command = f'if [ "$(id -u)" = 0 ]; then exec {words}; else exec sudo -n {words}; fi'
        deadline = Deadline.after(_BUDGET, "the guest to rebuild its initramfs")
        connection = scope.get(GuestLink).connection
        async with watching(scope, deadline, self.stall, answers=by_connection(connection)) as watched:
            result = await connection.run(command, deadline=watched, on_line=on_line, stdin=SCRIPT.read_bytes())
        if result.exit_status != 0:
            last = (result.stderr or result.stdout).strip().splitlines()[-1:]
            raise GuestCommandFailed(
                f"the initramfs could not be rebuilt: {''.join(last) or f'status {result.exit_status}'}",
                exit_status=result.exit_status,
                hint="add the drivers in a provisioner of your own, and leave `initramfs: check`",
            )
        yield


def early_modules(outputs: Sequence[OutputOptions]) -> tuple[str, ...]:
    """Every module that a platform's disk may need before the root is mounted, in a fixed order."""
    return tuple(sorted({m for o in outputs for need in driver_needs(o) if need.early for m in need.modules}))
