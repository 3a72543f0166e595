"""Tells files that a distribution ships from those that somebody made: the former hold test keys, and no secrets.

TLS libraries carry private keys for their self-tests, documentation carries examples. A file that is byte for byte what
its package holds is public, whatever it looks like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from factory.seal.free_space import VolumeFiles

_DPKG = "/var/lib/dpkg/info"
_VENDOR = ("/usr/lib/", "/usr/lib64/", "/usr/libexec/", "/usr/share/", "/usr/include/", "/usr/src/", "/lib/")


def packaged(files: VolumeFiles, paths: Mapping[Any, str]) -> dict[Any, str]:
    """Of files (→ their paths) those that are as shipped → by whom: a Debian package, whose checksum matches.

    Files and not paths alone: in snapshots, files of one path differ. Where there is no dpkg, files in the vendor's own
    folders (``/usr/lib``, ``/usr/share``…) are taken for shipped.
    """
    lists = {name: number for name, number in files.folder(_DPKG).items() if name.endswith(".md5sums")}
    if not lists:
        return {file: "the distribution" for file, path in paths.items() if path.startswith(_VENDOR)}
    found: dict[Any, str] = {}
    digests = {file: _md5(files, file) for file in paths}
    for name, number in lists.items():
        text = _text(files, number)
        for file, path in paths.items():
            # Packages list /lib where the root has a link to /usr/lib.
            spellings = {path.lstrip("/"), path.removeprefix("/usr/")}
            if digests[file] and any(f"{digests[file]}  {s}\n" in text for s in spellings):
                found[file] = name.removesuffix(".md5sums").split(":")[0]
    return found


def _md5(files: VolumeFiles, file: Any) -> str:
    try:
        return hashlib.md5(files.content(file), usedforsecurity=False).hexdigest()
    except ValueError:
        return ""


def _text(files: VolumeFiles, number: Any) -> str:
    try:
        return files.content(number).decode("utf-8", "replace")
    except ValueError:
        return ""
