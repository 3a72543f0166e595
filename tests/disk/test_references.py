"""What an image refers to is seen in its head alone, before QEMU would follow it."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from uuid import UUID

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


def vhd(kind: int, parent: str = "") -> bytes:
    """The copy of the footer, and the header of a dynamic disk: VHD specification 1.0."""
    footer = struct.pack(">8sIIQ", b"conectix", 2, 1 << 16, 512).ljust(60, b"\0") + struct.pack(">I", kind)
    header = b"cxsparse".ljust(64, b"\0") + parent.encode("utf-16-be").ljust(512, b"\0")
    return footer.ljust(512, b"\0") + header.ljust(1024, b"\0")


def vdi(kind: int, *, link: bytes = b"", parent: bytes = b"") -> bytes:
    head = bytes(64) + struct.pack("<IIII", 0xBEDA107F, 1 << 16 | 1, 400, kind)
    return head.ljust(0x1A8, b"\0") + link.ljust(16, b"\0") + parent.ljust(16, b"\0") + bytes(64)


def vhdx(flags: int, **locator: str) -> bytes:
    """The tables of regions and of metadata, file parameters and a parent locator: [MS-VHDX] 2.2 and 2.6."""
    region, entries, values = 1024 * 1024, b"", b""
    start = 20 + 12 * len(locator)
    for key, value in locator.items():
        texts = [text.encode("utf-16-le") for text in (key, value)]
        at = start + len(values)
        entries += struct.pack("<IIHH", at, at + len(texts[0]), *map(len, texts))
        values += b"".join(texts)
    parent = bytes(18) + struct.pack("<H", len(locator)) + entries + values
    table = b"metadata" + struct.pack("<HH", 0, 2) + bytes(20)
    for guid, offset, length in (
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", 65536, 8),
        ("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", 65544, len(parent)),
    ):
        table += UUID(guid).bytes_le + struct.pack("<IIII", offset, length, 0, 0)
    regions = b"regi" + struct.pack("<III", 0, 1, 0) + UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
    regions += struct.pack("<QII", region, 2**20, 1)
    head = b"vhdxfile".ljust(192 * 1024, b"\0") + regions
    items = table.ljust(65536, b"\0") + struct.pack("<II", 2**20, flags) + parent
    return head.ljust(region, b"\0") + items.ljust(2**20, b"\0")


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
        (vhdx(0), "vhdx"),
        (b"conectix" + bytes(600), "vpc"),
        (vhd(3), "vpc"),
        (vdi(1), "vdi"),
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


@pytest.mark.parametrize(
    ("head", "parent"),
    [
        (vhd(4, "base.vhd"), "the parent 'base.vhd'"),
        (vhd(4), "the parent"),
        (vdi(4), "the parent"),
        (vdi(1, link=b"\1" * 16), "the parent"),
        (vdi(1, parent=b"\1" * 16), "the parent"),
        (vhdx(2, relative_path="base.vhdx", absolute_win32_path="C:\\base.vhdx"), "the parent 'base.vhdx'"),
        (vhdx(2), "the parent"),
    ],
)
def test_what_differs_from_a_parent_that_qemu_does_not_read_is_refused(
    head: bytes, parent: str, tmp_path: Path
) -> None:
    path = tmp_path / "child.img"
    path.write_bytes(head)
    (tmp_path / "base.vhd").write_bytes(vhd(3))  # to have it there does not help
    for look in (self_contained, read_besides):
        with pytest.raises(StepError, match=rf"child\.img holds only what differs from {parent}, which QEMU"):
            look(path)


@given(st.sampled_from([vhd(4), vdi(4), vhdx(2)[: 2 * 2**20]]), st.integers(0, 2**21), st.binary(max_size=64))
def test_no_parent_is_too_odd(head: bytes, at: int, rest: bytes) -> None:
    for odd in (head[:at], head[:at] + rest + head[at + len(rest) :]):
        with suppress(ValueError):
            references(odd, format_of(odd))


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
