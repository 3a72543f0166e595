"""What ``factory inspect`` tells of a disk image or an OVA."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from factory.cli.image_tools import ImageTools, readable_disks, run_with_tools
from factory.disk.driver_readiness import Need
from factory.outputs.driver_needs import driver_needs
from factory.outputs.export import parse_request
from factory.seal.image_facts import ImageFacts, image_facts
from factory.template.output_options import OWN_KINDS
from factory.visible import visible

_SHOWN = 12


def platform_needs() -> tuple[Need, ...]:
    """The drivers that every platform of ours asks for, in their usual form."""
    return tuple(dict.fromkeys(n for kind in OWN_KINDS for n in driver_needs(parse_request(kind))))


def inspect_images(images: Sequence[Path], *, as_json: bool) -> None:
    """Each image is a machine of its own. Raises: FactoryError."""
    needs = platform_needs()
    described = []
    for path in images:

        async def work(tools: ImageTools, path: Path = path) -> ImageFacts:
            disks = await readable_disks((path,), tools)
            return await image_facts(disks, needs, driver=tools.driver, runtime_dir=tools.runtime, emit=tools.emit)

        facts = run_with_tools(work, beside=Path(tempfile.gettempdir()), verbosity=0)
        described.append(_json(path, facts))
        if not as_json:
            for line in _lines(path, facts, needs):
                click.echo(visible(line))
    if as_json:
        click.echo(json.dumps(described, indent=2))


def _json(path: Path, facts: ImageFacts) -> dict[str, Any]:
    data = dataclasses.asdict(facts)
    guest = {**data["guest"], "family": str(facts.guest.family), "init": str(facts.guest.init)}
    return {"file": str(path), **data, "guest": guest}


def _lines(path: Path, facts: ImageFacts, needs: Sequence[Need]) -> Iterator[str]:
    yield f"{click.style(path.name, bold=True)}  {facts.guest}"
    kernel = f", kernel {facts.kernel}" if facts.kernel else ""
    yield f"  system:      {facts.guest.family}, {facts.guest.init}{kernel}; disks of {facts.virtual_size}"
    for p in facts.partitions:
        place = f"{p.disk} {p.number}" if p.number else f"{p.disk} (no partition table)"
        label = f" “{p.label}”" if p.label else ""
        at = f" on {p.mounted_at}" if p.mounted_at else ""
        yield f"  partition:   {place}: {p.type or 'unknown'}{label}, {p.size}{at}"
    if facts.kernel:
        missing = list(facts.missing_drivers)
        platforms = dict.fromkeys(n.platform for n in needs)
        ready = [p for p in platforms if not any(m.startswith(f"{p}:") for m in missing)]
        yield f"  drivers for: {', '.join(ready) or 'none of the platforms that are known here'}"
        for line in missing:
            yield f"  {click.style('missing:', fg='yellow')}     {line}"
    for folder, size in list(facts.folders.items())[:_SHOWN]:
        yield f"  {size!s:>10}   {folder}"
    yield f"  packages:    {len(facts.packages) or 'no database that is read here'}"
    names = [f"{p.name} {p.version}" for p in facts.packages]
    if names:
        more = f" … (all {len(names)} with --json)" if len(names) > _SHOWN else ""
        yield click.style(f"    {', '.join(names[:_SHOWN])}{more}", dim=True)
    for note in facts.notes:
        yield f"  {note}"
