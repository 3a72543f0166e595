"""Files as their package ships them are told from changed ones, on a real ext4."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from factory.disk.ext import Ext
from factory.disk.reader import open_disk
from factory.seal.packaged import packaged
from tests.seal.dirty_disk import program, write_tree

pytestmark = pytest.mark.machine

KEY = b"-----BEGIN PRIVATE KEY-----\nself test\n"
SUM = hashlib.md5(KEY, usedforsecurity=False).hexdigest()
DPKG: dict[str, str | bytes] = {
    "var/lib/dpkg/info/libgnutls30:amd64.md5sums": f"{SUM}  usr/lib/libgnutls.so\n{SUM}  usr/lib/changed.so\n",
    "var/lib/dpkg/info/old.md5sums": f"{SUM}  lib/merged.so\n",
}
PATHS = ["/usr/lib/libgnutls.so", "/usr/lib/changed.so", "/usr/lib/merged.so", "/usr/lib/own.so", "/etc/own.pem"]


def find(tmp_path: Path, files: dict[str, str | bytes]) -> dict[str, str]:
    write_tree(tmp_path / "tree", files)
    image = tmp_path / "fs"
    with image.open("wb") as stream:
        stream.truncate(16 * 2**20)
    program("mke2fs", "-q", "-F", "-t", "ext4", "-d", tmp_path / "tree", image)
    with open_disk(image, "raw") as reader:
        ext = Ext(reader)
        paths = {ext.lookup(path): path for path in PATHS}
        return {paths[file]: package for file, package in packaged(ext, paths).items()}


def test_a_file_counts_as_shipped_when_its_checksum_matches(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {path.lstrip("/"): KEY for path in PATHS}
    files["usr/lib/changed.so"] = KEY + b"and something of ours"
    assert find(tmp_path, files | DPKG) == {"/usr/lib/libgnutls.so": "libgnutls30", "/usr/lib/merged.so": "old"}


def test_without_dpkg_the_vendor_s_folders_count(tmp_path: Path) -> None:
    found = find(tmp_path, {path.lstrip("/"): KEY for path in PATHS})
    assert set(found) == {p for p in PATHS if p.startswith("/usr/lib/")}
