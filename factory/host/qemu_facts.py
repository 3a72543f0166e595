"""What the installed QEMU is: binary, version, machine types, and which accelerators work (measured, cached)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers.process import find_program, run
from factory.errors import FactoryError
from factory.host import accelerator
from factory.host.accelerator import Measurement
from factory.quantity import Duration

NAMES = ("qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm")
"""The last ones are what EL calls it."""
_QUICK = Duration(60)
# Upstream's ("pc-q35-7.2") and EL's ("pc-q35-rhel9.6.0"); Ubuntu's own ("pc-q35-noble") are upstream's by other names.
_PINNED = re.compile(r"^(pc-(?:q35|i440fx)-(rhel)?(\d+(?:\.\d+)*))\s+(.*)$", re.MULTILINE)

_DEVICE = re.compile(r'(?:name|alias) "([^"]+)"')
_CPU = re.compile(r"^(?:x86 |  )(\S+)(?: |$)", re.MULTILINE)  # 10.1 no longer says x86


@dataclass(frozen=True, slots=True)
class QemuFacts:
    """``version`` is QEMU's own, with the packager's words: memory files are bound to all of it."""

    binary: Path
    version: str
    machine_types: tuple[str, ...]
    """Pinned types, as ``pc-q35-7.2``, newest first; those that QEMU calls deprecated are left out."""
    accelerators: tuple[Measurement, ...]
    devices: frozenset[str] = frozenset()
    """What ``-device`` takes, other names of the same device too; empty when it does not say."""
    cpu_models: frozenset[str] = frozenset()
    """What ``-cpu`` takes; empty when it does not say."""

    @property
    def accelerator(self) -> str:
        """The one to use; empty when none works."""
        return accelerator.winner(self.accelerators)

    def newest(self, kind: str) -> str:
        """The newest pinned machine type of a *kind*, "q35" or "pc"; empty when this QEMU has none."""
        prefix = {"q35": "pc-q35-", "pc": "pc-i440fx-"}[kind]
        return next((name for name in self.machine_types if name.startswith(prefix)), "")


def find_qemu() -> Path | None:
    return next((Path(path) for name in NAMES if (path := find_program(name))), None)


async def read_qemu(binary: Path, cache: Path) -> QemuFacts:
    """Asks QEMU, or the answers of the last time while nothing has changed.

    Raises: CommandFailed when QEMU does not even start, DeadlineExpired.
    """
    identity = accelerator.identity(binary, boot_id())
    remembered = _remembered(cache, identity)
    if remembered is not None:
        return remembered
    version = (await _ask(binary, "--version")).splitlines()[0].removeprefix("QEMU emulator version ").strip()
    types = pinned_types(await _ask(binary, "-machine", "help"))
    compiled_in = (await _ask(binary, "-accel", "help")).split()
    measured = await accelerator.measure_all(binary, compiled_in)
    devices = device_names(await _ask(binary, "-device", "help"))
    models = cpu_names(await _ask(binary, "-cpu", "help"))
    facts = QemuFacts(binary, version, types, measured, devices, models)
    _remember(cache, identity, facts)
    return facts


def pinned_types(text: str) -> tuple[str, ...]:
    """From ``-machine help``, newest first."""
    found = [
        (not rhel, [int(number) for number in version.split(".")], name)
        for name, rhel, version, rest in _PINNED.findall(text)
        if "(deprecated)" not in rest
    ]
    return tuple(name for _, _, name in sorted(found, reverse=True))


def device_names(text: str) -> frozenset[str]:
    """From ``-device help``: what a user can make, with its alias."""
    return frozenset(name for line in text.splitlines() for name in _DEVICE.findall(line.partition(", desc ")[0]))


def cpu_names(text: str) -> frozenset[str]:
    """From ``-cpu help``, which ends with the flags that a model can be given."""
    return frozenset(_CPU.findall(text.partition("Recognized CPUID flags")[0]))


def boot_id() -> str:
    """Differs after each boot of the host. proc(5), ``/proc/sys/kernel/random/boot_id``."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


async def _ask(binary: Path, *words: str) -> str:
    deadline = Deadline.after(_QUICK, f"{binary.name} {' '.join(words)}")
    return (await run([str(binary), *words], deadline=deadline)).stdout


def _remembered(cache: Path, identity: Mapping[str, str]) -> QemuFacts | None:
    try:
        data: Mapping[str, Any] = json.loads(cache.read_text())
        if data["identity"] != identity:
            return None
        facts = data["facts"]
        measured = tuple(Measurement(**m) for m in facts["accelerators"])
        devices, models = frozenset(facts["devices"]), frozenset(facts["cpu_models"])
        types = tuple(facts["machine_types"])
        return QemuFacts(Path(facts["binary"]), facts["version"], types, measured, devices, models)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, or of another version of ours: ask again


def _remember(cache: Path, identity: Mapping[str, str], facts: QemuFacts) -> None:
    content = {
        "identity": dict(identity),
        "facts": {
            "binary": str(facts.binary),
            "version": facts.version,
            "machine_types": list(facts.machine_types),
            "accelerators": [_plain(m) for m in facts.accelerators],
            "devices": sorted(facts.devices),
            "cpu_models": sorted(facts.cpu_models),
        },
    }
    temporary = cache.with_name(f".{cache.name}.{os.getpid()}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=2) + "\n")
        temporary.rename(cache)
    except OSError:  # a cache that can't be written costs a second the next time, no more
        with suppress(OSError):
            temporary.unlink()


def _plain(measured: Measurement) -> dict[str, str | float]:
    return {"accelerator": measured.accelerator, "seconds": measured.seconds, "problem": measured.problem}


async def try_qemu(binary: Path | None, cache: Path) -> tuple[QemuFacts | None, str]:
    """What ``read_qemu`` gives, or why it gives nothing."""
    if binary is None:
        return None, ""
    try:
        return await read_qemu(binary, cache), ""
    except (FactoryError, OSError, IndexError) as error:
        return None, str(error)


def describe(measurements: Sequence[Measurement]) -> str:
    """One line for people: "tcg 0.2s, kvm: there is no /dev/kvm"."""
    return ", ".join(
        f"{m.accelerator} {Duration(m.seconds)}" if m.finished else f"{m.accelerator}: {m.problem}"
        for m in measurements
    )
