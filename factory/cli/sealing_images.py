"""What ``factory seal`` does: works on overlays, proves them, and only then writes and renames."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from factory.cli.image_tools import READ_HERE, ImageTools, disks_of, run_with_tools
from factory.disk.qcow2_snapshots import snapshots
from factory.disk.reader import Qcow2Reader, open_disk
from factory.disk.writers import has_a_writer
from factory.drivers.protocols import ApplianceDisk
from factory.errors import StepError
from factory.opening import other_kind
from factory.outputs.export import export_all, parse_request
from factory.outputs.hardware import OvfHardware
from factory.outputs.lint_ova import lint_ova
from factory.outputs.ova_hardware import hardware_of
from factory.outputs.ova_package import is_package, open_package, sparse_vmdk
from factory.plan.resources import SealedDisk
from factory.quantity import Size
from factory.seal.model import SealOptions
from factory.seal.page import render_page
from factory.seal.report import SealReport
from factory.seal.seal import seal
from factory.template.output_options import OutputOptions
from factory.visible import visible

_BY_SUFFIX = {
    ".qcow2": "qcow2", ".raw": "raw", ".img": "raw", ".vmdk": "vmdk", ".vhd": "vhd", ".vhdx": "vhdx", ".ova": "ova",
}  # fmt: skip
_BY_FORMAT = {"qcow2": "qcow2", "raw": "raw", "vmdk": "vmdk", "vhdx": "vhdx"}


@dataclass(frozen=True, slots=True)
class _Target:
    """Where one machine's sealed disks go: one file each, or all into one (an OVA)."""

    request: OutputOptions
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Done:
    report: SealReport
    before: tuple[Size, ...]
    paths: tuple[Path, ...]


def seal_images(
    images: tuple[Path, ...], options: SealOptions, output: Path | None, *, as_json: bool, verbosity: int
) -> None:
    """Raises: VerificationFailed when the result is not clean; then the images are as they were."""
    # A link is followed: what it points to is replaced, and it goes on pointing there.
    images = tuple(image.resolve() for image in images)
    for image in images:
        if not stat.S_ISREG(image.stat().st_mode):
            what = other_kind(image) or "a device"
            raise click.UsageError(f"{image} is {what}, and no file: write its content to a file first")
    folder = images[0].parent
    if output is not None:
        folder = output if output.is_dir() else output.absolute().parent
        if not folder.is_dir():
            raise click.UsageError(f"there is no folder {folder}")
    done = run_with_tools(lambda t: _seal(images, options, output, t), beside=folder, verbosity=verbosity)
    if as_json:
        files = [{"path": str(p), "size": p.stat().st_size} for p in done.paths]
        click.echo(json.dumps({"files": files, **done.report.to_json()}, indent=2))
    else:
        _show(done)


async def _seal(images: tuple[Path, ...], options: SealOptions, output: Path | None, tools: ImageTools) -> _Done:
    disks = await disks_of(images, tools)
    target = await asyncio.to_thread(_target, images, disks, output)
    await asyncio.to_thread(_refuse_loss, images, target)
    before = tuple(Size(_on_disk(image)) for image in images)
    work = [await _work_copy(disk, tools) for disk in disks]
    report = await seal(
        work, options, driver=tools.driver, runtime_dir=tools.runtime, emit=tools.emit, images=tools.images
    )
    if not report.trimmed and not report.operations:
        raise StepError(
            f"there is nothing in {images[0].name} that could be sealed: no system, no file system, no swap",
            hint="; ".join(map(str, report.unseen)) or "is it a disk image?",
        )
    _write_report(target.paths[0], report)
    report.require_proven()
    files = await _written(images, work, target, report, tools)
    for path, destination in zip(files, target.paths, strict=True):
        _put(path, destination)
    return _Done(report, before, target.paths)


async def _work_copy(disk: SealedDisk, tools: ImageTools) -> ApplianceDisk:
    """What is worked on: an overlay, which takes no more than what is changed; whatever stands below is only read."""
    base, format = disk.path, disk.format
    if has_a_writer(base):
        raise StepError(f"{base.name} is in use: a running machine writes to it", hint="shut that machine down first")
    await tools.images.check(base, format=format)
    if format not in READ_HERE:
        base, format = tools.scratch / f"{disk.id}.qcow2", "qcow2"
        await tools.images.convert(disk.path, base, source_format=disk.format, format="qcow2")
    overlay = tools.scratch / f"{disk.id}.work.qcow2"
    # Clusters of a file system's blocks: only so can every freed block be given back.
    await tools.images.create(
        overlay, size=None, backing=str(base.absolute()), backing_format=format, options={"cluster_size": "4096"}
    )
    return ApplianceDisk(overlay, "qcow2", disk.id)


def _target(images: Sequence[Path], disks: Sequence[SealedDisk], output: Path | None) -> _Target:
    """Raises: click.UsageError when the result could not be written as it is wanted."""
    several, is_folder = len(images) > 1, output is not None and output.is_dir()
    if several and output is not None and not is_folder:
        raise click.UsageError("of several disks --output is a folder")
    paths = [output / i.name for i in images] if output and is_folder else [output.absolute()] if output else images
    if output is None and disks[0].path != images[0]:
        raise click.UsageError(
            f"{images[0].name} is an OVA: its disk is sealed into a file of its own, or into a new OVA. "
            f"Say which: --output {images[0].stem}.qcow2, or --output {images[0].stem}-sealed.ova"
        )
    word = _BY_SUFFIX.get(paths[0].suffix.lower(), "") if output is not None else ""
    word = word or _BY_FORMAT.get(disks[0].format, "")
    if not word:
        raise click.UsageError(f"a {disks[0].format} is not written back: use --output FILE.qcow2")
    if word != "ova" and len(disks) > len(paths):
        raise click.UsageError(f"{images[0].name} holds {len(disks)} disks: only --output FILE.ova keeps them together")
    same = output is None or word == disks[0].format
    return _Target(_request(word, disks[0]) if same else parse_request(word), tuple(paths))


def _refuse_loss(images: Sequence[Path], target: _Target) -> None:
    """Raises: click.UsageError when a file, or something in one, would be gone that nobody has given up."""
    for path in target.paths:
        if path.resolve() not in images and (path.exists() or path.is_symlink()):
            raise click.UsageError(f"{path} is there already: move it away, or give another --output")
    for image in (i for i in images if i in {p.resolve() for p in target.paths}):
        names = snapshots(image)
        if names:
            listed = ", ".join(names[:3]) + ("…" if len(names) > 3 else "")
            raise click.UsageError(
                f"{image.name} holds {len(names)} snapshots ({listed}), which sealing in place would drop, and which "
                f"hold what sealing removes: write the sealed image elsewhere with --output, "
                f"or remove them first (qemu-img snapshot -d NAME {image.name})"
            )


def _request(word: str, disk: SealedDisk) -> OutputOptions:
    """The format as it was: compressed where it was, of the same kind."""
    if word == "qcow2":
        with open_disk(disk.path, "qcow2") as reader:
            kind = reader.compressed if isinstance(reader, Qcow2Reader) else ""
        return parse_request("qcow2", {"compress": kind or "none"})
    if word == "vmdk":
        facts = sparse_vmdk(disk.path)
        if facts is None:
            raise click.UsageError(f"{disk.path.name} lies in several files: use --output FILE.vmdk, or .qcow2")
        return parse_request("vmdk", {"subformat": "streamOptimized" if facts.compressed else "monolithicSparse"})
    return parse_request(word)


async def _written(
    images: Sequence[Path], work: Sequence[ApplianceDisk], target: _Target, report: SealReport, tools: ImageTools
) -> list[Path]:
    """The sealed disks in their final format, still beside their final places."""
    sealed = []
    for disk in work:
        info = await tools.images.info(disk.path, format="qcow2")
        sealed.append(SealedDisk(disk.id, disk.path, "qcow2", info.virtual_size))
    hardware = OvfHardware()
    if is_package(images[0]):
        hardware = hardware_of(await asyncio.to_thread(open_package, images[0]))
    hardware = dataclasses.replace(hardware, os_id=report.guest.id, os_version=report.guest.version)
    staging = tools.scratch / "sealed"
    staging.mkdir()
    exports = await export_all(
        sealed,
        [target.request],
        name=target.paths[0].name.split(".")[0] or "image",
        hardware=hardware,
        uefi_variables=None,
        staging=staging,
        images=tools.images,
        emit=tools.emit,
    )
    files = [staging / f.path for f in exports.files if not f.sidecar]
    if target.request.kind == "ova":
        broken = [v for v in await asyncio.to_thread(lint_ova, files[0]) if not v.ok]
        if broken:
            raise StepError(f"the OVA that was written breaks the rule {broken[0].rule}: {broken[0].problems[0]}")
    return files


def _put(path: Path, destination: Path) -> None:
    """Gives *path* its final name, with the owner and mode of what it replaces; on disk before it has it."""
    if destination.exists():
        shutil.copymode(destination, path)
        if os.geteuid() == 0:
            status = destination.stat()
            os.chown(path, status.st_uid, status.st_gid)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    path.replace(destination)


def _write_report(image: Path, report: SealReport) -> None:
    data = report.to_json()
    image.with_name(f"{image.name}.seal.json").write_text(json.dumps(data, indent=2) + "\n")
    image.with_name(f"{image.name}.seal.html").write_text(render_page(data, image.name))


def _on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


def _show(done: _Done) -> None:
    report = done.report
    click.echo(visible(f"{report.guest}: {report.summary}"))  # the guest says itself what it is
    for operation in report.operations:
        if operation.paths:
            click.echo(f"  {operation.name:<26} {operation.paths:>6}  {click.style(operation.what, dim=True)}")
    free = Size(sum(f.free for f in report.free_space))
    click.echo(f"  free space and swap, read back: {free}, all zeros" if free else "  free space was not read back")
    secrets = f"none, but for {report.allowed} that are allowed" if report.allowed else "none"
    click.echo(f"  secrets: {secrets if report.searched else 'nobody has looked for any'}")
    for shrunk in report.shrunk:
        click.echo(f"  cut: {shrunk}")
    sizes: dict[str, Any] = dict(zip(map(str, done.paths), done.before, strict=False))
    for path in done.paths:
        was = f" (before: {sizes[str(path)]})" if str(path) in sizes else ""
        click.echo(f"{click.style(str(path), bold=True)}: {Size(_on_disk(path))} on disk{was}")
    click.echo(f"report: {done.paths[0]}.seal.html, .seal.json")
