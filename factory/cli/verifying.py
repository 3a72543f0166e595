"""What ``factory verify`` does: checksums, formats, then the boots that the manifest asks for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from factory.cli.adapters import MachineProbes, MachineScreens, make_build_key
from factory.cli.image_tools import ImageTools, run_with_tools
from factory.cli.places import Places, places
from factory.disk.driver_readiness import Drivers
from factory.drivers.machine_spec import CpuSpec, MachineSpec, NicSpec, UefiSpec
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.ssh import SshCommunicator
from factory.drivers.ssh_banner import wait_for_banner
from factory.engine.run_directory import clean, open_run
from factory.errors import HostError, VerificationFailed
from factory.host.facts import HostFacts, collect
from factory.outputs.manifest import MANIFEST, differing, exports_of
from factory.outputs.manifest_model import Manifest, read_manifest
from factory.quantity import Duration, Size
from factory.steps.watch import watcher
from factory.template.model import DEFAULT_STALL
from factory.verify.format_checks import wrong_with_formats
from factory.verify.model import NO_LOGIN, Bench, Request, Seen, Verdict
from factory.verify.prove import Places as Where
from factory.verify.prove import failures, prove
from factory.visible import visible


@dataclass(frozen=True, slots=True)
class Wish:
    """The command line. ``boot``: "login", "prompt" (nobody logs in) or "none"."""

    folder: Path
    formats: str
    clones: int | None
    boot: str


@dataclass(slots=True)
class Result:
    """What was found; ``problems`` holds everything that is wrong, of whatever kind."""

    name: str
    checksums: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    logs: str = ""
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        return [*self.checksums, *self.formats, *(failures(self.verdict) if self.verdict else ())]

    def to_json(self) -> dict[str, Any]:
        return {
            "artifact": self.name,
            "passed": not self.problems,
            "checksums": self.checksums,
            "formats": self.formats,
            "verify": self.verdict.to_json() if self.verdict else None,
            "logs": self.logs,
            "seconds": round(self.seconds, 1),
        }


def verify_artifact(wish: Wish, *, as_json: bool, verbosity: int) -> None:
    """Prints. Raises: VerificationFailed with everything that does not hold."""
    manifest = read_manifest(wish.folder / MANIFEST)
    where = places()
    where.runs.mkdir(parents=True, exist_ok=True, mode=0o700)
    result = run_with_tools(lambda tools: _verify(wish, manifest, where, tools), beside=where.runs, verbosity=verbosity)
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        show(result)
    if result.problems:
        first = next((s for s in result.verdict.seen if s.error), None) if result.verdict else None
        hint, evidence = "copy the whole folder again, or build again", None
        if first and first.error:
            evidence = first.error.evidence
            hint = f"the machines' logs are in {result.logs}" if first.machine else first.error.hint
        raise VerificationFailed(
            f"{result.name} does not pass: {'; '.join(result.problems)}",
            hint=hint,
            evidence=evidence,
        )


async def _verify(wish: Wish, manifest: Manifest, where: Places, tools: ImageTools) -> Result:
    started = time.monotonic()
    result, exports = Result(manifest.name), exports_of(manifest)
    result.checksums = await asyncio.to_thread(lambda: list(differing(wish.folder)))
    if not result.checksums:  # a file that is not what it was tells nothing more
        result.formats = await wrong_with_formats(exports, wish.folder, tools.images)
    if not result.problems and wish.boot != "none":
        await asyncio.to_thread(clean, where.runs)  # a verifier that was killed has left its key and its disks
        request = _request(manifest, wish)
        bench = _bench(manifest, wish.folder, await collect(where.cache), tools, where)
        with open_run(where.runs, f"verify-{manifest.name}") as run:
            spots = Where(wish.folder.absolute(), run.path / "verify", run.runtime)
            result.logs = str(run.path)
            result.verdict = await prove(exports, request, bench, spots, _drivers(manifest), tools.emit)
    result.seconds = time.monotonic() - started
    return result


def _request(manifest: Manifest, wish: Wish) -> Request:
    """What the manifest asks for; an artifact that was never booted is booted to its prompt."""
    request = Request(login=NO_LOGIN, clones=1)
    if manifest.verify is not None:
        try:
            request = Request.from_json(manifest.verify.request.model_dump())
        except (TypeError, ValueError) as error:
            raise VerificationFailed(
                f"the manifest of {manifest.name} asks for a proof that this version does not know: {error}",
                hint="use the version of factory that built it: the manifest names it under `versions`",
            ) from error
    if wish.formats:
        request = replace(request, formats=wish.formats if wish.formats in ("all", "first") else _words(wish.formats))
    if wish.clones:
        request = replace(request, clones=wish.clones)
    if wish.boot == "prompt":
        request = replace(request, run=(), clones=1, user="")
    return request


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _drivers(manifest: Manifest) -> Drivers:
    known = manifest.drivers
    if known is None:
        return Drivers(unknown="the manifest does not say")
    return Drivers(known.kernel, frozenset(known.early), frozenset(known.all), known.unknown)


def _bench(manifest: Manifest, folder: Path, facts: HostFacts, tools: ImageTools, where: Places) -> Bench:
    """The manifest's machine on this computer. Raises: HostError when it has no such firmware."""
    hardware, platform = manifest.hardware, facts.platform
    uefi, fresh, own = None, None, None
    if hardware.firmware == "uefi":
        word = "uefi-secure" if hardware.secure_boot else "uefi"
        firmware = platform.uefi.get(word)
        if firmware is None:
            raise HostError(f"this host has no {word} firmware", hint="install OVMF, see `factory doctor`")
        uefi = UefiSpec(
            firmware.code, firmware.variables, firmware.code_format, firmware.variables_format, firmware.secure_boot
        )
        delivered = next((folder / f.path for f in manifest.files if f.format == "uefi-variables"), None)
        fresh, own = firmware.variables, delivered or firmware.variables
    spec = MachineSpec(
        name=manifest.name,
        binary=platform.qemu,
        machine_type=platform.machine_types["q35"],
        accelerator=platform.accelerator,
        memory=Size(hardware.memory),
        cpu=CpuSpec(platform.cpu_model, hardware.cpus),
        nics=tuple(NicSpec(f"nic{number}") for number in range(hardware.nics)),
        uefi=uefi,
    )
    screens = MachineScreens(where.cache / "fonts")
    return Bench(
        QemuDriver(), tools.images, tools.driver, wait_for_banner, SshCommunicator(), make_build_key,
        screens, spec, platform.machine_types, own, fresh, watcher(MachineProbes(screens), tools.emit, DEFAULT_STALL),
    )  # fmt: skip


def show(result: Result) -> None:
    """The result as a table. The artifact's own names and the guest's words stand in it."""
    for line in _lines(result):
        click.echo(visible(line))


def _lines(result: Result) -> Iterator[str]:
    word = click.style("does not pass", fg="red") if result.problems else click.style("holds", fg="green")
    yield f"{click.style(result.name, bold=True)} {word} ({Duration(result.seconds)})"
    yield f"  checksums  {'; '.join(result.checksums) or 'every file is what was delivered'}"
    if not result.checksums:
        yield f"  formats    {'; '.join(result.formats) or 'every file is whole'}"
    for seen in result.verdict.seen if result.verdict else ():
        yield f"  {seen.boot.key:<24} {_line(seen)}"
    if result.verdict and result.verdict.clones:
        compared = ", ".join(f"{name} {what}" for name, what in result.verdict.clones.items())
        yield f"  machines   {compared}"


def _line(seen: Seen) -> str:
    machine = seen.machine or seen.boot.choices[0]
    if seen.error:
        return click.style(seen.error.message, fg="red") + (f" (on {machine})" if seen.machine else "")
    why = f"; {machine.instead}" if machine.instead else ""
    commands = f", {len(seen.commands)} commands" if seen.commands else ""
    return f"up after {Duration(seen.up_after)} on {machine}, by {seen.by}{commands}{why}"
