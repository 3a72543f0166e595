"""Floppies, made and read back by mtools."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from factory.drivers.floppy import CAPACITY_SECTORS, SECTOR, make_floppy
from factory.errors import HostError, StepError

pytestmark = pytest.mark.machine

needs_mtools = pytest.mark.skipif(shutil.which("mcopy") is None, reason="mtools is not installed")


def make(path: Path, label: str, files: dict[str, bytes | Path]) -> Path:
    asyncio.run(make_floppy(path, label, files))
    return path


def mtools(*argv: str | Path) -> bytes:
    return subprocess.run(argv, capture_output=True, check=True).stdout


@needs_mtools
def test_names_folders_and_content(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40)
    files: dict[str, bytes | Path] = {
        "preseed.cfg": b"d-i\n",
        "Autounattend.xml": b"",
        "folder/a long name.conf": source,
    }
    path = make(tmp_path / "x.img", "cidata", files)
    assert path.stat().st_size == CAPACITY_SECTORS * SECTOR == 1_474_560
    assert mtools("mtype", "-i", path, "::/preseed.cfg") == b"d-i\n"
    assert mtools("mtype", "-i", path, "::/folder/a long name.conf") == source.read_bytes()
    assert mtools("mtype", "-i", path, "::/Autounattend.xml") == b""
    assert b"CIDATA" in mtools("mlabel", "-s", "-i", path, "::")
    if shutil.which("fsck.fat"):
        mtools("fsck.fat", "-n", path)


@needs_mtools
def test_a_floppy_may_be_empty(tmp_path: Path) -> None:
    path = make(tmp_path / "x.img", "x", {})
    assert b"No files" in mtools("mdir", "-i", path, "::/")


@needs_mtools
def test_only_its_owner_reads_it_and_nothing_else_stays(tmp_path: Path) -> None:
    path = make(tmp_path / "x.img", "a label that is too long", {"a": b"1"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@needs_mtools
def test_a_full_floppy_holds_every_byte(tmp_path: Path) -> None:
    content = bytes(1400 * 1024)
    path = make(tmp_path / "x.img", "x", {"big": content})
    assert mtools("mtype", "-i", path, "::/big") == content


@pytest.mark.parametrize("count", [1, 3])
def test_what_does_not_fit_is_refused(count: int, tmp_path: Path) -> None:
    files: dict[str, bytes | Path] = {f"file{i}": bytes(1_500_000 // count) for i in range(count)}
    with pytest.raises(StepError, match="a floppy holds") as caught:
        make(tmp_path / "x.img", "x", files)
    assert "`seed: cd`" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@needs_mtools
def test_what_fits_by_bytes_but_not_by_clusters_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "x.img"
    path.write_text("the one before")
    files: dict[str, bytes | Path] = {f"file{i}": b"x" for i in range(3000)}
    with pytest.raises(StepError, match="the floppy can't be made"):
        make(path, "x", files)
    assert path.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [path]


def test_without_mtools_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="mformat"):
        make(tmp_path / "x.img", "x", {})
    assert list(tmp_path.iterdir()) == []
