"""A disk that was cut behind its last partition is whole to sfdisk, with either kind of table."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from factory.disk.partitions import partitions
from factory.disk.reader import open_disk
from factory.disk.shrink_table import shrink_table
from tests.seal.dirty_disk import program

pytestmark = pytest.mark.machine

MIB = 2**20
SCRIPTS = {
    "gpt": "label: gpt\nstart=1MiB,size=2MiB,type=uefi,name=esp\nstart=4MiB,type=linux,name=root\n",
    "dos": "label: dos\nstart=1MiB,size=2MiB,type=ef\nstart=4MiB,type=83,bootable\n",
}


def make(path: Path, script: str) -> Path:
    with path.open("wb") as stream:
        stream.truncate(64 * MIB)
    program("sfdisk", "-q", path, text=script)
    return path


@pytest.mark.parametrize("kind", SCRIPTS)
def test_the_disk_is_whole_after_the_cut(kind: str, tmp_path: Path) -> None:
    disk = make(tmp_path / "disk", SCRIPTS[kind])
    before = program("sfdisk", "--dump", disk)
    with open_disk(disk, "raw") as reader:
        table = shrink_table(reader, 2, 10 * MIB)
    assert 14 * MIB <= table.size <= 15 * MIB + 0
    with disk.open("r+b") as stream:
        for offset, content in table.patches:
            stream.seek(offset)
            stream.write(content)
    os.truncate(disk, table.size)
    said = program("sfdisk", "--verify", disk)
    assert "No errors detected" in said
    assert complaints(disk) == ""
    after = program("sfdisk", "--dump", disk)
    assert f"size= {10 * MIB // 512:>11}" in after
    with open_disk(disk, "raw") as reader:
        assert [p.length for p in partitions(reader)] == [2 * MIB, 10 * MIB]
    # Names, types, ids and flags are as they were.
    keep = [line.split("size=")[0] + line.split(",", 2)[2] for line in before.splitlines() if "start=" in line]
    assert keep == [line.split("size=")[0] + line.split(",", 2)[2] for line in after.splitlines() if "start=" in line]


def test_sfdisk_does_see_a_cut_without_its_patches(tmp_path: Path) -> None:
    disk = make(tmp_path / "disk", SCRIPTS["gpt"])
    assert complaints(disk) == ""
    os.truncate(disk, 15 * MIB)
    assert "mismatch" in complaints(disk)


def complaints(disk: Path) -> str:
    """What sfdisk would mend by itself: it says so on standard error, and "No errors detected" all the same."""
    return subprocess.run(["sfdisk", "--verify", disk], capture_output=True, text=True, check=True).stderr


def test_what_can_not_be_shrunk_is_refused(tmp_path: Path) -> None:
    disk = make(tmp_path / "disk", SCRIPTS["gpt"])
    logical = make(tmp_path / "logical", "label: dos\nstart=1MiB,size=2MiB\nstart=4MiB,type=5\nstart=5MiB\n")
    with open_disk(disk, "raw") as reader:
        for number, length, message in (
            (1, MIB, "not the last"),
            (3, MIB, "no partition 3"),
            (2, 90 * MIB, "more than"),
        ):
            with pytest.raises(ValueError, match=message):
                shrink_table(reader, number, length)
    with open_disk(logical, "raw") as reader:
        with pytest.raises(ValueError, match="logical"):
            shrink_table(reader, 5, MIB)
        with pytest.raises(ValueError, match="not the last"):
            shrink_table(reader, 1, MIB)
