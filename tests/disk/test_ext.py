"""Our ext reader against e2fsprogs on file systems of many shapes; qcow2 and partitions against qemu-img and sfdisk."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from factory.disk.ext import Ext
from factory.disk.partitions import Partition, Window, partitions
from factory.disk.reader import open_disk
from tests.seal.dirty_disk import program

pytestmark = pytest.mark.machine

MIB = 2**20
SHAPES = {
    "ext4-4k": ["-t", "ext4", "-b", "4096"],
    "ext4-1k": ["-t", "ext4", "-b", "1024"],
    "ext4-no-flex": ["-t", "ext4", "-b", "1024", "-O", "^flex_bg,^64bit,^metadata_csum"],
    "ext4-lazy": ["-t", "ext4", "-b", "1024", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-N", "60000"],
    "ext4-sparse2": ["-t", "ext4", "-b", "1024", "-O", "sparse_super2"],
    "ext4-inline": ["-t", "ext4", "-b", "4096", "-O", "inline_data"],
    "ext4-meta-bg": ["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"],
    "ext4-meta-bg-lazy": ["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode,^flex_bg", "-N", "60000"],
    "ext4-bigalloc": ["-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "65536"],
    "ext4-bigalloc-1k": ["-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "16384"],
    "ext3": ["-t", "ext3", "-b", "1024"],
    "ext2-2k": ["-t", "ext2", "-b", "2048"],
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, generator = tmp_path_factory.mktemp("tree"), random.Random(3)
    for number in range(120):
        path = root / f"d{number % 7}" / f"e{number % 3}" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(generator.choice([0, 10, 5000, 400_000])))
    (root / "link").symlink_to("d1")
    (root / "long-link").symlink_to("d1/" + "../d1/" * 20 + "e1")
    return root


REMOVED = "rm d1/e1/file-1\nrm d3/e0/file-3\n"


def make(tmp_path: Path, tree: Path, options: list[str], removes: str = REMOVED) -> Path:
    image = tmp_path / "fs"
    with image.open("wb") as stream:
        stream.truncate(96 * MIB)
    program("mke2fs", "-q", "-F", *options, "-d", tree, image)
    program("debugfs", "-w", "-f", "-", image, text=removes)
    return image


@pytest.mark.parametrize("shape", SHAPES)
def test_free_blocks_are_those_of_dumpe2fs(shape: str, tree: Path, tmp_path: Path) -> None:
    image = make(tmp_path, tree, SHAPES[shape])
    said = program("dumpe2fs", image)
    expected: set[int] = set()
    for line in re.findall(r"^  Free blocks: ([0-9, -]+)$", said, re.MULTILINE):
        for part in line.split(", "):
            first, _, last = part.partition("-")
            expected |= set(range(int(first), int(last or first) + 1))
    with open_disk(image, "raw") as reader:
        ext = Ext(reader)
        size = ext.block_size
        found = {block for o, n in ext.free_extents() for block in range(o // size, (o + n) // size)}
    clusters = re.search(r"^Cluster size: +(\d+)$", said, re.MULTILINE)
    if "bigalloc" in shape and clusters:  # dumpe2fs tells of each free cluster its first block
        ratio = int(clusters[1]) // size
        expected = {block + n for block in expected if block % ratio == 0 for n in range(ratio)}
        assert max(found) < int(re.search(r"^Block count: +(\d+)$", said, re.MULTILINE)[1])  # type: ignore[index]
    assert expected
    assert found == expected


@pytest.mark.parametrize("shape", ["ext4-4k", "ext4-1k", "ext3", "ext2-2k"])
def test_a_block_is_traced_to_its_file(shape: str, tree: Path, tmp_path: Path) -> None:
    image = make(tmp_path, tree, SHAPES[shape])
    content = image.read_bytes()
    for name in ("d0/e0/file-42", "d5/e2/file-5"):
        data = (tree / name).read_bytes()
        if len(data) < 4096:
            continue
        at = content.index(data[-600:])
        with open_disk(image, "raw") as reader:
            ext = Ext(reader)
            owners = ext.owners({at // ext.block_size})
            assert list(ext.paths(set(owners.values())).values()) == [f"/{name}"]
            free = next(ext.free_extents())[0] // ext.block_size
            assert ext.owners({free}) == {}


def test_a_shape_that_is_not_known_is_refused(tree: Path, tmp_path: Path) -> None:
    image = make(tmp_path, tree, SHAPES["ext4-4k"])
    with image.open("r+b") as stream:
        stream.seek(1024 + 96)
        features = stream.read(4)
        stream.seek(1024 + 96)
        stream.write(bytes([features[0] | 1]) + features[1:])  # compression, which nobody has ever released
    with open_disk(image, "raw") as reader, pytest.raises(ValueError, match="not read here"):
        Ext(reader)


@pytest.mark.parametrize(
    "shape",
    ["ext4-1k", "ext4-4k", "ext4-inline", "ext4-meta-bg", "ext4-bigalloc", "ext4-bigalloc-1k", "ext3", "ext2-2k"],
)
def test_files_and_folders_are_read(shape: str, tree: Path, tmp_path: Path) -> None:
    image = make(tmp_path, tree, SHAPES[shape])
    with open_disk(image, "raw") as reader:
        ext = Ext(reader)
        assert set(ext.folder("/d2")) == {p.name for p in (tree / "d2").iterdir()}
        for name in ("d0/e0/file-42", "d5/e2/file-5", "d2/e1/file-100"):
            number = ext.lookup(f"/{name}")
            assert number is not None
            assert ext.content(number) == (tree / name).read_bytes()
            assert ext.status(number)[1] == (tree / name).stat().st_size
            assert ext.status(number)[0] & 0o777 == (tree / name).stat().st_mode & 0o777
        gone = {tree / "d1/e1/file-1", tree / "d3/e0/file-3"}
        walked = {path for path, _ in ext.walk()} - {"/lost+found"}
        assert walked == {f"/{p.relative_to(tree)}" for p in tree.rglob("*") if p not in gone}
        assert ext.lookup("/d0/nothing") is None
        assert ext.folder("/nothing") == {}
        link = ext.lookup("/link")
        assert link is not None
        with pytest.raises(ValueError, match="no regular file"):
            ext.content(link)


def test_content_inside_of_an_inode_is_read_and_has_an_owner(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    names = [f"a-name-that-takes-place-{n}" for n in range(4)]
    for folder in ("small", "big"):
        (tree / folder).mkdir(parents=True)
    for n, name in enumerate(names):
        (tree / ("small" if n < 2 else "big") / name).write_bytes(f"planted-{n}".encode().ljust(40 * (n + 1), b"."))
    image = make(tmp_path, tree, SHAPES["ext4-inline"], removes="")
    content = image.read_bytes()
    with open_disk(image, "raw") as reader:
        ext = Ext(reader)
        for n, name in enumerate(names):
            path = f"/{'small' if n < 2 else 'big'}/{name}"
            number = ext.lookup(path)
            assert number is not None
            assert ext.content(number) == f"planted-{n}".encode().ljust(40 * (n + 1), b".")
            at = content.index(f"planted-{n}".encode())
            assert ext.paths(set(ext.owners_at({at}).values())) == {number: path}


def test_something_else_is_no_ext(tmp_path: Path) -> None:
    image = tmp_path / "zeros"
    image.write_bytes(bytes(MIB))
    with open_disk(image, "raw") as reader, pytest.raises(ValueError, match="no ext"):
        Ext(reader)


TABLES = {
    "gpt": (
        "label: gpt\nstart=2048,size=8192\nstart=20480,size=4096\n",
        [Partition(1, MIB, 4 * MIB), Partition(2, 10 * MIB, 2 * MIB)],
    ),
    "dos": (
        "label: dos\nstart=2048,size=8192,type=83\nstart=10240,type=5\nstart=12288,size=2048\nstart=16384,size=2048\n",
        [Partition(1, MIB, 4 * MIB), Partition(5, 6 * MIB, MIB), Partition(6, 8 * MIB, MIB)],
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_partition_tables_are_read_as_sfdisk_wrote_them(kind: str, tmp_path: Path) -> None:
    script, expected = TABLES[kind]
    disk = tmp_path / "disk"
    with disk.open("wb") as stream:
        stream.truncate(24 * MIB)
    program("sfdisk", "-q", disk, text=script)
    with open_disk(disk, "raw") as reader:
        assert partitions(reader) == expected
        assert Window(reader, expected[0]).size == 4 * MIB


def test_a_disk_without_a_table_is_one_partition(tmp_path: Path) -> None:
    for make_fs in (["mke2fs", "-q", "-F"], ["mkfs.vfat"]):
        disk = tmp_path / make_fs[0]
        with disk.open("wb") as stream:
            stream.truncate(8 * MIB)
        program(*make_fs, disk)
        with open_disk(disk, "raw") as reader:
            assert partitions(reader) == [Partition(0, 0, 8 * MIB)]
