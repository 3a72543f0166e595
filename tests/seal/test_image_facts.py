"""What is in an image, told without starting anything."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.disk.driver_readiness import Need
from factory.drivers.protocols import ApplianceDisk
from factory.events import ignore
from factory.quantity import Size
from factory.seal.image_facts import image_facts
from factory.seal.model import Family, SealOptions
from factory.seal.packages import Package, packages
from factory.seal.preview import preview_seal
from tests.seal.dirty_disk import make_dirty_debian, write_tree
from tests.seal.folder_files import FolderFiles

pytestmark = pytest.mark.machine

DPKG = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2
Description: a shell
 Version: not this

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APK = "C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:busybox\nV:1.36\nA:x86_64\n"
PACMAN = "%NAME%\nzlib\n\n%VERSION%\n1:1.3-2\n\n%ARCH%\nx86_64\n"


class NoAppliance:
    """A driver for what must be told without libguestfs."""

    def launch(self, *_: Any, **__: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        raise AssertionError("the appliance was started")


def rpmdb(path: Path) -> bytes:
    def header(values: dict[int, str]) -> bytes:
        store, entries = b"", b""
        for tag, text in values.items():
            entries += struct.pack(">IIII", tag, 6, len(store), 1)
            store += text.encode() + b"\0"
        return struct.pack(">II", len(values), len(store)) + entries + store

    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        for values in ({1000: "bash", 1001: "5.2", 1002: "1.fc40", 1022: "x86_64"}, {1000: "gpg-pubkey", 1001: "x"}):
            connection.execute("INSERT INTO Packages (blob) VALUES (?)", (header(values),))
        connection.commit()
    return path.read_bytes()


@pytest.mark.parametrize(
    ("place", "content", "expected"),
    [
        ("var/lib/dpkg/status", DPKG, [Package("bash", "5.2", "amd64")]),
        ("lib/apk/db/installed", APK, [Package("busybox", "1.36", "x86_64"), Package("musl", "1.2.5-r0", "x86_64")]),
        ("var/lib/pacman/local/zlib-1/desc", PACMAN, [Package("zlib", "1:1.3-2", "x86_64")]),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", "RPM", [Package("bash", "5.2-1.fc40", "x86_64")]),
        ("var/lib/rpm/rpmdb.sqlite", "this is no database", []),
    ],
)
def test_packages_are_read_from_every_database(
    place: str, content: str, expected: list[Package], tmp_path: Path
) -> None:
    data = rpmdb(tmp_path / "db") if content == "RPM" else content.encode()
    write_tree(tmp_path / "root", {place: data})
    assert asyncio.run(packages(FolderFiles(tmp_path / "root"))) == expected


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApplianceDisk]:
    made = make_dirty_debian(tmp_path_factory.mktemp("facts"))
    before = made.path.read_bytes()
    yield ApplianceDisk(made.path, "raw", "main")
    assert made.path.read_bytes() == before, "looking has changed the disk"


def test_an_image_is_told_without_an_appliance(disk: ApplianceDisk, tmp_path: Path) -> None:
    need = Need("VMware", "disk", ("mptspi",))
    facts = asyncio.run(image_facts([disk], [need], driver=NoAppliance(), runtime_dir=tmp_path, emit=ignore))
    assert facts.guest.family is Family.DEBIAN
    assert facts.virtual_size == Size(160 * 2**20)
    assert [(p.number, p.type, p.label, p.mounted_at) for p in facts.partitions] == [
        (1, "vfat", "ESP", "/boot/efi"),
        (2, "swap", "SWAP", ""),
        (3, "ext4", "root", "/"),
    ]
    assert facts.folders["/var/log"] > 1000
    assert facts.folders["/"] >= facts.folders["/var"] >= facts.folders["/var/log"]
    assert facts.notes == ("no kernel was found in /boot",)


def test_a_preview_names_what_would_go(disk: ApplianceDisk, tmp_path: Path) -> None:
    options = SealOptions(only=("logs", "machine-id", "fs-uuids", "lvm-uuids"), shrink=True)
    preview = asyncio.run(preview_seal([disk], options, driver=NoAppliance(), runtime_dir=tmp_path, emit=ignore))
    assert set(preview.operations) == {"logs", "machine-id", "fs-uuids", "lvm-uuids"}
    assert preview.operations["fs-uuids"] == ["/dev/sda3", "/dev/sda2"]
    assert preview.operations["lvm-uuids"] == []
    assert preview.shrink == "shrunk: the root on /dev/sda3, its partition and the disk"
    assert "/var/log/syslog" in preview.operations["logs"]
    assert "/var/lib/dbus/machine-id" in preview.operations["machine-id"]
