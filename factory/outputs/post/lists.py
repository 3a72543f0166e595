"""Post-processors that list files: checksums, Packer's manifest, and another set of files in place of the artifact."""

from __future__ import annotations

import asyncio
import glob
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.errors import StepError
from factory.opening import open_content, read_content
from factory.outputs.post.artifact import Artifact, Surroundings

_TYPE = "{{.ChecksumType}}"


async def checksum(artifact: Artifact, options: Mapping[str, Any], around: Surroundings) -> Artifact:
    """A list for each type, of lines that ``sha256sum -c`` reads in the files' folder. Raises: StepError."""
    output = str(options.get("output") or f"packer_{around.build}_{around.builder}_{_TYPE}.checksum")
    types = tuple(options.get("checksum_types") or ("md5",))
    digests = {name: await asyncio.to_thread(_digests, around.path(name), types) for name in artifact.files}
    written: dict[str, list[str]] = {}
    for kind in types:
        target = output.replace("{{ .ChecksumType }}", _TYPE).replace(_TYPE, kind)
        written.setdefault(target, []).extend(f"{found[kind]}\t{Path(n).name}\n" for n, found in digests.items())
    for target, lines in written.items():
        path = around.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))
    return Artifact((*artifact.files, *written), artifact.id, artifact.folder)


def _digests(path: Path, types: tuple[str, ...]) -> dict[str, str]:
    hashes = {kind: hashlib.new(kind) for kind in types}
    try:
        with open_content(path) as stream:
            while block := stream.read(2**20):
                for one in hashes.values():
                    one.update(block)
    except OSError as error:
        raise StepError(f"checksum: can't read {path}: {error.strerror}") from error
    return {kind: one.hexdigest() for kind, one in hashes.items()}


async def manifest(artifact: Artifact, options: Mapping[str, Any], around: Surroundings) -> Artifact:
    """Adds this build to a list of builds in JSON, of the same shape as Packer's. Raises: StepError."""
    path = around.path(str(options.get("output") or "packer-manifest.json"))
    known = _known_builds(path, around)
    files = [
        {"name": Path(name).name if options.get("strip_path") else name, "size": around.path(name).stat().st_size}
        for name in artifact.files
        if around.path(name).exists()
    ]
    known.append(
        {
            "name": around.build,
            "builder_type": around.builder,
            **({} if options.get("strip_time") else {"build_time": around.time}),
            "files": files or None,
            "artifact_id": artifact.id,
            "packer_run_uuid": around.run_id,
            "custom_data": dict(options["custom_data"]) if options.get("custom_data") else None,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps({"builds": known, "last_run_uuid": around.run_id}, indent=2, ensure_ascii=False))
    draft.rename(path)
    return artifact


def _known_builds(path: Path, around: Surroundings) -> list[Any]:
    if not path.exists() or ("manifest" in around.overwrites and path not in around.truncated):
        around.truncated.add(path)
        return []
    try:
        builds = json.loads(read_content(path))["builds"]
    except (ValueError, KeyError, TypeError) as error:
        raise StepError(f"manifest: {path} is there and is no manifest of Packer's", hint="move it away") from error
    return list(builds)


async def artifice(artifact: Artifact, options: Mapping[str, Any], around: Surroundings) -> Artifact:
    """Other files, by name or pattern, take the artifact's place. Raises: StepError when there are none."""
    found: list[str] = []
    for pattern in options.get("files") or ():
        found += sorted(glob.glob(pattern, root_dir=around.working))
    if not found:
        patterns = ", ".join(options.get("files") or ())
        raise StepError(f"artifice: no file is called {patterns or 'anything'}", hint="is it made before, by a script?")
    return Artifact(tuple(dict.fromkeys(found)))
