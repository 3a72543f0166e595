"""Images as our reader sees them against what qemu-img says that a guest would see."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from factory.disk.reader import SMALLEST_DISCARD, backing_file, granularity, open_disk
from factory.errors import StepError
from tests.seal.dirty_disk import program

pytestmark = pytest.mark.machine

SIZE = 9 * 2**20 + 512
WRITES = (
    ("-c", "-o", "compression_type=zstd"),
    ("-o", "compat=1.1"),
    ("-o", "cluster_size=4k"),
    ("-c",),
    ("-o", "compat=0.10"),
    ("-c", "-o", "cluster_size=4k"),
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    generator, content = random.Random(5), bytearray(SIZE)
    for _ in range(40):
        at = generator.randrange(0, SIZE - 40_000)
        content[at : at + 30_000] = generator.randbytes(30_000) if at % 2 else b"text" * 7_500
    path = tmp_path / "disk.raw"
    path.write_bytes(content)
    program("fallocate", "-d", path)
    return path


def contents(path: Path, format: str) -> tuple[bytes, bytes]:
    """Read extent by extent, and all at once."""
    with open_disk(path, format) as reader:
        by_extent = bytearray(reader.size)
        for offset, length in reader.extents():
            by_extent[offset : offset + length] = reader.read(offset, length)
        return bytes(by_extent), reader.read(0, reader.size)


def test_a_raw_file(raw: Path) -> None:
    assert contents(raw, "raw") == (raw.read_bytes(), raw.read_bytes())


@pytest.mark.parametrize("options", WRITES)
def test_a_qcow2_image(options: tuple[str, ...], raw: Path, tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    program("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, image)
    assert contents(image, "qcow2") == (raw.read_bytes(), raw.read_bytes())


def test_an_overlay_with_writes_zeros_and_discards(raw: Path, tmp_path: Path) -> None:
    base, top, flat = tmp_path / "base.qcow2", tmp_path / "top.qcow2", tmp_path / "flat.raw"
    program("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, base)
    program("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", "-b", "base.qcow2", "-F", "qcow2", top)
    program("qemu-io", "-f", "qcow2", "-d", "unmap", "-c", "write -P 65 1M 70k", "-c", "write -z 3M 1M",
            "-c", "discard 5M 512k", "-c", "write -P 66 3M 4k", top)  # fmt: skip
    program("qemu-img", "convert", "-f", "qcow2", "-O", "raw", top, flat)
    assert contents(top, "qcow2") == (flat.read_bytes(), flat.read_bytes())
    assert flat.read_bytes() != raw.read_bytes()
    assert backing_file(top) == ("base.qcow2", "qcow2")
    assert backing_file(base) == ("", "")
    assert granularity(top, "qcow2") == 4096
    assert granularity(base, "qcow2") == 65536
    assert granularity(raw, "raw") == SMALLEST_DISCARD


def test_what_can_not_be_read_is_refused(raw: Path, tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    program("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "extended_l2=on", raw, image)
    with pytest.raises(StepError, match="features of qcow2"), open_disk(image, "qcow2"):
        pass
    with pytest.raises(StepError, match="is no qcow2"), open_disk(raw, "qcow2"):
        pass
    with pytest.raises(StepError, match="'vdi' can't be read"), open_disk(raw, "vdi"):
        pass
