"""UEFI firmware as QEMU's own descriptors name it (QEMU: ``docs/interop/firmware.json``).

Descriptors are JSON files in three folders; a file in a folder of the user's or the administrator's hides one of the
same name in the distribution's, an empty file hides it without a replacement, and names are sorted by priority.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Firmware:
    """One UEFI firmware with split flash: read-only code, and a template of the variables."""

    descriptor: Path
    description: str
    code: Path
    code_format: str
    variables: Path
    variables_format: str
    architectures: tuple[str, ...]
    machines: tuple[str, ...]
    """Shell patterns of machine types, such as ``pc-q35-*``."""
    features: frozenset[str]

    @property
    def secure_boot(self) -> bool:
        """Whether it can enforce signatures."""
        return "secure-boot" in self.features

    @property
    def keys_enrolled(self) -> bool:
        """Whether its variables come with vendors' keys, so that it does enforce them."""
        return "enrolled-keys" in self.features

    @property
    def needs_smm(self) -> bool:
        return "requires-smm" in self.features

    def fits(self, architecture: str, machine_type: str) -> bool:
        return architecture in self.architectures and any(fnmatch.fnmatch(machine_type, m) for m in self.machines)


def descriptor_folders(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where descriptors are, the most important first."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    # The last two are where QEMU looks when it was built with another prefix.
    names = (
        f"{home}/qemu/firmware",
        "/etc/qemu/firmware",
        "/usr/share/qemu/firmware",
        "/usr/local/share/qemu/firmware",
    )
    return tuple(Path(name) for name in names)


def find_all(folders: Sequence[Path] | None = None) -> tuple[Firmware, ...]:
    """Every usable UEFI firmware, the preferred one first. A descriptor that can't be read is left out."""
    chosen: dict[str, Path] = {}
    for folder in reversed(folders if folders is not None else descriptor_folders()):
        try:
            chosen |= {path.name: path for path in folder.glob("*.json")}
        except OSError as error:
            _log.debug("firmware descriptors in %s: %s", folder, error)
    found = []
    for name in sorted(chosen):
        firmware = _read(chosen[name])
        if firmware is not None:
            found.append(firmware)
    return tuple(found)


def choose(firmwares: Iterable[Firmware], *, architecture: str, machine_type: str) -> Firmware | None:
    """The preferred firmware that enforces no signatures: without secure boot, or without any keys in it."""
    fitting = [f for f in firmwares if f.fits(architecture, machine_type)]
    plain = [f for f in fitting if not f.secure_boot and not f.needs_smm]
    unlocked = [f for f in fitting if f.secure_boot and not f.keys_enrolled]
    return next(iter([*plain, *unlocked]), None)


def choose_secure(firmwares: Iterable[Firmware], *, architecture: str, machine_type: str) -> Firmware | None:
    """The preferred firmware that enforces signatures with vendors' keys."""
    fitting = (f for f in firmwares if f.fits(architecture, machine_type))
    return next((f for f in fitting if f.secure_boot and f.keys_enrolled), None)


def _read(path: Path) -> Firmware | None:
    try:
        text = path.read_text()
        if not text.strip():
            return None  # an empty file masks one of the same name
        return _parse(path, json.loads(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("the firmware descriptor %s can't be used: %r", path, error)
        return None


def _parse(path: Path, data: Mapping[str, Any]) -> Firmware | None:
    mapping = data["mapping"]
    # Other devices ("memory", "kernel") and flash of one piece have no variables that a layer could keep.
    if "uefi" not in data["interface-types"] or mapping["device"] != "flash" or mapping.get("mode", "split") != "split":
        return None
    code, variables = mapping["executable"], mapping["nvram-template"]
    firmware = Firmware(
        descriptor=path,
        description=str(data.get("description", path.stem)),
        code=Path(code["filename"]),
        code_format=str(code["format"]),
        variables=Path(variables["filename"]),
        variables_format=str(variables["format"]),
        architectures=tuple(target["architecture"] for target in data["targets"]),
        machines=tuple(machine for target in data["targets"] for machine in target["machines"]),
        features=frozenset(data.get("features", ())),
    )
    readable = os.access(firmware.code, os.R_OK) and os.access(firmware.variables, os.R_OK)
    return firmware if readable else None  # a descriptor of a package that is half installed
