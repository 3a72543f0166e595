"""Whether a guest starts on a PC is told by its programs."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from factory.disk.gaps import Loaders
from factory.seal.loaders import loaders_of
from factory.seal.model import Family, GuestInfo, SealOptions, Subject
from tests.seal.dirty_disk import write_tree
from tests.seal.folder_files import FolderFiles

pytestmark = pytest.mark.unit


def elf(machine: int, order: str = "<") -> bytes:
    return b"\x7fELF\2" + (b"\1" if order == "<" else b"\2") + bytes(10) + struct.pack(f"{order}HH", 2, machine)


@pytest.mark.parametrize(
    ("program", "content", "loaders"),
    [
        ("usr/lib/systemd/systemd", elf(62), Loaders.OF_PCS),
        ("bin/busybox", elf(3), Loaders.OF_PCS),
        ("usr/bin/bash", elf(183), Loaders.ANY),
        ("sbin/init", elf(8, ">"), Loaders.ANY),
        ("sbin/init", elf(62, ">"), Loaders.OF_PCS),
        ("usr/bin/bash", b"\x7fELF", Loaders.ANY),
        ("usr/bin/env", b"#!/bin/sh\n", Loaders.ANY),
        ("etc/passwd", b"", Loaders.ANY),
    ],
)
def test_a_guest_for_pcs_has_programs_for_pcs(program: str, content: bytes, loaders: Loaders, tmp_path: Path) -> None:
    write_tree(tmp_path, {program: content, "usr/lib/x": "x"})
    (tmp_path / "usr/bin").mkdir(exist_ok=True, parents=True)
    (tmp_path / "usr/bin/sh").symlink_to("bash")
    subject = Subject(FolderFiles(tmp_path), GuestInfo(Family.DEBIAN), SealOptions())
    assert asyncio.run(loaders_of(subject)) is loaders


def test_windows_starts_from_a_file(tmp_path: Path) -> None:
    subject = Subject(FolderFiles(tmp_path), GuestInfo(Family.WINDOWS), SealOptions())
    assert asyncio.run(loaders_of(subject)) is Loaders.OF_PCS
