"""Makes all outputs of a build, side by side, from work that they share."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from factory.drivers.protocols import DiskImages
from factory.errors import StepError, TemplateError
from factory.events import ArtifactReady, Emit
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import target_machine
from factory.outputs.model import Exported, Exports, SealedDisk, Work
from factory.template.output_options import OPTIONS_MODELS, OutputOptions, PluginOutput, Raw

_EXPORTERS: Mapping[str, str] = {
    "qcow2": "disk_files:export_qcow2",
    "vmdk": "disk_files:export_vmdk",
    "vhdx": "disk_files:export_vhdx",
    "ova": "ova:export_ova",
    "raw": "raw:export_raw",
    "vagrant": "vagrant:export_vagrant",
    "vhd": "cloud:export_vhd",
    "gce": "cloud:export_gce",
    "containerdisk": "cloud:export_container_disk",
    "plugin": "plugins:export_plugin",
}


def parse_request(kind: str, options: Mapping[str, Any] | None = None) -> OutputOptions:
    """An output from its word and its options, as `factory convert` takes them. Raises: TemplateError."""
    from pydantic import ValidationError

    model = OPTIONS_MODELS.get(kind)
    if model is None:
        raise TemplateError(f"there is no output {kind!r}", hint=f"outputs are {', '.join(OPTIONS_MODELS)}")
    try:
        return model(**{"kind": kind, **(options or {})})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TemplateError(f"output {kind}: {place}: {first['msg']}") from error


async def export_all(
    sealed: Sequence[SealedDisk],
    requests: Sequence[OutputOptions],
    *,
    name: str,
    hardware: OvfHardware,
    uefi_variables: Path | None,
    staging: Path,
    images: DiskImages,
    emit: Emit,
    uefi_code: Path | None = None,
) -> Exports:
    """Writes every output of *sealed* below *staging*; the first disk is the one that boots.

    *uefi_code* is the firmware of this computer that *uefi_variables* belong to.

    Raises: StepError, CommandFailed, TemplateError when two outputs would have one name. On an error the folder holds
    whatever was written; it is the caller's to drop.
    """
    work = Work(sealed, name, hardware, uefi_variables, staging, images, emit, uefi_code=uefi_code)
    _refuse_clashes(requests)
    work.scratch.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    try:
        results = await _side_by_side([_timed(r, work, seconds) for r in requests])
        files = [file for result in results for file in result]
        if uefi_variables is not None:
            files.append(await _deliver_variables(work, uefi_variables))
    finally:
        await asyncio.to_thread(shutil.rmtree, work.scratch, True)
    _refuse_twins(files)
    for file in files:
        emit(ArtifactReady(str(file.path), file.format, file.size, file.usage))
    return Exports(tuple(files), name, hardware, seconds)


async def _timed(request: OutputOptions, work: Work, seconds: dict[str, float]) -> list[Exported]:
    started = time.monotonic()
    result = await _exporter(request)(request, work)
    seconds[_file_kind(request)] = round(time.monotonic() - started, 3)
    target = target_machine(request)
    return [file if file.sidecar else replace(file, target=target) for file in result]


def _exporter(request: OutputOptions) -> Callable[[OutputOptions, Work], Awaitable[list[Exported]]]:
    place = _EXPORTERS.get(request.kind)
    if place is None:
        raise StepError(f"the output {request.kind!r} is not written by this step")
    module, function = place.split(":")
    exporter = getattr(import_module(f"factory.outputs.{module}"), function)
    return cast("Callable[[OutputOptions, Work], Awaitable[list[Exported]]]", exporter)


async def _side_by_side(work: Sequence[Awaitable[list[Exported]]]) -> list[list[Exported]]:
    """Awaits all; when one fails the others are cancelled, and its own error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_as_coroutine(w)) for w in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _as_coroutine(work: Awaitable[list[Exported]]) -> list[Exported]:
    return await work


async def _deliver_variables(work: Work, variables: Path) -> Exported:
    destination = work.staging / work.variables_name
    await asyncio.to_thread(shutil.copyfile, variables, destination)
    usage = "the machine's UEFI variables: give each machine a copy of its own"
    return await work.exported(destination, "uefi-variables", usage=usage, sidecar=True)


def _refuse_clashes(requests: Sequence[OutputOptions]) -> None:
    kinds = [_file_kind(r) for r in requests]
    twice = sorted({k for k in kinds if kinds.count(k) > 1})
    if twice:
        raise TemplateError(
            f"two outputs would be written to one file: {', '.join(twice)}", hint="leave one of them out"
        )


def _file_kind(request: OutputOptions) -> str:
    variant = getattr(request, "provider", "") or (request.compress if isinstance(request, Raw) else "")
    if isinstance(request, PluginOutput):
        variant = request.name
    return f"{request.kind}-{variant}" if variant else request.kind


def _refuse_twins(files: Sequence[Exported]) -> None:
    names = [str(f.path) for f in files]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise StepError(f"two outputs wrote {', '.join(twice)}", hint="rename the disk whose id makes them equal")
