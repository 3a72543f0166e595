"""What every build is given before its first step, as far as a plan asks for it. Light: every command imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from factory.cli.places import Places
from factory.deadline import Deadline
from factory.drivers import process, protocols
from factory.drivers.download import MediaDownloads
from factory.drivers.protocols import OnLine, ProgramResult
from factory.drivers.qemu.checkpoint import QemuCheckpoints
from factory.engine.layer_index import Layer, why_unusable
from factory.engine.media import Library
from factory.events import Emit
from factory.host.facts import HostFacts
from factory.plan.model import Plan
from factory.plan.resources import BuildName, MachineState
from factory.secret import Redactor
from factory.steps.fetch_media import MediaLibrary
from factory.steps.start_machine import StartMachine

GIVEN = (
    Redactor, BuildName, MediaLibrary, MachineState, protocols.MachineDriver, protocols.DiskImages,
    protocols.Communicator, protocols.SeedServer, protocols.ApplianceDriver, protocols.Checkpoints, protocols.KeyMaker,
    protocols.ScreenReader, protocols.ActivityProbe, protocols.Typist, protocols.SshProbe, protocols.MediaMaker,
    protocols.Programs, protocols.LibvirtDriver, protocols.FolderGuard,
)  # fmt: skip
"""What every build has before its first step: by this, wiring is checked."""


def media_library(places: Places, root: Path, log_dir: Path) -> Library:
    """Where a project's media come from."""
    return Library(places.media, root, log_dir, HostPrograms(), MediaDownloads(places.media))


class HostPrograms:
    """``protocols.Programs``: scripts of the project may need the network, so proxies are handed on."""

    async def run(
        self, argv: Sequence[str], *, deadline: Deadline, emit: Emit, cwd: Path | None = None,
        env: Mapping[str, str] | None = None, log: Path | None = None, on_line: OnLine | None = None,
    ) -> ProgramResult:  # fmt: skip
        result = await process.run(
            argv, deadline=deadline, emit=emit, cwd=cwd, env=env, log=log, inherit=process.PROXIES,
            on_stdout_line=(lambda line: on_line("stdout", line)) if on_line else None,
            on_stderr_line=(lambda line: on_line("stderr", line)) if on_line else None,
        )  # fmt: skip
        return ProgramResult(result.exit_status, result.stdout, result.stderr)


def usable_here(plan: Plan, facts: HostFacts) -> Callable[[Layer], str]:
    """Says why a layer's memory can't be resumed by *plan* on this host; an empty text when it can."""
    spec = next((step.spec for step in plan.boot if isinstance(step, StartMachine)), None)
    if spec is None:
        return lambda layer: ""
    wanted = QemuCheckpoints(facts.qemu_version, host_cpu=facts.cpu_name).fingerprint(spec)
    return lambda layer: why_unusable(layer, wanted)
