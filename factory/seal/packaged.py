"""Tells files that a distribution ships from those that somebody made: the former hold test keys, and no secrets.

TLS libraries carry private keys for their self-tests, documentation carries examples. A file that is byte for byte what
its package holds is public, whatever it looks like. Only the digests of the guest's package database say so: a file in
a folder of the vendor's is not yet the vendor's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from factory.seal.free_space import VolumeFiles
from factory.seal.package_digests import listed

_DIGESTS = ("md5", "sha1", "sha256", "sha512")


class Shipped:
    """Knows the packages of one machine: their databases may lie on another volume than a file of theirs."""

    def __init__(self, volumes: Callable[[], Iterable[VolumeFiles]]) -> None:
        self._volumes = volumes

    def among(self, files: VolumeFiles, paths: Mapping[Any, str]) -> dict[Any, str]:
        """Of *files* (→ their paths on their volume) those that are as shipped → the package.

        Files and not paths alone: in snapshots, files of one path differ.
        """
        wanted: dict[str, list[Any]] = {}
        for file in paths:
            for digest in _digests(files, file):
                wanted.setdefault(digest, []).append(file)
        found: dict[Any, str] = {}
        for volume in self._volumes() if wanted else ():
            try:
                for digest, path, package in listed(volume):
                    found |= {f: package for f in wanted.get(digest, ()) if is_same(paths[f], path)}
            except ValueError:  # a file system that makes no sense to its reader
                continue
        return found


def is_same(path: str, shipped: str) -> bool:
    """Whether *path*, as its own volume has it, can be the place where a package puts *shipped*.

    The volume may be mounted below the root (a /usr of its own), and may hold the root below a folder (a snapshot);
    packages list /lib where the root has a link to /usr/lib.
    """
    ours = path.removeprefix("/usr")
    theirs = shipped.removeprefix("/usr")
    return ours.endswith(theirs) or theirs.endswith(ours)


def _digests(files: VolumeFiles, file: Any) -> list[str]:
    try:
        content = files.content(file)
    except ValueError:
        return []
    return [hashlib.new(name, content, usedforsecurity=False).hexdigest() for name in _DIGESTS]
