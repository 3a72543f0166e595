"""Files as their package ships them are told from changed ones, by the digests of each kind of package database."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterator, Mapping

import pytest

from factory.seal.packaged import Shipped, is_same
from tests.seal.rpm_database import header, in_ndb, in_sqlite

pytestmark = pytest.mark.unit

KEY = b"-----BEGIN PRIVATE KEY-----\nself test\n"
MD5 = hashlib.md5(KEY, usedforsecurity=False).hexdigest()
SHA1 = base64.b64encode(hashlib.sha1(KEY, usedforsecurity=False).digest()).decode()
SHA256 = hashlib.sha256(KEY).hexdigest()


class Volume:
    """``VolumeFiles`` in memory; a file is its own path."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def owners_at(self, offsets: set[int]) -> Mapping[int, str]:
        return {}

    def paths(self, inodes: set[str]) -> Mapping[str, str]:
        return {i: i for i in inodes}

    def lookup(self, path: str) -> str | None:
        return path if path in self._files else None

    def folder(self, path: str) -> Mapping[str, str]:
        below = {p[len(path) + 1 :].split("/")[0] for p in self._files if p.startswith(f"{path}/")}
        return {name: f"{path}/{name}" for name in below}

    def content(self, number: str) -> bytes:
        if number not in self._files:
            raise ValueError("no regular file")
        return self._files[number]

    def free_extents(self) -> Iterator[tuple[int, int]]:
        return iter(())


def shipped(*volumes: Mapping[str, bytes]) -> dict[str, str]:
    """Of all files of the first volume."""
    made = [Volume(v) for v in volumes]
    return Shipped(lambda: made).among(made[0], {path: path for path in volumes[0]})


@pytest.mark.parametrize(
    ("database", "package"),
    [
        ({"/var/lib/dpkg/info/libgnutls30:amd64.md5sums": f"{MD5}  usr/lib/app/self.key\n"}, "libgnutls30"),
        (
            {
                "/lib/apk/db/installed": "P:musl\nF:lib\nR:libc.so\nZ:Q1AAAA\n\nP:app\nF:usr/lib/app\nM:0:0:755\n"
                f"R:self.key\na:0:0:600\nZ:Q1{SHA1}\n"
            },
            "app",
        ),
        ({"/usr/lib/sysimage/rpm/rpmdb.sqlite": in_sqlite(header("gnutls", {"/usr/lib/app/self.key": KEY}))}, "gnutls"),
        (
            {"/var/lib/rpm/Packages.db": in_ndb(header("a", {}), header("gnutls", {"/usr/lib/app/self.key": KEY}))},
            "gnutls",
        ),
        (
            {
                "/var/lib/pacman/local/gnutls-3.8-1/mtree": gzip.compress(
                    b"#mtree\n/set type=file uid=0\n./usr/lib/app time=1 type=dir\n"
                    + f"./usr/lib/app/self.key time=1.0 size=3 sha256digest={SHA256}\n".encode()
                )
            },
            "gnutls",
        ),
    ],
    ids=["dpkg", "apk", "rpm in SQLite", "rpm in ndb", "pacman"],
)
def test_a_file_counts_as_shipped_when_its_digest_is_in_the_database(
    database: dict[str, str | bytes], package: str
) -> None:
    written = {p: c.encode() if isinstance(c, str) else c for p, c in database.items()}
    files = {
        "/usr/lib/app/self.key": KEY,
        "/usr/lib/app/own.key": KEY,
        "/usr/share/tls.key": KEY,
        "/etc/self.key": KEY,
    }
    assert shipped(files | written) == {"/usr/lib/app/self.key": package}
    files["/usr/lib/app/self.key"] = KEY + b"and something of ours"
    assert shipped(files | written) == {}


def test_without_a_database_nothing_is_shipped() -> None:
    assert shipped({"/usr/lib/app/tls.key": KEY, "/lib/x": KEY, "/usr/share/x": KEY}) == {}


@pytest.mark.parametrize("path", ["/lib/apk/db/installed", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages.db"])
def test_a_broken_database_vouches_for_nothing(path: str) -> None:
    for content in (b"", b"RpmP" + b"\xff" * 40, b"P:a\nF:usr/lib\nR:x\nZ:Q1%%%\n", b"SQLite format 3\0" * 9):
        assert shipped({"/usr/lib/x": KEY, path: content}) == {}


def test_the_database_may_lie_on_a_var_of_its_own() -> None:
    var = {"/lib/dpkg/info/app.md5sums": f"{MD5}  usr/lib/self.key\n".encode()}
    assert shipped({"/usr/lib/self.key": KEY}, var) == {"/usr/lib/self.key": "app"}


@pytest.mark.parametrize(
    ("path", "listed", "same"),
    [
        ("/usr/lib/a.so", "/usr/lib/a.so", True),
        ("/usr/lib/a.so", "/lib/a.so", True),
        ("/lib/a.so", "/usr/lib/a.so", True),
        ("/.snapshots/1/snapshot/usr/lib/a.so", "/usr/lib/a.so", True),
        ("/usr/lib/b.so", "/usr/lib/a.so", False),
        ("/usr/lib/xa.so", "/usr/lib/a.so", False),
        ("/etc/a.so", "/usr/lib/a.so", False),
    ],
)
def test_one_place_has_several_spellings(path: str, listed: str, same: bool) -> None:
    assert is_same(path, listed) is same
