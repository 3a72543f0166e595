"""``manifest.json`` and ``SHA256SUMS``: what was delivered, how to check it, and where it came from.

The schema is published as ``docs/reference/manifest.schema.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from factory.errors import VerificationFailed
from factory.opening import open_content, other_kind, read_content
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import TargetMachine
from factory.outputs.manifest_model import File, Manifest, check_manifest, read_manifest
from factory.outputs.model import Exported, Exports, Part
from factory.quantity import Size

FORMAT = 1
MANIFEST, CHECKSUMS = "manifest.json", "SHA256SUMS"


def describe(exports: Exports, *, about: Mapping[str, Any], seal: Any = None) -> dict[str, Any]:
    """The manifest as plain data.

    *about*: template, plan key, inputs, versions, drivers; *seal*: the report of the seal.
    """
    hardware = exports.hardware
    return {
        "format": FORMAT,
        "name": exports.name,
        **about,
        "hardware": {
            "cpus": hardware.cpus,
            "memory": int(hardware.memory),
            "firmware": "uefi" if hardware.uefi else "bios",
            "secure_boot": hardware.secure_boot,
            "nics": len(hardware.macs),
        },
        "files": [_file(f) for f in exports.files],
        "export_seconds": dict(exports.seconds),
        "seal": _summary(seal),
    }


def _file(file: Exported) -> dict[str, Any]:
    data: dict[str, Any] = {
        "path": file.path.as_posix(),
        "format": file.format,
        "size": int(file.size),
        "sha256": file.sha256,
        "virtual_size": int(file.virtual_size),
        "usage": file.usage,
        "sidecar": file.sidecar,
    }
    if file.parts:
        data["disks"] = [
            {
                "disk": p.disk,
                "name": p.name,
                "format": p.format,
                "offset": p.offset,
                "length": p.length,
                "packing": p.packing,
            }
            for p in file.parts
        ]
    if file.target:
        data["target"] = {"machine": file.target.type, "bus": str(file.target.bus), "nic": file.target.nic,
                          "stands_for": file.target.stands_for}  # fmt: skip
    return data


def _summary(seal: Any) -> dict[str, Any] | None:
    """Of ``seal.json`` what a reader of the manifest asks first; the whole lies beside it."""
    if not isinstance(seal, Mapping):
        return None
    return {
        "proven": bool(seal.get("proven", False)),
        "problems": list(seal.get("problems", ())),
        "guest": dict(seal.get("guest") or {}),
        "report": "seal.json",
    }


def exports_of(manifest: Manifest) -> Exports:
    """What a manifest describes, as exporting gave it: to prove it again on another computer."""
    return Exports(
        tuple(_exported(file) for file in manifest.files),
        manifest.name,
        OvfHardware(
            cpus=manifest.hardware.cpus,
            memory=Size(manifest.hardware.memory),
            uefi=manifest.hardware.firmware == "uefi",
            secure_boot=manifest.hardware.secure_boot,
            macs=("",) * manifest.hardware.nics,
        ),
        dict(manifest.export_seconds),
    )


def _exported(file: File) -> Exported:
    target = file.target
    return Exported(
        Path(file.path),
        file.format,
        Size(file.size),
        file.sha256,
        Size(file.virtual_size),
        file.usage,
        tuple(Part(d.disk, d.name, d.format, d.offset, d.length, d.packing) for d in file.disks),
        file.sidecar,
        TargetMachine(target.machine, target.bus, target.nic, target.stands_for) if target else None,
    )


def schema() -> str:
    """The JSON Schema that the docs publish."""
    data = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def write_manifest(
    folder: Path,
    exports: Exports,
    *,
    about: Mapping[str, Any],
    seal: Any = None,
    verify: Mapping[str, Any] | None = None,
) -> None:
    """Writes both files into *folder*. ``SHA256SUMS`` names every file of the artifact, the manifest among them."""
    data = describe(exports, about=about, seal=seal)
    if verify is not None:
        data["verify"] = dict(verify)
    check_manifest(data)  # what we write is what we promise
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    sums = {f.path.as_posix(): f.sha256 for f in exports.files}
    for extra in sorted(p for p in folder.iterdir() if p.is_file() and p.name not in {*sums, CHECKSUMS}):
        sums[extra.name] = hashlib.sha256(extra.read_bytes()).hexdigest()
    lines = [f"{digest}  {name}\n" for name, digest in sums.items()]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def check_folder(folder: Path) -> None:
    """Compares every file with ``SHA256SUMS``. Raises: VerificationFailed that names every one that differs."""
    wrong = list(differing(folder))
    if wrong:
        raise VerificationFailed("; ".join(wrong), hint="copy the whole folder again, or build again")


def differing(folder: Path) -> Iterator[str]:
    """What is not as ``SHA256SUMS`` and the manifest say, in words. Blocking."""
    try:
        lines = read_content(folder / CHECKSUMS).decode().splitlines()
    except (OSError, ValueError) as error:
        yield f"{CHECKSUMS} can't be read: {error}"
        return
    listed = set()
    for line in lines:
        digest, _, name = line.partition("  ")
        listed.add(name)
        try:
            wrong = _wrong(folder, name, digest)
        except OSError as error:
            wrong = f"{name} can't be read: {error.strerror}"
        if wrong:
            yield wrong
    for file in read_manifest(folder / MANIFEST).files:
        if file.path not in listed:
            yield f"{file.path} stands in the manifest, but not in {CHECKSUMS}"


def _wrong(folder: Path, name: str, digest: str) -> str:
    """What is wrong with one file that is listed; empty when nothing is. Raises: OSError."""
    path = folder / name
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        return f"{CHECKSUMS} has a line that names no file of the artifact: {f'{digest}  {name}'!r}"
    if path.exists() and not path.resolve().is_relative_to(folder.resolve()):
        return f"{name} is a link out of {folder}: an artifact holds its files itself"
    if kind := other_kind(path):
        return f"{name} is {kind}, and no file"
    if not path.is_file():
        return f"{name} is missing from {folder}"
    return "" if _sha256(path) == digest else f"{name} is not what was exported: its SHA-256 differs"


def _sha256(path: Path) -> str:
    with open_content(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
