"""Lists the packages of a guest from its own databases, without running anything in it: dpkg, rpm, apk, pacman."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from factory.seal.files import GuestFiles

_DPKG = ("/var/lib/dpkg/status",)
_RPM = ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite")
_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_PACMAN = "/var/lib/pacman/local/*/desc"
_RPM_TAGS = {1000: "name", 1001: "version", 1002: "release", 1022: "architecture"}


@dataclass(frozen=True, slots=True, order=True)
class Package:
    name: str
    version: str
    architecture: str = ""


async def packages(files: GuestFiles) -> list[Package]:
    """All installed packages, sorted; nothing where there is no database that is read here."""
    found: set[Package] = set()
    for path in await files.find(_DPKG):
        found.update(dpkg(await files.read(path)))
    for path in await files.find(_RPM):
        found.update(rpm(await files.read(path)))
    for path in await files.find(_APK):
        found.update(apk(await files.read(path)))
    for path in await files.find([_PACMAN]):
        found.update(pacman(await files.read(path)))
    return sorted(found)


def _stanzas(content: bytes) -> Iterator[dict[str, str]]:
    for block in content.decode("utf-8", "replace").split("\n\n"):
        fields = (line.partition(":") for line in block.splitlines() if line[:1] not in {" ", "\t", ""})
        yield {key: value.strip() for key, _, value in fields}


def dpkg(content: bytes) -> Iterator[Package]:
    for fields in _stanzas(content):
        if fields.get("Status", "").endswith(" installed") and fields.get("Package"):
            yield Package(fields["Package"], fields.get("Version", ""), fields.get("Architecture", ""))


def apk(content: bytes) -> Iterator[Package]:
    for fields in _stanzas(content):
        if fields.get("P"):
            yield Package(fields["P"], fields.get("V", ""), fields.get("A", ""))


def pacman(content: bytes) -> Iterator[Package]:
    lines = content.decode("utf-8", "replace").splitlines()
    values = {lines[i].strip("%"): lines[i + 1] for i in range(len(lines) - 1) if lines[i].startswith("%")}
    if values.get("NAME"):
        yield Package(values["NAME"], values.get("VERSION", ""), values.get("ARCH", ""))


def rpm(content: bytes) -> Iterator[Package]:
    """From an rpm database in SQLite; its blobs are headers as rpm's file format describes them."""
    connection = sqlite3.connect(":memory:")
    try:
        # A database that was in use says that it has a journal beside it; there is none in memory.
        data = bytearray(content)
        data[18:20] = b"\1\1"
        connection.deserialize(bytes(data))
        for (blob,) in connection.execute("SELECT blob FROM Packages"):
            values = _rpm_header(blob)
            if values.get("name") and values["name"] != "gpg-pubkey":
                version = f"{values.get('version', '')}-{values.get('release', '')}"
                yield Package(values["name"], version, values.get("architecture", ""))
    except sqlite3.DatabaseError:
        return
    finally:
        connection.close()


def _rpm_header(blob: bytes) -> dict[str, str]:
    count, _ = struct.unpack_from(">II", blob, 0)
    store = 8 + 16 * count
    values = {}
    for number in range(count):
        tag, _, offset, _ = struct.unpack_from(">IIII", blob, 8 + 16 * number)
        if tag in _RPM_TAGS:
            end = blob.index(b"\0", store + offset)
            values[_RPM_TAGS[tag]] = blob[store + offset : end].decode("utf-8", "replace")
    return values
