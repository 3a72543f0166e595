"""An artifact's own words name nothing on this computer: what is unpacked and laid over goes where it should."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factory.outputs.model import Exported, Part
from factory.quantity import Size
from factory.verify.disks import Base, bases, overlays
from factory.verify.prove import _new_folder

pytestmark = pytest.mark.unit


class Images:
    """Makes files as qemu-img would."""

    async def create(self, path: Path, **_: Any) -> None:
        path.write_text("overlay")

    async def info(self, path: Path, **_: Any) -> Any:
        return SimpleNamespace(virtual_size=Size(512))


def exported(name: str, *parts: Part) -> Exported:
    return Exported(Path(name), "raw", Size(1), "0" * 64, parts=parts)


@pytest.mark.parametrize("disk", ["precious", "{}/precious", "../precious", "../../precious"])
def test_no_disk_of_an_artifact_is_unpacked_over_a_file_of_this_computer(disk: str, tmp_path: Path) -> None:
    victims = [tmp_path / "precious.raw", tmp_path / "precious.qcow2", tmp_path / "precious-size.qcow2"]
    for victim in victims:
        victim.write_text("mine")
    (tmp_path / "x.raw.gz").write_bytes(gzip.compress(bytes(512)))
    name = disk.format(tmp_path)
    file = exported("x.raw.gz", Part(name, "x.raw.gz", "raw", packing="gz"))
    images: Any = Images()
    scratch, logs = tmp_path / "scratch", tmp_path / "logs"
    logs.mkdir()
    (found,) = asyncio.run(bases([file], tmp_path, scratch / "file0", images))
    asyncio.run(overlays([found], {}, logs, images, Size(0)))
    assert [v.read_text() for v in victims] == ["mine"] * 3
    assert [p.name for p in (scratch / "file0").iterdir()] == ["disk0.raw"]
    assert [p.name for p in logs.iterdir()] == ["disk0.qcow2"]


def test_disks_of_a_machine_lie_beside_each_other(tmp_path: Path) -> None:
    images: Any = Images()
    disks = [Base(name, "json:{}", "raw", Size(512)) for name in ("main", "data")]
    made = asyncio.run(overlays(disks, {}, tmp_path, images, Size(0)))
    assert {name: path.name for name, path in made.items()} == {"main": "disk0.qcow2", "data": "disk1.qcow2"}


def test_logs_of_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    assert [_new_folder(tmp_path / "logs", "x.ova").name for _ in range(3)] == ["x.ova", "x.ova-2", "x.ova-3"]
