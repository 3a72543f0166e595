"""What ``factory convert`` does with an image: read it, write it in every format asked for, let all appear at once."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from factory import __version__
from factory.cli.image_tools import READ_HERE, ImageTools, disks_of, readable, readable_disks, run_with_tools
from factory.disk.boot_sector import boots_by_uefi_only
from factory.engine import delivered
from factory.errors import TemplateError
from factory.events import Note
from factory.outputs.delivery import deliver, refuse_foreign
from factory.outputs.export import export_all, parse_request
from factory.outputs.hardware import OvfHardware
from factory.outputs.manifest import write_manifest
from factory.outputs.ova_hardware import hardware_of
from factory.outputs.ova_package import open_package
from factory.outputs.preview import Preview, preview
from factory.plan.resources import SealedDisk
from factory.quantity import Size
from factory.seal.guest_access import opened
from factory.steps.guest_drivers import look_for_drivers, name_missing, needs_of
from factory.template.output_options import Libvirt, OutputOptions
from factory.visible import visible_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")


@dataclass(frozen=True, slots=True)
class Wish:
    """The command line of ``factory convert`` for an image. ``firmware`` None: as the image itself says."""

    source: Path
    outputs: str
    output: Path
    name: str
    firmware: str | None


def parse_outputs(text: str) -> list[OutputOptions]:
    """``ova,raw:compress=zstd:bmap=true`` → options. Raises: TemplateError."""
    requests = []
    for word in filter(None, (w.strip() for w in text.split(","))):
        kind, *settings = word.split(":")
        options = {}
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals:
                raise TemplateError(f"output {kind}: {setting!r} is not OPTION=VALUE", hint="as in raw:compress=zstd")
            options[key] = value
        request = parse_request(kind, options)
        if isinstance(request, Libvirt):
            raise TemplateError(
                "the output libvirt is made by builds only",
                hint="convert to qcow2, then: virt-install --import --disk path=NAME.qcow2,bus=virtio …",
            )
        requests.append(request)
    if not requests:
        raise TemplateError("no output is named", hint="for example --to ova,vagrant")
    return requests


def convert_image(wish: Wish, *, preview: bool, as_json: bool, verbosity: int) -> None:
    """Raises: FactoryError, click.Abort."""
    if not _NAME.match(wish.name):
        raise click.UsageError(f"{wish.name!r} can't name files: use letters, digits, '.', '_' and '-' (--name)")
    requests = parse_outputs(wish.outputs)
    if preview:
        found = run_with_tools(
            lambda t: _preview(wish, requests, t), beside=_existing(wish.output), verbosity=verbosity
        )
        _show_preview(found, as_json)
        return
    destination = wish.output.absolute() / wish.name
    refuse_foreign(destination)
    wish.output.mkdir(parents=True, exist_ok=True)
    run_with_tools(lambda t: _convert(wish, requests, destination, t), beside=wish.output, verbosity=verbosity)
    if as_json:
        click.echo(visible_json((destination / "manifest.json").read_text()), nl=False)
    else:
        _show_files(destination)


def _existing(folder: Path) -> Path:
    return next(p for p in (folder.absolute(), *folder.absolute().parents) if p.is_dir())


async def _convert(wish: Wish, requests: list[OutputOptions], destination: Path, tools: ImageTools) -> None:
    disks = await disks_of((wish.source,), tools)
    drivers = await _drivers(disks, requests, tools)
    staging = tools.scratch / wish.name
    staging.mkdir()
    exports = await export_all(
        disks,
        requests,
        name=wish.name,
        hardware=await _hardware(wish, disks, tools),
        uefi_variables=None,
        staging=staging,
        images=tools.images,
        emit=tools.emit,
    )
    source = {"name": wish.source.name, "disks": [{"format": d.format, "size": int(d.virtual_size)} for d in disks]}
    about = {"source": source, "versions": {"factory": __version__}, **drivers}
    await asyncio.to_thread(write_manifest, staging, exports, about=about)
    await asyncio.to_thread(deliver, staging, destination)


async def _drivers(disks: list[SealedDisk], requests: list[OutputOptions], tools: ImageTools) -> dict[str, Any]:
    """Names what the guest lacks where it is going, before anything is exported, as a build does; for the manifest."""
    needs = needs_of(requests)
    if not needs:
        return {}
    copies = await readable(disks, tools)
    found = await look_for_drivers(copies, driver=tools.driver, runtime_dir=tools.runtime, emit=tools.emit)
    for copy, disk in zip(copies, disks, strict=True):
        if copy.path != disk.path:
            copy.path.unlink()  # the room is needed for what is written now
    return {"drivers": name_missing(found, needs, tools.emit).to_json()}


async def _hardware(wish: Wish, disks: list[SealedDisk], tools: ImageTools) -> OvfHardware:
    if disks[0].path != wish.source:  # it was unpacked from an OVA
        package = await asyncio.to_thread(open_package, wish.source)
        found = hardware_of(package)
    elif disks[0].format in READ_HERE:
        with opened(disks[:1]) as readers:
            found = OvfHardware(uefi=await asyncio.to_thread(boots_by_uefi_only, readers[0]))
    else:
        found = OvfHardware()
        if wish.firmware is None:
            tools.emit(Note(f"the machine is described with a BIOS: how a {disks[0].format} boots is not looked up"))
    return found if wish.firmware is None else dataclasses.replace(found, uefi=wish.firmware == "uefi")


async def _preview(wish: Wish, requests: list[OutputOptions], tools: ImageTools) -> Preview:
    disks = await readable_disks((wish.source,), tools)
    converted = sum(p.stat().st_blocks * 512 for p in tools.scratch.rglob("*") if p.is_file())
    with opened(disks) as readers:
        return await asyncio.to_thread(preview, readers, requests, converted=converted)


def _show_preview(found: Preview, as_json: bool) -> None:
    if as_json:
        data: dict[str, Any] = {**dataclasses.asdict(found), "space": found.space}
        click.echo(json.dumps(data, indent=2))
        return
    click.echo(f"{found.data} of data on disks of {found.virtual}")
    click.echo(f"  {'output':<22} {'size':>10} {'on disk':>10} {'time':>8}")
    for e in found.estimates:
        click.echo(f"  {e.output:<22} {'~ ' + str(e.size):>10} {'~ ' + str(e.space):>10} {'~ ' + str(e.seconds):>8}")
    click.echo(f"  {'together':<22} {'':>10} {'~ ' + str(found.space):>10} {'~ ' + str(found.seconds):>8}")
    free = Size(shutil.disk_usage(Path.cwd()).free)
    click.echo(f"besides, for the time of the work: {found.temporary} (free here: {free})")


def _show_files(destination: Path) -> None:
    manifest = delivered.read_manifest(destination) or {}
    for file in manifest.get("files", ()):
        click.echo(f"{destination / file['path']}  {Size(file['size'])}")
        if file.get("usage"):
            click.echo(click.style(f"    {file['usage']}", dim=True))
