"""Writes a mended copy of an OVA: order, names, manifest, sizes, end markers; never a digest that did not match."""

from __future__ import annotations

import codecs
import hashlib
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from factory.errors import StepError
from factory.outputs import ovf
from factory.outputs.lint_ova import beyond_mending, judge
from factory.outputs.ova import write_tar
from factory.outputs.ova_package import OvaPackage, attribute, file_name, is_file, open_package, opened_tar
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
    reason = beyond_mending(package, {v.rule: v.problems for v in verdicts.values()})
    if reason:
        raise StepError(f"{path.name} can't be mended: {reason}", hint="get the package again from its source")
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
    rest = [file_name(m) for m in package.members if is_file(m)]
    files: dict[str, Path] = {}
    with opened_tar(package.path) as tar:
        for name in dict.fromkeys([*wanted, *rest]):
            if name.lower().endswith((".ovf", ".mf", ".cert")):
                continue
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
    if facts is not None and facts.markers and not facts.has_end_marker:
        write(bytes(512))


def _descriptor(package: OvaPackage, sizes: dict[str, int]) -> bytes:
    """The descriptor with single attributes changed in its text: whatever else a product wrote stays as it is."""
    text = _text(package.descriptor)

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
    content = text.encode()
    try:
        ET.fromstring(content)
    except ET.ParseError as error:
        raise StepError(
            f"{package.path.name} can't be mended: its descriptor would not be well-formed afterwards ({error})",
            hint="mend it by hand",
        ) from None
    return content


def _text(descriptor: bytes) -> str:
    """A descriptor in whatever encoding, said to be in UTF-8. Raises: StepError."""
    encoding = "utf-8-sig"
    if descriptor.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif found := re.match(rb"\s*<\?xml[^>]*\sencoding\s*=\s*[\"']([A-Za-z0-9._-]+)", descriptor):
        encoding = found[1].decode() if found[1].lower() != b"utf-8" else encoding
    try:
        text = descriptor.decode(encoding)
    except (ValueError, LookupError) as error:
        raise StepError(f"the descriptor can't be mended: {error}", hint="get the package again") from None
    return re.sub(r"""\A(<\?xml[^>]*\sencoding\s*=\s*["'])[A-Za-z0-9._-]+""", r"\g<1>UTF-8", text.lstrip())


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
