"""Lists the packages of a guest from its own databases, without running anything in it: dpkg, rpm, apk, pacman."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass

from factory.seal.files import GuestFiles

_DPKG = ("/var/lib/dpkg/status",)
_RPM = ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite")
_NDB = ("/usr/lib/sysimage/rpm/Packages.db", "/var/lib/rpm/Packages.db")
_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_PACMAN = "/var/lib/pacman/local/*/desc"
_RPM_TAGS = {1000: "name", 1001: "version", 1002: "release", 1022: "architecture"}
_INT32, _STRING, _STRING_ARRAY, _I18N_STRING = 4, 6, 8, 9


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
        found.update(rpm(sqlite_headers(await files.read(path))))
    for path in await files.find(_NDB):
        found.update(rpm(ndb_headers(await files.read(path))))
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


def rpm(headers: Iterator[bytes]) -> Iterator[Package]:
    """From the headers in an rpm database, as rpm's file format describes them."""
    for blob in headers:
        values = {_RPM_TAGS[tag]: texts[0] for tag, texts in rpm_strings(blob, _RPM_TAGS).items()}
        if values.get("name") and values["name"] != "gpg-pubkey":
            version = f"{values.get('version', '')}-{values.get('release', '')}"
            yield Package(values["name"], version, values.get("architecture", ""))


def sqlite_headers(content: bytes) -> Iterator[bytes]:
    """The headers in an rpm database in SQLite (Fedora, Enterprise Linux 9)."""
    connection = sqlite3.connect(":memory:")
    try:
        # A database that was in use says that it has a journal beside it; there is none in memory.
        data = bytearray(content)
        data[18:20] = b"\1\1"
        connection.deserialize(bytes(data))
        for (blob,) in connection.execute("SELECT blob FROM Packages"):
            yield blob
    except sqlite3.DatabaseError:
        return
    finally:
        connection.close()


def ndb_headers(content: bytes) -> Iterator[bytes]:
    """The headers in rpm's own database (SUSE): pages of slots, which tell where blobs lie (rpm's ``ndb/rpmpkg.c``)."""
    if content[:4] != b"RpmP":
        return
    (pages,) = struct.unpack_from("<I", content, 12)
    for at in range(32, min(pages * 4096, len(content) - 16), 16):
        magic, _, block, count = struct.unpack_from("<4sIII", content, at)
        start = block * 16
        if magic == b"Slot" and count and content[start : start + 4] == b"BlbS":
            (length,) = struct.unpack_from("<I", content, start + 12)
            yield content[start + 16 : start + 16 + length]


def rpm_strings(blob: bytes, wanted: Container[int]) -> dict[int, list[str]]:
    """The values of those tags of a header that are *wanted*; numbers are written out."""
    found: dict[int, list[str]] = {}
    if len(blob) < 8:
        return found
    count, _ = struct.unpack_from(">II", blob, 0)
    store = 8 + 16 * count
    for number in range(count if store <= len(blob) else 0):
        tag, kind, offset, values = struct.unpack_from(">IIII", blob, 8 + 16 * number)
        start = store + offset
        if tag not in wanted or start > len(blob):
            continue
        if kind == _INT32:
            values = min(values, (len(blob) - start) // 4)
            found[tag] = [str(n) for n in struct.unpack_from(f">{values}I", blob, start)]
        elif kind in {_STRING, _STRING_ARRAY, _I18N_STRING}:
            texts = blob[start:].split(b"\0", values)[:values]
            found[tag] = [text.decode("utf-8", "surrogateescape") for text in texts]
    return {tag: texts for tag, texts in found.items() if texts}
