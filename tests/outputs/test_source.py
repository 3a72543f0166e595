"""OVAs of others as sources: nothing in them makes QEMU read a file of this computer."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from factory.drivers.protocols import DiskImages, ImageInfo
from factory.errors import StepError
from factory.events import Event, Note
from factory.outputs import ovf
from factory.outputs.hardware import OvfHardware
from factory.outputs.ovf import OvfDisk, OvfSystem
from factory.outputs.source import image_disks
from factory.quantity import Size
from tests.disk.test_references import FLAT, OWN, SECRET, qcow2, vmdk

pytestmark = pytest.mark.unit

QCOW2 = "http://www.gnome.org/~markmc/qcow-image-format.html"


class Asked:
    """Stands for qemu-img: notes which files it was let open, and as what."""

    def __init__(self) -> None:
        self.formats: list[str] = []

    async def info(self, path: Path, *, format: str = "") -> ImageInfo:
        self.formats.append(format)
        return ImageInfo(format, Size(2**20), Size(1))


def ova(path: Path, disk: bytes, declared: str = "", compressed: str = "w") -> Path:
    text = ovf.descriptor(OvfSystem("x", OvfHardware()), [OvfDisk("x-disk1.vmdk", len(disk), Size(2**20))]).decode()
    if declared:
        text, number = re.subn(r'ovf:format="[^"]*"', f'ovf:format="{declared}"', text)
        assert number
    listed = [("x.ovf", hashlib.sha256(text.encode()).hexdigest()), ("x-disk1.vmdk", hashlib.sha256(disk).hexdigest())]
    members = {"x.ovf": text.encode(), "x.mf": ovf.manifest(listed, "sha256"), "x-disk1.vmdk": disk}
    with tarfile.open(path, cast(Any, compressed)) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def formats(path: Path, scratch: Path) -> list[str]:
    asked = Asked()
    asyncio.run(image_disks(path, cast(DiskImages, asked), scratch))
    return asked.formats


@pytest.mark.parametrize(
    ("disk", "declared"),
    [
        (FLAT.encode(), ""),
        (FLAT.encode(), "raw"),
        (qcow2(SECRET, "raw"), ""),
        (qcow2(SECRET, "raw"), QCOW2),
        (qcow2(data_file=SECRET), QCOW2),
        (qcow2(), ""),
        (vmdk(FLAT, capacity=0), ""),
        (vmdk(OWN + 'parentFileNameHint="/some/hostsecret.vmdk"\n'), ""),
        (bytes(2**16), ""),
    ],
)
def test_a_disk_that_is_not_whole_or_not_what_is_said_is_never_opened(
    disk: bytes, declared: str, tmp_path: Path
) -> None:
    asked = Asked()
    with pytest.raises(StepError, match=r"refers to another file|is no sparse VMDK"):
        asyncio.run(image_disks(ova(tmp_path / "x.ova", disk, declared), cast(DiskImages, asked), tmp_path / "scratch"))
    assert asked.formats == []


@pytest.mark.parametrize(
    ("disk", "declared", "format"),
    [
        (vmdk(OWN), "", "vmdk"),
        (qcow2(), QCOW2, "qcow2"),
        (bytes(2**16), "http://en.wikipedia.org/wiki/Byte", "raw"),
    ],
)
def test_a_whole_disk_is_opened_as_what_it_must_be(disk: bytes, declared: str, format: str, tmp_path: Path) -> None:
    assert formats(ova(tmp_path / "x.ova", disk, declared), tmp_path / "scratch") == [format]


def test_what_an_image_of_the_user_stands_on_is_told_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "base.raw").write_bytes(bytes(512))
    (tmp_path / "top.qcow2").write_bytes(qcow2("base.raw", "raw"))
    asked, told = Asked(), list[Event]()
    asyncio.run(image_disks(tmp_path / "top.qcow2", cast(DiskImages, asked), tmp_path / "scratch", told.append))
    assert told == [Note(f"top.qcow2 does not hold its whole disk: {tmp_path / 'base.raw'} is read, too")]
    assert asked.formats == ["qcow2"]


def test_an_ova_is_known_by_its_content(tmp_path: Path) -> None:
    assert formats(ova(tmp_path / "machine", vmdk(OWN)), tmp_path / "scratch") == ["vmdk"]


def test_a_compressed_ova_that_was_cut_is_an_error_of_ours(tmp_path: Path) -> None:
    path = ova(tmp_path / "x.ova", vmdk(OWN) + hashlib.sha256().digest() * 9999, compressed="w:gz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StepError, match="is no OVA"):
        formats(path, tmp_path / "scratch")
