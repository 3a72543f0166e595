"""Tells files that a distribution ships from those that somebody made: the former hold test keys, and no secrets.

TLS libraries carry private keys for their self-tests, documentation carries examples. A file that is byte for byte what
its package holds is public, whatever it looks like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from factory.seal.free_space import VolumeFiles

_DPKG = "/var/lib/dpkg/info"
_VENDOR = ("/usr/lib/", "/usr/lib64/", "/usr/libexec/", "/usr/share/", "/usr/include/", "/usr/src/", "/lib/")


def packaged(files: VolumeFiles, paths: Iterable[str]) -> dict[str, str]:
    """Of *paths*, those that are as shipped → by whom: a Debian package, whose checksum matches.

    Where there is no dpkg, files in the vendor's own folders (``/usr/lib``, ``/usr/share``…) are taken for shipped.
    """
    wanted = sorted(set(paths))
    lists = {name: number for name, number in files.folder(_DPKG).items() if name.endswith(".md5sums")}
    if not lists:
        return {path: "the distribution" for path in wanted if path.startswith(_VENDOR)}
    found: dict[str, str] = {}
    digests = {path: _md5(files, path) for path in wanted}
    for name, number in lists.items():
        text = _text(files, number)
        for path, digest in digests.items():
            # Packages list /lib where the root has a link to /usr/lib.
            spellings = {path.lstrip("/"), path.removeprefix("/usr/")}
            if digest and any(f"{digest}  {s}\n" in text for s in spellings):
                found[path] = name.removesuffix(".md5sums").split(":")[0]
    return found


def _md5(files: VolumeFiles, path: str) -> str:
    number = files.lookup(path)
    try:
        return hashlib.md5(files.content(number), usedforsecurity=False).hexdigest() if number is not None else ""
    except ValueError:
        return ""


def _text(files: VolumeFiles, number: Any) -> str:
    try:
        return files.content(number).decode("utf-8", "replace")
    except ValueError:
        return ""
