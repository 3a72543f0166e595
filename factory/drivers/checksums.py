"""Checksums as people write them: ``sha256:…``, bare hex, lines of SHA256SUMS files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from factory.errors import StepError
from factory.opening import open_content

_BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
_ALGORITHMS = frozenset(_BY_LENGTH.values())
_GNU = re.compile(r"\\?(?P<hex>[0-9a-fA-F]{32,128})[ \t]+[ *]?(?P<name>.+?)\s*\Z")
_BSD = re.compile(r"(?P<algorithm>[A-Za-z0-9-]+) ?\((?P<name>.+)\) ?= ?(?P<hex>[0-9a-fA-F]{32,128})\s*\Z")


@dataclass(frozen=True, slots=True)
class Checksum:
    """``algorithm`` as hashlib names it, ``hex`` in lower case."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    def of(self, path: Path) -> Checksum:
        """The same kind of checksum, of a file. Blocks while it reads."""
        with open_content(path) as stream:
            return Checksum(self.algorithm, hashlib.file_digest(stream, self.algorithm).hexdigest())


def parse_checksum(text: str) -> Checksum:
    """Reads ``sha512:<hex>`` or bare hex, whose length tells the kind. Raises: StepError."""
    algorithm, colon, digits = text.strip().partition(":")
    if not colon:
        algorithm, digits = _BY_LENGTH.get(len(text.strip()), ""), text.strip()
    algorithm, digits = algorithm.lower(), digits.strip().lower()
    wanted = next((length for length, name in _BY_LENGTH.items() if name == algorithm), 0)
    if algorithm not in _ALGORITHMS or len(digits) != wanted or not re.fullmatch(r"[0-9a-f]+", digits):
        raise StepError(
            f"{text!r} is not a checksum",
            hint="write sha256:<64 hex digits>, sha512:<128 hex digits>, file:<URL or path of a SUMS file>, or none",
        )
    return Checksum(algorithm, digits)


def find_in_sums(text: str, names: Iterator[str] | list[str], origin: str) -> Checksum:
    """The checksum of the first of *names* (file names of the URLs) that a SUMS file lists.

    Reads GNU lines (``hex  name``, ``hex *name``, with ``./`` or folders) and BSD lines (``SHA256 (name) = hex``);
    signatures and comments around them are passed over. A file with one bare checksum fits any name.

    Raises: StepError that says which names there are.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    entries: list[tuple[str, Checksum]] = []
    for line in lines:
        match = _BSD.match(line) or _GNU.match(line)
        if match and (kind := _BY_LENGTH.get(len(match["hex"]))):
            entries.append((PurePosixPath(match["name"]).name, Checksum(kind, match["hex"].lower())))
    wanted = list(names)
    for name in wanted:
        for entry, checksum in entries:
            if entry == name:
                return checksum
    if len(lines) == 1 and re.fullmatch(r"[0-9a-fA-F]+", lines[0].strip()):
        return parse_checksum(lines[0])
    some = ", ".join(sorted({e for e, _ in entries})[:5]) or "no checksums at all"
    raise StepError(
        f"{origin} has no checksum of {' or '.join(wanted)}; it has {some}", hint="is it the right SUMS file?"
    )
