"""What our readers take for free on XFS, FAT and LVM, against what those systems' own programs say."""

from __future__ import annotations

import itertools
import re
import struct
from pathlib import Path

import pytest

from factory.disk.fat import Fat, unit_of
from factory.disk.lvm import Group, Joined, Stretch, groups
from factory.disk.reader import open_disk
from factory.disk.xfs import Xfs, trim_ranges
from factory.seal.free_space import contents_of, dirty_bytes
from factory.seal.logical_volumes import LogicalVolumes
from tests.seal.dirty_disk import program

MIB = 2**20


def empty(path: Path, size: int) -> Path:
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


@pytest.mark.machine
@pytest.mark.parametrize("options", [["-b", "size=4096"], ["-b", "size=1024"], ["-m", "crc=0", "-b", "size=4096"]])
def test_free_blocks_of_xfs_are_those_of_xfs_db(options: list[str], tmp_path: Path) -> None:
    image = empty(tmp_path / "xfs", 320 * MIB)
    prototype, content = tmp_path / "prototype", tmp_path / "content"
    content.write_bytes(b"kept" * 3000)
    # Many small files, so that what is free lies in many pieces.
    files = "".join(f"f{n} ---644 0 0 {content if n % 3 else '/dev/null'}\n" for n in range(400))
    prototype.write_text(f"/boot\n0 0\nd--755 0 0\n{files}$\n$\n")
    program("mkfs.xfs", "-q", *options, "-p", prototype, image)
    said = program("xfs_db", "-r", "-c", "freesp -d", "-c", "sb 0", "-c", "print agblocks blocksize", image)
    block = int(re.search(r"blocksize = (\d+)", said)[1])  # type: ignore[index]
    per_group = int(re.search(r"agblocks = (\d+)", said)[1])  # type: ignore[index]
    rows = re.findall(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s*$", said, re.MULTILINE)
    expected = {(int(group) * per_group + int(first), int(count)) for group, first, count in rows}
    with open_disk(image, "raw") as reader:
        found = {(o // block, n // block) for o, n in Xfs(reader).free_extents()}
    # xfs_db counts the few blocks that each group keeps for its own trees; no trim gives them back.
    kept = sum(_kept_for_trees(image, group) for group in {first // per_group for first, _ in expected})
    assert len(found) >= 4
    assert found <= expected
    assert sorted(count for _, count in expected - found) == [1] * kept
    with open_disk(image, "raw") as reader:
        assert contents_of(reader).type == "xfs"


def _kept_for_trees(image: Path, group: int) -> int:
    said = program("xfs_db", "-r", "-c", f"agf {group}", "-c", "print flcount", image)
    return int(said.split("=")[1])


@pytest.mark.unit
@pytest.mark.parametrize(("blocks", "group"), [(1000, 250), (1002, 250), (100, 100), (190, 125)])
def test_no_range_of_a_trim_holds_a_whole_group(blocks: int, group: int) -> None:
    head = struct.pack(">4sIQ", b"XFSB", 4096, blocks).ljust(84, b"\0") + struct.pack(">II", group, -(-blocks // group))
    ranges = trim_ranges(head.ljust(96, b"\0"))
    assert ranges[0][0] == 0
    assert sum(ranges[-1]) == blocks * 4096
    assert all(sum(one) == other[0] for one, other in itertools.pairwise(ranges))
    assert all(length > 0 for _, length in ranges)
    for start in range(0, blocks, group):
        end = min(start + group, blocks)
        assert not any(o <= start * 4096 and o + n >= end * 4096 for o, n in ranges)


@pytest.mark.machine
@pytest.mark.parametrize(("bits", "size"), [("12", 4), ("16", 32), ("32", 64)])
def test_free_clusters_of_fat_are_those_of_fsck(bits: str, size: int, tmp_path: Path) -> None:
    image = empty(tmp_path / "fat", size * MIB)
    program("mkfs.vfat", "-F", bits, image)
    file = tmp_path / "file"
    for number in range(9):
        file.write_bytes(b"DELETED-from-fat" * 1000 * (number + 1))
        program("mcopy", "-i", image, file, f"::file{number}")
    for number in (1, 4, 8):
        program("mdel", "-i", image, f"::file{number}")
    said = program("fsck.vfat", "-n", "-v", image)
    used, total = map(int, re.search(r"(\d+)/(\d+) clusters", said).groups())  # type: ignore[union-attr]
    with open_disk(image, "raw") as reader:
        fat = Fat(reader)
        assert sum(n for _, n in fat.free_extents()) == (total - used) * fat.cluster
        _, dirty = dirty_bytes(reader, contents_of(reader))
        deleted = sum(-(-16000 * (n + 1) // fat.cluster) * fat.cluster for n in (1, 4, 8))
        assert dirty == deleted, "what was deleted is still there, and nothing else counts"


METADATA = """\
vg {
id = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
seqno = 7
format = "lvm2"			# informational
status = ["RESIZEABLE", "READ", "WRITE"]
extent_size = 2048		# 1024 Kilobytes
physical_volumes {
pv0 {
id = "PPPPPP-PPPP-PPPP-PPPP-PPPP-PPPP-PPPPPP"
device = "/dev/sd{a}"	# Hint only
pe_start = 2048
pe_count = 10
}
}
logical_volumes {
root {
status = ["READ", "WRITE", "VISIBLE"]
segment_count = 2
segment1 {
start_extent = 0
extent_count = 2
type = "striped"
stripe_count = 1
stripes = [
"pv0", 5
]
}
segment2 {
start_extent = 2
extent_count = 1
type = "striped"
stripe_count = 1
stripes = [ "pv0", 0 ]
}
}
pool {
status = ["READ", "WRITE", "VISIBLE"]
segment_count = 1
segment1 {
start_extent = 0
extent_count = 1
type = "thin-pool"
metadata = "pool_tmeta"
}
}
pool_tdata {
status = ["READ", "WRITE"]
segment_count = 1
segment1 {
start_extent = 0
extent_count = 2
type = "striped"
stripe_count = 1
stripes = ["pv0", 2]
}
}
}
}
"""


def physical_volume(path: Path, text: str) -> Path:
    """A disk with a label, a header and one metadata area, whose text runs around the end of its ring."""
    area, size = 4096, MIB - 4096
    content = bytearray(11 * MIB)
    label = struct.pack("<8sQII8s", b"LABELONE", 1, 0, 32, b"LVM2 001")
    header = b"P" * 32 + struct.pack("<Q", len(content))
    header += struct.pack("<QQQQ", MIB, 0, 0, 0) + struct.pack("<QQQQ", area, size, 0, 0)
    content[512:1024] = (label + header).ljust(512, b"\0")
    data = text.encode() + b"\0"
    at = size - 512
    content[area : area + 512] = struct.pack(
        "<I16sIQQQQII", 0, b" LVM2 x[5A%r0N*>", 1, area, size, at, len(data), 0, 0
    ).ljust(512, b"\0")
    content[area + at : area + size] = data[:512]
    content[area + 512 : area + len(data)] = data[512:]
    path.write_bytes(content)
    return path


@pytest.mark.unit
def test_logical_volumes_are_put_together_from_their_stretches(tmp_path: Path) -> None:
    path = physical_volume(tmp_path / "pv", METADATA)
    with path.open("r+b") as stream:
        for extent, letter in ((5, b"a"), (6, b"b"), (0, b"c"), (8, b"!")):
            stream.seek((extent + 1) * MIB)
            stream.write(letter * 10)
    with open_disk(path, "raw") as reader:
        (group,) = groups([reader])
        assert group == Group(
            "vg",
            {"root": (Stretch(0, 6 * MIB, 2 * MIB), Stretch(0, MIB, MIB))},
            (Stretch(0, 2 * MIB, MIB), Stretch(0, 5 * MIB, MIB), Stretch(0, 8 * MIB, 3 * MIB)),
            ("pool",),
        )
        root = Joined([reader], group.volumes["root"])
        assert root.size == 3 * MIB
        assert root.read(MIB - 2, MIB + 14) == bytes(2) + b"b" * 10 + bytes(MIB - 10) + b"c" * 10 + bytes(2)
        lvm = LogicalVolumes({"main": reader})
        found, unread = list(lvm.free_space()), lvm.unread
        assert [lvm.at("main", (extent + 1) * MIB + 9) for extent in (0, 6)] == [
            (lvm.at("main", 6 * MIB)[0], 2 * MIB + 9),  # type: ignore[index]
            (lvm.at("main", 6 * MIB)[0], MIB + 9),  # type: ignore[index]
        ]
        assert lvm.at("main", 4096) is None, "metadata of LVM"
    assert [(f.place, f.free, f.dirty) for f in found] == [("free extents of vg", 5 * MIB, 4096)]
    assert unread == ["logical volume vg/pool (striped, mirrored or thin)"]


@pytest.mark.unit
def test_lvm_whose_text_makes_no_sense_is_said_to_be_unread(tmp_path: Path) -> None:
    path = physical_volume(tmp_path / "pv", METADATA.replace("pe_start", "pe_stert"))
    with open_disk(path, "raw") as reader:
        lvm = LogicalVolumes({"main": reader})
        assert list(lvm.free_space()) == []
        assert lvm.unread == ["LVM whose metadata can't be read here"]


@pytest.mark.machine
@pytest.mark.parametrize(
    ("options", "unit"), [(["-F", "16", "-s", "8"], 4096), (["-F", "32", "-s", "1"], 512), (["-a", "-s", "8"], 1024)]
)
def test_a_fat_whose_clusters_begin_in_the_middle_of_a_page_is_known(
    options: list[str], unit: int, tmp_path: Path
) -> None:
    """A trim gives back whole pages only: there the free space is overwritten instead."""
    image = empty(tmp_path / "fat", 64 * MIB)
    program("mkfs.vfat", *options, "-R", "2" if "-a" in options else "32", image)
    assert unit_of(image.read_bytes()[:96]) == unit
