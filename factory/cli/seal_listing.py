"""``factory seal --list`` and ``--dry-run``: what there is, and what would be done."""

from __future__ import annotations

import json
from pathlib import Path

import click

from factory.cli.image_tools import ImageTools, readable_disks, run_with_tools
from factory.seal.model import LINUX, UNIX, WINDOWS, Operation, SealOptions
from factory.seal.operations import DEVICE_OPERATIONS, OPERATIONS
from factory.seal.preview import Preview, preview_seal

_SHOWN = 8


def guests(operation: Operation) -> str:
    """Families in a word or two."""
    names = {LINUX: "Linux", UNIX: "Linux, BSD", WINDOWS: "Windows"}
    return names.get(operation.families) or ", ".join(sorted(operation.families))


def operation_rows() -> list[dict[str, object]]:
    """Every operation as plain data: name, default, guests, what, why, and the globs of what it removes and so on."""
    rows: list[dict[str, object]] = [
        {"name": o.name, "default": o.default, "guests": guests(o), "what": o.what, "why": o.why}
        | {"removes": list(o.remove), "empties": list(o.empty), "keeps": list(o.keep)}
        | {"rewrites": [glob for strip in o.strip for glob in strip.globs], "own code": o.act is not None}
        for o in OPERATIONS.values()
    ]
    rows += [
        {"name": d.name, "default": d.default, "guests": "Linux", "what": d.what, "why": d.why, "own code": True}
        for d in DEVICE_OPERATIONS.values()
    ]
    return rows


def show_operations(*, as_json: bool) -> None:
    rows = operation_rows()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        mark = click.style("on ", fg="green") if row["default"] else click.style("off", fg="yellow")
        click.echo(f"{mark} {click.style(str(row['name']), bold=True)}  ({row['guests']}): {row['what']}")
        click.echo(click.style(f"      {str(row['why']).removeprefix('off: ')}", dim=True))
        where = [*row.get("removes", ()), *row.get("empties", ()), *row.get("rewrites", ())]  # type: ignore[misc]
        if where:
            more = f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else ""
            click.echo(click.style(f"      {' '.join(where[:_SHOWN])}{more}", dim=True))


def preview_images(images: tuple[Path, ...], options: SealOptions, *, as_json: bool, verbosity: int) -> None:
    async def work(tools: ImageTools) -> Preview:
        disks = await readable_disks(images, tools)
        return await preview_seal(disks, options, driver=tools.driver, runtime_dir=tools.runtime, emit=tools.emit)

    found = run_with_tools(work, beside=images[0].absolute().parent, verbosity=verbosity)
    if as_json:
        data = {"guest": str(found.guest), "operations": found.operations, "shrink": found.shrink}
        data["notes"] = list(found.notes)
        click.echo(json.dumps(data, indent=2, default=list))
        return
    click.echo(f"{images[0].name}: {found.guest}; nothing is changed")
    for name, paths in found.operations.items():
        if not paths:
            continue
        what = OPERATIONS[name].what if name in OPERATIONS else DEVICE_OPERATIONS[name].what
        click.echo(f"  {click.style(name, bold=True)}: {what}")
        for path in paths[:_SHOWN]:
            click.echo(f"      {_printable(path)}")
        if len(paths) > _SHOWN:
            click.echo(f"      and {len(paths) - _SHOWN} more")
    if found.shrink:
        click.echo(f"  {click.style('shrink', bold=True)}: {found.shrink}")
    for note in found.notes:
        click.echo(f"  {note}")


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
