"""Digests of values and files: the names of everything that is cached.

A value's digest depends on its content alone: mappings are ordered by key, paths and dates do not occur (hand in the
digest of a file, not its path), and a secret enters only as an HMAC under the store's own salt, so that nobody can
test guesses against a cache's names.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from factory.opening import Stamp, note, open_content, stamp_of
from factory.secret import Secret

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def to_json(value: Any, *, salt: bytes = b"") -> Json:
    """Turns *value* (dataclasses, pydantic models, enums, mappings, sequences, secrets) into plain JSON data.

    Raises: TypeError for a type whose content is not defined, a ``Path`` among them: a path is not a content.
    """
    if isinstance(value, enum.Enum):  # also one that is a text
        return to_json(value.value, salt=salt)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Secret):
        return {"secret": hmac.new(salt, str(value.reveal()).encode(), hashlib.sha256).hexdigest()}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name), salt=salt) for f in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields"):
        return {name: to_json(getattr(value, name), salt=salt) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(k): to_json(v, salt=salt) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v, salt=salt) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((to_json(v, salt=salt) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    raise TypeError(f"{type(value).__name__} has no content that a key could be made of")


def digest_of(value: Any, *, salt: bytes = b"") -> str:
    """SHA-256 (hex, 64 characters) of *value*'s canonical JSON."""
    text = json.dumps(to_json(value, salt=salt), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes. Raises: OSError."""
    with open_content(path) as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


LARGE = 32 * 2**20
"""Bytes. Of a larger file the digest is remembered."""
_TICK = 4_000_000_000
"""Nanoseconds. A file that was changed this lately may be changed again without a sign of it: FAT's clock has steps of
two seconds."""
known_digests: dict[str, tuple[Stamp, str]] = {}
"""Of large files, by absolute path: the stamp when it was read, and SHA-256 in hex."""


def content_digest(path: Path) -> str:
    """SHA-256 (hex) of a file that a plan is made from: of a large one from memory while it is the same file.

    Not for a file that may be damaged: its stamp does not show that. Raises: OSError.
    """
    stamp = stamp_of(path)
    if stamp[0] < LARGE:
        return file_digest(path)
    sys.audit("factory.trusted", str(path))  # a file that counts, though nobody opens it: see cli.noticing
    note(path)
    name = str(path.absolute())
    known = known_digests.get(name)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = file_digest(path)
    if time.time_ns() - max(stamp[1], stamp[2]) > _TICK:
        known_digests[name] = (stamp, digest)
    return digest


def tree_digest(root: Path) -> str:
    """SHA-256 of a file, or of a folder: relative names, the executable bit and contents; never times or owners.

    Raises: OSError; FileNotFoundError when *root* does not exist.
    """
    if not root.is_dir():
        return content_digest(root)
    entries: dict[str, Json] = {}
    note(root)
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            note(path)
        if path.is_symlink():
            entries[name] = {"link": str(path.readlink())}
        elif path.is_file():
            entries[name] = {"sha256": content_digest(path), "executable": bool(path.stat().st_mode & 0o100)}
    return digest_of(entries)
