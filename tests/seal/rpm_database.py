"""Makes small databases of rpm, without rpm: in SQLite and in rpm's own format."""

from __future__ import annotations

import hashlib
import posixpath
import sqlite3
import struct
from collections.abc import Mapping

NAME, VERSION, RELEASE, DIGESTS, FOLDER_OF, BASE_NAMES, FOLDERS = 1000, 1001, 1002, 1035, 1116, 1117, 1118


def header(name: str, files: Mapping[str, bytes]) -> bytes:
    """A package that ships *files*."""
    folders = sorted({posixpath.dirname(p) + "/" for p in files})
    strings = {
        NAME: (6, [name]),
        VERSION: (6, ["1"]),
        RELEASE: (6, ["2"]),
        DIGESTS: (8, [hashlib.sha256(c).hexdigest() for c in files.values()]),
        BASE_NAMES: (8, [posixpath.basename(p) for p in files]),
        FOLDERS: (8, folders),
    }
    where = struct.pack(f">{len(files)}I", *(folders.index(posixpath.dirname(p) + "/") for p in files))
    entries, store = [(FOLDER_OF, 4, 0, len(files))], where
    for tag, (kind, texts) in strings.items():
        entries.append((tag, kind, len(store), len(texts)))
        store += b"".join(t.encode() + b"\0" for t in texts)
    return struct.pack(">II", len(entries), len(store)) + b"".join(struct.pack(">IIII", *e) for e in entries) + store


def in_sqlite(*headers: bytes) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(h,) for h in headers])
    connection.commit()
    return bytes(connection.serialize())


def in_ndb(*headers: bytes) -> bytes:
    slots, blobs, block = b"", b"", 256  # of 16 bytes: behind the one page of slots
    for number, blob in enumerate(headers, 1):
        packed = struct.pack("<4sIII", b"BlbS", number, 0, len(blob)) + blob
        packed += bytes(-len(packed) % 4) + struct.pack("<II4s", 0, len(blob), b"BlbE")
        packed += bytes(-len(packed) % 16)
        slots += struct.pack("<4sIII", b"Slot", number, block, len(packed) // 16)
        block, blobs = block + len(packed) // 16, blobs + packed
    head = struct.pack("<4sIIII", b"RpmP", 0, 1, 1, len(headers) + 1).ljust(32, b"\0")
    return (head + slots).ljust(4096, b"\0") + blobs
