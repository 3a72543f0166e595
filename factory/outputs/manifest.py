"""``manifest.json`` and ``SHA256SUMS``: what was delivered, how to check it, and where it came from.

The schema is published as ``docs/reference/manifest.schema.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.errors import VerificationFailed
from factory.outputs.manifest_model import Manifest
from factory.outputs.model import Exported, Exports

FORMAT = 1
MANIFEST, CHECKSUMS = "manifest.json", "SHA256SUMS"


def describe(exports: Exports, *, about: Mapping[str, Any], seal: Any = None) -> dict[str, Any]:
    """The manifest as plain data. *about*: template, plan key, inputs, versions; *seal*: the report of the seal."""
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
        data["target"] = {"machine": file.target.type, "bus": str(file.target.bus), "nic": file.target.nic}
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
    Manifest.model_validate(data)  # what we write is what we promise
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    sums = {f.path.as_posix(): f.sha256 for f in exports.files}
    for extra in sorted(p for p in folder.iterdir() if p.is_file() and p.name not in {*sums, CHECKSUMS}):
        sums[extra.name] = hashlib.sha256(extra.read_bytes()).hexdigest()
    lines = [f"{digest}  {name}\n" for name, digest in sums.items()]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def check_folder(folder: Path) -> None:
    """Compares every file with ``SHA256SUMS``. Raises: VerificationFailed that names the first that differs."""
    for line in (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file():
            raise VerificationFailed(f"{name} is missing from {folder}", hint="copy the whole folder again")
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                raise VerificationFailed(
                    f"{name} is not what was exported: its SHA-256 differs", hint="copy it again, or build again"
                )
