"""What package databases say of single files: their digests. Of dpkg, rpm (SQLite and ndb), apk and pacman."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from factory.seal.free_space import VolumeFiles
from factory.seal.packages import ndb_headers, rpm_strings, sqlite_headers

Listed: TypeAlias = tuple[str, str, str]
"""``(digest in hex, path, package)``: what kind of digest, its length says."""

_DPKG = "/var/lib/dpkg/info"
_PACMAN = "/var/lib/pacman/local"
_FILES: Mapping[str, Callable[[bytes], Iterator[Listed]]]
_NAME, _DIGESTS, _FOLDER_OF, _BASE_NAMES, _FOLDERS = 1000, 1035, 1116, 1117, 1118  # rpmtag.h


def listed(files: VolumeFiles) -> Iterator[Listed]:
    """All files of all packages of which a database on this volume tells; it may be the guest's root, /var or /usr."""
    for path, read in _FILES.items():
        for place in _places(path):
            number = files.lookup(place)
            if number is not None:
                yield from read(_content(files, number))
    for place in _places(_DPKG):
        for name, number in files.folder(place).items():
            if name.endswith(".md5sums"):
                yield from dpkg(name.removesuffix(".md5sums").split(":")[0], _content(files, number))
    for place in _places(_PACMAN):
        for name in files.folder(place):
            number = files.lookup(f"{place}/{name}/mtree")
            if number is not None:
                yield from pacman(name.rsplit("-", 2)[0], _content(files, number))


def _places(path: str) -> list[str]:
    """The path of a database on the root file system, and on one that is mounted at the first folder of it."""
    return [path, "/" + path.split("/", 2)[2]]


def _content(files: VolumeFiles, number: Any) -> bytes:
    """Nothing of what can't be read: it vouches for no file then."""
    try:
        return files.content(number)
    except ValueError:
        return b""


def dpkg(package: str, content: bytes) -> Iterator[Listed]:
    for line in content.decode("utf-8", "surrogateescape").splitlines():
        digest, _, path = line.partition("  ")
        if path:
            yield digest, f"/{path}", package


def apk(content: bytes) -> Iterator[Listed]:
    """Lines of ``installed``: P is a package, F a folder, R a file in it, Z its digest (Q1 is SHA-1, Q2 SHA-256)."""
    package = folder = name = ""
    for line in content.decode("utf-8", "surrogateescape").splitlines():
        key, value = line[:2], line[2:]
        if key == "P:":
            package, folder = value, ""
        elif key == "F:":
            folder = value
        elif key == "R:":
            name = value
        elif key == "Z:" and value[:2] in {"Q1", "Q2"}:
            try:
                digest = base64.b64decode(value[2:], validate=True).hex()
            except binascii.Error:
                continue
            yield digest, f"/{folder}/{name}".replace("//", "/"), package


def pacman(package: str, content: bytes) -> Iterator[Listed]:
    """An mtree(5), compressed with gzip."""
    try:
        text = zlib.decompress(content, 31).decode("utf-8", "surrogateescape")
    except zlib.error:
        return
    for line in text.splitlines():
        path, _, facts = line.partition(" ")
        for digest in re.findall(r"(?:md5|sha256)(?:digest)?=([0-9a-f]+)", facts) if path.startswith("./") else ():
            yield digest, re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), path[1:]), package


def _rpm(headers: Iterator[bytes]) -> Iterator[Listed]:
    for header in headers:
        tags = rpm_strings(header, {_NAME, _DIGESTS, _BASE_NAMES, _FOLDERS, _FOLDER_OF})
        names, folders = tags.get(_BASE_NAMES, []), tags.get(_FOLDERS, [])
        digests, where = tags.get(_DIGESTS, []), tags.get(_FOLDER_OF, [])
        for name, digest, at in zip(names, digests, where, strict=False):
            if digest and int(at) < len(folders):
                yield digest, folders[int(at)] + name, tags[_NAME][0]


def rpm_sqlite(content: bytes) -> Iterator[Listed]:
    return _rpm(sqlite_headers(content))


def rpm_ndb(content: bytes) -> Iterator[Listed]:
    return _rpm(ndb_headers(content))


_FILES = {
    "/lib/apk/db/installed": apk,
    "/usr/lib/apk/db/installed": apk,
    "/usr/lib/sysimage/rpm/rpmdb.sqlite": rpm_sqlite,
    "/var/lib/rpm/rpmdb.sqlite": rpm_sqlite,
    "/usr/lib/sysimage/rpm/Packages.db": rpm_ndb,
    "/var/lib/rpm/Packages.db": rpm_ndb,
}
