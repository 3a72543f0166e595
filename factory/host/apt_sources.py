"""The package mirror that this host itself uses, from APT's sources (sources.list(5)), one-line and deb822."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_OPTIONS = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Source:
    """One place where APT gets binary packages from."""

    uri: str
    suite: str
    components: tuple[str, ...]


def main_archive(codename: str, root: Path = Path("/etc/apt")) -> str:
    """The http(s) URL of the main archive of *codename*, without a slash at its end; empty when there is none.

    The suite has to be the release itself: security updates and other people's packages come from elsewhere.
    """
    for source in read_sources(root):
        if source.suite != codename or "main" not in source.components:
            continue
        uri = source.uri
        if uri.startswith(("mirror+file:", "mirror:file:")):
            uri = _first_mirror(Path(uri.partition("file:")[2]))
        if urllib.parse.urlsplit(uri).scheme in ("http", "https"):
            return uri.rstrip("/")
    return ""


def read_sources(root: Path) -> Iterator[Source]:
    """Every enabled binary source below *root*, in APT's order. Files that can't be read are left out."""
    parts = root / "sources.list.d"
    files = [root / "sources.list", *sorted([*parts.glob("*.list"), *parts.glob("*.sources")])]
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        yield from _deb822(text) if file.suffix == ".sources" else _one_line(text)


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        words = _OPTIONS.sub(" ", line.partition("#")[0], count=1).split()
        if len(words) >= 3 and words[0] == "deb":
            yield Source(words[1], words[2], tuple(words[3:]))


def _deb822(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                key, _, value = line.partition(":")
                name = key.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0") or "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, tuple(fields.get("components", "").split()))


def _first_mirror(file: Path) -> str:
    """The first URL of a list as ``mirror+file:`` names one (apt-transport-mirror(1))."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), "")
