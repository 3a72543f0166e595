"""The real qemu-img on small images."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from factory.drivers.protocols import DiskImages
from factory.drivers.qemu.disk_image import QemuImg
from factory.errors import CommandFailed, StoreError
from factory.events import CommandStarted, Event
from factory.quantity import Size

pytestmark = pytest.mark.machine

T = TypeVar("T")
MIB = 2**20


def go(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


@pytest.fixture
def images() -> DiskImages:
    return QemuImg()


def raw(path: Path, *, at: int = MIB, length: int = MIB, size: int = 8 * MIB) -> Path:
    with path.open("wb") as stream:
        stream.truncate(size)
        stream.seek(at)
        stream.write(os.urandom(length))
    return path


def test_create_and_info(images: DiskImages, tmp_path: Path) -> None:
    base, overlay = tmp_path / "base.qcow2", tmp_path / "-overlay,1.qcow2"
    go(images.create(base, size=Size.parse("3 MiB"), options={"cluster_size": "4096"}))
    go(images.create(overlay, size=None, backing="base.qcow2"))
    info = go(images.info(overlay))
    assert (info.format, info.virtual_size, info.backing_file) == ("qcow2", 3 * MIB, "base.qcow2")
    assert 0 < info.actual_size < MIB
    assert go(images.info(base, format="raw")).format == "raw"


def test_info_of_nothing_fails_with_qemu_imgs_words(images: DiskImages, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="No such file"):
        go(images.info(tmp_path / "missing"))


def test_a_full_disk_is_told_as_one_where_it_is_written_to(tmp_path: Path) -> None:
    """The words are QEMU's; that it says them on a disk that is really full, ``tests/drills`` shows."""
    program = tmp_path / "qemu-img"
    program.write_text(
        "#!/bin/sh\necho 'qemu-img: error while writing at byte 0: No space left on device' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    full, target = QemuImg(program=str(program)), tmp_path / "out" / "copy.qcow2"
    for call in (
        full.convert(tmp_path / "a.raw", target, source_format="raw", format="qcow2"),
        full.create(target, size=Size(MIB)),
        full.rebase(target, ""),
    ):
        with pytest.raises(
            StoreError, match=rf"no space left in {tmp_path} \(.* free\): copy.qcow2 can't grow"
        ) as caught:
            go(call)
        assert "qemu-img: error while writing" in caught.value.evidence.stderr
    with pytest.raises(CommandFailed):
        go(full.check(target, format="qcow2"))


def test_convert_tells_progress_and_keeps_contents(images: DiskImages, tmp_path: Path) -> None:
    source = raw(tmp_path / "a.raw", length=4 * MIB)
    told: list[tuple[int, int]] = []
    for name, format, options, compress in (
        ("a.qcow2", "qcow2", ("compression_type=zstd",), True),
        ("a.vmdk", "vmdk", ("subformat=streamOptimized",), False),
    ):
        target = tmp_path / name
        convert = images.convert(
            source,
            target,
            source_format="raw",
            format=format,
            options=options,
            compress=compress,
            progress=lambda done, total: told.append((done, total)),
        )
        go(convert)
        assert go(images.compare(source, "raw", target, format))
        go(images.check(target, format=format))
    assert told[-1][0] == told[-1][1]
    assert len(set(told)) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.qcow2", "a.raw", "a.vmdk"]


def test_a_conversion_that_fails_leaves_nothing_and_spares_what_was_there(images: DiskImages, tmp_path: Path) -> None:
    target = tmp_path / "a.qcow2"
    target.write_text("older")
    damaged = tmp_path / "damaged.qcow2"
    damaged.write_bytes(b"QFI\xfb" + b"\xff" * 600)
    with pytest.raises(CommandFailed):
        go(images.convert(damaged, target, source_format="qcow2", format="qcow2"))
    assert target.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.qcow2", "damaged.qcow2"]


def test_compare_sees_one_byte(images: DiskImages, tmp_path: Path) -> None:
    first = raw(tmp_path / "a.raw")
    second = tmp_path / "b.raw"
    second.write_bytes(first.read_bytes())
    assert go(images.compare(first, "raw", second, "raw"))
    with second.open("r+b") as stream:
        stream.seek(5 * MIB)
        stream.write(b"x")
    assert not go(images.compare(first, "raw", second, "raw"))
    with pytest.raises(CommandFailed):
        go(images.compare(first, "raw", tmp_path / "missing", "raw"))


def test_check_refuses_a_damaged_image(images: DiskImages, tmp_path: Path) -> None:
    image = tmp_path / "a.qcow2"
    go(images.convert(raw(tmp_path / "a.raw"), image, source_format="raw", format="qcow2"))
    go(images.check(image, format="qcow2"))
    content = bytearray(image.read_bytes())
    table = int.from_bytes(content[40:48], "big")  # header, bytes 40-47: offset of the L1 table
    content[table : table + 8] = (0x8000_0000_0000_0200 | 0x30_0000).to_bytes(8, "big")  # into nowhere
    image.write_bytes(content)
    with pytest.raises(CommandFailed) as caught:
        go(images.check(image, format="qcow2"))
    assert "damaged" in caught.value.hint
    go(images.check(tmp_path / "a.raw", format="raw"))  # there is nothing to check: no error


def test_resize_both_ways(images: DiskImages, tmp_path: Path) -> None:
    image = tmp_path / "a.qcow2"
    go(images.create(image, size=Size(MIB)))
    for size in (4 * MIB, 2 * MIB, 2 * MIB):
        go(images.resize(image, Size(size)))
        assert go(images.info(image)).virtual_size == size


def test_rebase_writes_the_name_alone(images: DiskImages, tmp_path: Path) -> None:
    go(images.create(tmp_path / "base.qcow2", size=Size(MIB)))
    go(images.create(tmp_path / "top.qcow2", size=None, backing="base.qcow2"))
    go(images.rebase(tmp_path / "top.qcow2", "../elsewhere.qcow2"))
    assert go(images.info(tmp_path / "top.qcow2")).backing_file == "../elsewhere.qcow2"
    go(images.rebase(tmp_path / "top.qcow2", ""))
    assert go(images.info(tmp_path / "top.qcow2")).backing_file == ""


def test_map_gives_where_data_is(images: DiskImages, tmp_path: Path) -> None:
    source = raw(tmp_path / "a.raw", at=2 * MIB, length=MIB)
    assert go(images.map_extents(source, format="raw")) == [(2 * MIB, MIB)]
    image = tmp_path / "a.qcow2"
    go(images.convert(source, image, source_format="raw", format="qcow2", compress=True))
    assert go(images.map_extents(image, format="qcow2")) == [(2 * MIB, MIB)]
    empty = tmp_path / "empty.qcow2"
    go(images.create(empty, size=Size(MIB)))
    assert go(images.map_extents(empty, format="qcow2")) == []


def test_calls_are_events(tmp_path: Path) -> None:
    events: list[Event] = []
    go(QemuImg(events.append).create(tmp_path / "a", size=Size(MIB)))
    assert [event.command.split()[:2] for event in events if isinstance(event, CommandStarted)] == [
        ["qemu-img", "create"]
    ]
