from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from factory.drivers.floppy import make_floppy
from factory.errors import StepError

pytestmark = pytest.mark.machine


def _mtools(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_files_arrive_under_their_names(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(range(256)) * 100)
    image = tmp_path / "seed.img"
    files: dict[str, bytes | Path] = {"ks.cfg": b"text\n", "Autounattend.xml": b"<x/>", "drivers/a long name.inf": raw}
    asyncio.run(make_floppy(image, "oemdrv", files))
    assert image.stat().st_size == 1_474_560
    assert image.stat().st_mode & 0o777 == 0o600  # answer files hold passwords
    assert _mtools("mtype", "-i", str(image), "::ks.cfg") == "text\n"
    assert _mtools("mtype", "-i", str(image), "::Autounattend.xml") == "<x/>"
    subprocess.run(["mcopy", "-i", str(image), "::drivers/a long name.inf", str(tmp_path / "back")], check=True)
    assert (tmp_path / "back").read_bytes() == raw.read_bytes()
    assert "OEMDRV" in _mtools("mlabel", "-s", "-i", str(image), "::")
    subprocess.run(["fsck.fat", "-n", str(image)], check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "raw", "seed.img"]


def test_an_empty_one(tmp_path: Path) -> None:
    asyncio.run(make_floppy(tmp_path / "seed.img", "empty", {}))
    assert "No files" in _mtools("mdir", "-i", str(tmp_path / "seed.img"), "::")


@pytest.mark.parametrize("files", [{"big": bytes(1_500_000)}, {f"f{i}": bytes(1) for i in range(3000)}])
def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path, files: dict[str, bytes | Path]) -> None:
    image = tmp_path / "seed.img"
    image.write_text("the one before")
    with pytest.raises(StepError, match="floppy"):
        asyncio.run(make_floppy(image, "seed", files))
    assert image.read_text() == "the one before"
    assert [path.name for path in tmp_path.iterdir()] == ["seed.img"]
