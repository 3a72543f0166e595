"""What an image refers to is seen in its head alone, before QEMU would follow it."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.disk.references import HEAD, format_of, references
from factory.disk.trust import read_besides, self_contained
from factory.errors import StepError

pytestmark = pytest.mark.unit

SECRET = "/some/hostsecret.bin"


def qcow2(backing: str = "", backing_format: str = "", data_file: str = "", version: int = 3) -> bytes:
    """A header, its extensions and the name of its backing file, as docs/interop/qcow2.txt has them."""
    extensions = b""
    for kind, text in ((0xE2792ACA, backing_format), (0x44415441, data_file)):
        if text:
            extensions += struct.pack(">II", kind, len(text)) + text.encode().ljust(-(-len(text) // 8) * 8, b"\0")
    extensions += bytes(8)
    length = 104 if version >= 3 else 72
    offset = length + len(extensions) if backing else 0
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, offset, len(backing), 16, 2**20, 0, 1, 0, 0, 0, 0, 0)
    if version >= 3:
        head += struct.pack(">QQQII", 4 if data_file else 0, 0, 0, 4, 104)
    return (head + extensions + backing.encode()).ljust(HEAD, b"\0")


def vmdk(descriptor: str = "", *, capacity: int = 2048, at: int = 1, sectors: int = 20) -> bytes:
    """The header of a sparse extent, and the descriptor in it."""
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 3, 3 | 3 << 16, capacity, 128, at, sectors, 512, 0, 21, 128)
    return (head.ljust(512, b"\0") + descriptor.encode()).ljust(HEAD, b"\0")


DESCRIPTOR = '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="{}"\n'
OWN = DESCRIPTOR.format("streamOptimized") + 'RDONLY 2048 SPARSE "x-disk1.vmdk"\n'
FLAT = DESCRIPTOR.format("monolithicFlat") + f'RW 128 FLAT "{SECRET}" 0\n'


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (qcow2(), "qcow2"),
        (qcow2(version=2), "qcow2"),
        (vmdk(OWN), "vmdk"),
        (vmdk(), "vmdk"),
        (b"vhdxfile" + bytes(600), "vhdx"),
        (b"conectix" + bytes(600), "vpc"),
        (bytes(600), "raw"),
    ],
)
def test_an_image_that_is_whole_refers_to_nothing(head: bytes, format: str) -> None:
    assert format_of(head) == format
    assert references(head, format) == ()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (qcow2(SECRET), f"the backing file {SECRET!r}"),
        (qcow2(SECRET, "raw", version=2), f"the backing file {SECRET!r}"),
        (qcow2('json:{"driver":"nbd"}'), "the backing file 'json:"),
        (qcow2(data_file=SECRET), f"the data file {SECRET!r}"),
        (b"QFI\xfb\0\0\0\1" + struct.pack(">QI", 48, 4) + bytes(28) + b"base", "the backing file 'base'"),
        (b"QED\0" + bytes(12) + struct.pack("<Q", 1) + bytes(32) + struct.pack("<II", 64, 4) + b"base", "file 'base'"),
        (FLAT.encode(), f"the extent {SECRET!r}"),
        (b"version=1\n" + f'RW\n 128\nFLAT\n"{SECRET}" 0\n'.encode(), f"the extent {SECRET!r}"),
        (b"#\n\nversion=3\n", "a descriptor of other files"),
        (vmdk(FLAT), f"the extent {SECRET!r}"),
        (vmdk(FLAT, capacity=0), "a descriptor of other files"),
        (vmdk(OWN + 'parentFileNameHint="base.vmdk"\n'), "the parent 'base.vmdk'"),
        # QEMU looks for a parent behind the first sector, wherever the header says that the descriptor lies.
        (vmdk(OWN + 'parentFileNameHint="base.vmdk"\n', at=0, sectors=0), "the parent 'base.vmdk'"),
        (vmdk(OWN.replace("ffffffff", "12345678")), "the parent"),
        (b"COWD".ljust(512, b"\0") + b'parentFileNameHint="base.vmdk"', "the parent 'base.vmdk'"),
    ],
)
def test_every_way_to_refer_to_another_file_is_seen(head: bytes, said: str, tmp_path: Path) -> None:
    found = references(head, format_of(head))
    assert found
    assert said in str(found[0])
    path = tmp_path / "x.img"
    path.write_bytes(head)
    with pytest.raises(StepError, match="refers to another file"):
        self_contained(path)


def test_the_format_that_is_said_must_be_there(tmp_path: Path) -> None:
    assert references(qcow2(SECRET), "raw") == (), "QEMU follows nothing in what it is told to take as it is"
    path = tmp_path / "x"
    path.write_bytes(FLAT.encode())
    with pytest.raises(StepError, match="does not begin as a qcow2 does"):
        self_contained(path, "qcow2")


@given(
    st.sampled_from([b"QFI\xfb\0\0\0\3", b"QFI\xfb\0\0\0\1", b"KDMV", b"COWD", b"QED\0", b"version=1\n", b""]),
    st.binary(),
)
def test_no_head_is_too_odd(magic: bytes, rest: bytes) -> None:
    with suppress(ValueError):
        references(magic + rest, format_of(magic + rest))


def test_what_the_user_names_may_stand_on_files_and_they_are_told(tmp_path: Path) -> None:
    (tmp_path / "base.qcow2").write_bytes(qcow2("root.raw", "raw"))
    (tmp_path / "root.raw").write_bytes(qcow2(SECRET))  # what a guest has written says nothing: it is read as raw
    (tmp_path / "top.qcow2").write_bytes(qcow2("base.qcow2"))
    assert read_besides(tmp_path / "top.qcow2") == ("qcow2", (tmp_path / "base.qcow2", tmp_path / "root.raw"))
    with pytest.raises(StepError, match="refers to another file"):
        read_besides(tmp_path / "root.raw")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (qcow2("gone.qcow2"), "which is not there"),
        (qcow2("nbd:localhost:1"), "which is no file"),
        (qcow2("json:{}"), "which is no file"),
        (qcow2("x.img"), "or on itself"),
        (FLAT.encode(), "which is not in its folder"),
        (vmdk(OWN + 'parentFileNameHint="../base.vmdk"\n'), "which is not in its folder"),
    ],
)
def test_what_is_no_file_of_the_user_is_refused(head: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.img"
    path.write_bytes(head)
    with pytest.raises(StepError, match=message):
        read_besides(path)
