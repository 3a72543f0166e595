"""Seed CDs, read back with programs that have nothing to do with how they were written."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from factory.drivers.iso import PADDING, make_cd
from factory.errors import StepError

pytestmark = pytest.mark.machine

FILES = {"user-data": b"#cloud-config\n", "meta-data": b"", "Drivers/viostor.inf": b"[Version]\n", "a/b/c": b"deep"}


def _xorriso(image: Path, *commands: str) -> str:
    argv = ["xorriso", "-no_rc", "-indev", str(image), *commands]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_names_contents_and_label(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(b"x" * 5000)
    image = tmp_path / "seed.iso"
    asyncio.run(make_cd(image, "cidata", {**FILES, "raw.bin": raw}))
    # xorriso reads Rock Ridge names
    listed = _xorriso(image, "-find", "/", "-type", "f").split()
    assert sorted(name.strip("'").lstrip("/") for name in listed) == sorted([*FILES, "raw.bin"])
    for name, content in {**FILES, "raw.bin": raw.read_bytes()}.items():
        target = tmp_path / "back"
        target.unlink(missing_ok=True)
        _xorriso(image, "-osirrox", "on", "-extract", f"/{name}", str(target))
        assert target.read_bytes() == content
    # blkid is what cloud-init and anaconda look with
    shown = subprocess.run(["blkid", "-p", "-o", "export", str(image)], check=True, capture_output=True, text=True)
    assert "LABEL=cidata" in shown.stdout
    assert image.stat().st_mode & 0o777 == 0o600  # answer files hold passwords
    # busybox' findfs probes as far as the superblock of btrfs, and gives up on a disc that ends before it
    assert image.stat().st_size >= 300 * 1024
    assert not any(image.read_bytes()[-PADDING:])
    # Windows reads Joliet: UCS-2, big endian
    assert "Drivers".encode("utf-16-be") in image.read_bytes()


@pytest.mark.parametrize("label", ["OEMDRV", "A" * 16])
def test_labels(tmp_path: Path, label: str) -> None:
    asyncio.run(make_cd(tmp_path / "seed.iso", label, {"ks.cfg": b"x"}))
    shown = subprocess.run(["blkid", "-p", "-o", "export", str(tmp_path / "seed.iso")], capture_output=True, text=True)
    assert f"LABEL={label}" in shown.stdout


@pytest.mark.parametrize("label", ["", "A" * 17, "ümlaut"])
def test_impossible_labels_are_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(StepError, match="can't be a CD's label"):
        asyncio.run(make_cd(tmp_path / "seed.iso", label, {"ks.cfg": b"x"}))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StepError):
        asyncio.run(make_cd(tmp_path / "seed.iso", "cidata", {"x" * 300: b"x"}))
    assert list(tmp_path.iterdir()) == []
