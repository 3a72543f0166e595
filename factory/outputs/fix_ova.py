"""Writes a mended copy of an OVA: order, names, manifest, sizes, end markers; never a digest that did not match."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from factory.errors import StepError
from factory.outputs import ovf
from factory.outputs.lint_ova import judge
from factory.outputs.ova import write_tar
from factory.outputs.ova_package import OvaPackage, attribute, file_name, open_package
from factory.outputs.stream import CHUNK, hashing

_SYSTEM_TYPE = "vmx-14"


def fix_ova(
    path: Path, destination: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[str]:
    """Writes *destination*; returns the names of the rules that it mended. Blocking.

    Chunked files are joined, and the manifest is written anew with SHA-256.

    Raises: StepError when the package is damaged (a digest does not match, a disk was cut), for that can't be mended.
    """
    package = open_package(path)
    verdicts = {v.rule: v for v in judge(package)}
    for rule in ("manifest-digests", "well-formed", "references"):
        if not verdicts[rule].ok:
            raise StepError(
                f"{path.name} can't be mended: {verdicts[rule].problems[0]}",
                hint="get the package again from its source",
            )
    if not package.descriptor_name:
        raise StepError(f"{path.name} can't be mended: it has no .ovf file", hint="is it an OVA at all?")
    destination.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".ova-", dir=destination.parent))
    try:
        files = _unpack(package, scratch)
        text = _descriptor(package, {name: file.stat().st_size for name, file in files.items()})
        _write(package, text, files, destination, progress)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    still = {v.rule for v in judge(open_package(destination)) if not v.ok}
    return [rule for rule, verdict in verdicts.items() if not verdict.ok and rule not in still]


def _unpack(package: OvaPackage, scratch: Path) -> dict[str, Path]:
    """Every file but descriptor, manifest and certificate, joined from its chunks, with its end marker."""
    wanted = [attribute(f, "href") for f in package.files().values()]
    rest = [file_name(m) for m in package.members if m.isreg()]
    files: dict[str, Path] = {}
    with tarfile.open(package.path, "r:*") as tar:
        for name in dict.fromkeys([*wanted, *rest]):
            if name.lower().endswith((".ovf", ".mf", ".cert")):
                continue
            if name.startswith("/") or ".." in name.split("/"):
                raise StepError(f"{name!r} points out of the package", hint="don't import it: it looks like an attack")
            target = scratch / f"{len(files)}"
            with target.open("wb") as out:
                for member in package.pieces(name):
                    stream = tar.extractfile(member)
                    if stream is not None:
                        shutil.copyfileobj(stream, out, CHUNK)
                _end_stream(package, name, out.write)
            files[name] = target
    return files


def _end_stream(package: OvaPackage, name: str, write: Callable[[bytes], object]) -> None:
    facts = package.disks.get(name)
    if facts is None or not facts.markers or facts.has_end_marker:
        return
    if facts.directory_at_end:
        raise StepError(f"{name} can't be mended: its end is missing", hint="get the package again from its source")
    write(bytes(512))


def _descriptor(package: OvaPackage, sizes: dict[str, int]) -> bytes:
    """The descriptor with single attributes changed in its text: whatever else a product wrote stays as it is."""
    text = package.descriptor.decode("utf-8").lstrip()

    def file(match: re.Match[str]) -> str:
        element = match[0]
        for name, size in sizes.items():
            if f"={quoteattr(name)}" in element:
                element = re.sub(r'(\bovf:size|\bsize)="\d*"', rf'\1="{size}"', element)
                element = re.sub(r'\s+(?:ovf:)?chunkSize="\d*"', "", element)
        return element

    text = re.sub(r"<(?:\w+:)?File\b[^>]*>", file, text)
    text = re.sub(r"<vmw:(?:Extra)?Config\b[^>]*>", _optional, text)
    text = re.sub(
        r"(<(?:\w+:)?VirtualSystemType>)([^<]*)(?=</)",
        lambda m: m[0] if re.search(r"\bvmx-\d+\b", m[2]) else m[1] + _SYSTEM_TYPE,
        text,
    )
    for problem in (n for n in _networks(package) if n):
        name = re.escape(quoteattr(problem)[1:-1])
        text = re.sub(
            rf'\s*<(\w+:)?Network\b[^>]*name="{name}"[^>]*(?:/>|>.*?</(?:\w+:)?Network>)', "", text, flags=re.S
        )
    return text.encode()


def _optional(match: re.Match[str]) -> str:
    element = match[0]
    if "required=" in element:
        return re.sub(r'(\b(?:ovf:)?required)="[^"]*"', r'\1="false"', element)
    return re.sub(r"<(vmw:\w+)", r'<\1 ovf:required="false"', element, count=1)


def _networks(package: OvaPackage) -> list[str]:
    """Networks that nothing uses."""
    used = {item.get("Connection") for item in package.items()}
    return [name for name in (attribute(n, "name") for n in package.elements("Network")) if name not in used]


def _write(
    package: OvaPackage,
    text: bytes,
    files: dict[str, Path],
    destination: Path,
    progress: Callable[[int, int], None],
) -> None:
    stem = Path(package.descriptor_name).name.removesuffix(".ovf")
    listed = [(f"{stem}.ovf", hashlib.sha256(text).hexdigest())]
    for name, path in files.items():
        with path.open("rb") as stream:
            listed.append((name, hashlib.file_digest(stream, "sha256").hexdigest()))
    manifest = ovf.manifest(listed, "sha256")
    part = destination.with_name(f".{destination.name}.part")
    with hashing(part) as out:
        write_tar(out, [(f"{stem}.ovf", text), (f"{stem}.mf", manifest), *files.items()], progress)
    part.replace(destination)
