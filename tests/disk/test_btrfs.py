"""Our reader of btrfs, on file systems that mkfs.btrfs has filled, against what btrfs' own program says."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.disk.btrfs import Btrfs
from factory.disk.reader import open_disk
from tests.seal.dirty_disk import program

pytestmark = pytest.mark.machine

MIB = 2**20


@pytest.fixture(scope="module", params=["single", "dup"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """An image and what is in it: files inside of leaves, larger ones, a folder of many names."""
    folder, generator = tmp_path_factory.mktemp("btrfs"), random.Random(7)
    tree, image = folder / "tree", folder / "image"
    files: dict[str, bytes] = {}
    for name, count in (("few", 3), ("many", 700)):
        for number in range(count):
            content = generator.randbytes(generator.choice([0, 30, 1500, 4096, 70_000]))
            files[f"/{name}/{'n' * (number % 40)}-{number}"] = content
    for path, content in files.items():
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    with image.open("wb") as stream:
        stream.truncate(300 * MIB)
    program("mkfs.btrfs", "-q", "-m", request.param, "--rootdir", tree, image)
    return image, files


def test_every_file_is_found_and_read(made: tuple[Path, dict[str, bytes]]) -> None:
    image, files = made
    with open_disk(image, "raw") as reader:
        btrfs = Btrfs(reader)
        assert set(btrfs.folder("/")) == {"few", "many"}
        for name in ("few", "many"):
            listed = btrfs.folder(f"/{name}")
            assert {f"/{name}/{leaf}" for leaf in listed} == {p for p in files if p.startswith(f"/{name}/")}
            assert all(btrfs.content(number) == files[f"/{name}/{leaf}"] for leaf, number in listed.items())
        assert btrfs.lookup("/few/nothing") is None


def test_a_byte_is_traced_to_its_file(made: tuple[Path, dict[str, bytes]]) -> None:
    """Also where many small files share one leaf: whose byte it is may decide whether it is a finding."""
    image, files = made
    raw = image.read_bytes()
    some = [path for path, content in files.items() if len(content) >= 30][::40]
    places = {at: path for path in some for at in _everywhere(raw, files[path])}
    with open_disk(image, "raw") as reader:
        btrfs = Btrfs(reader)
        owners = btrfs.owners_at({*places, next(btrfs.free_extents())[0]})
        paths = btrfs.paths(set(owners.values()))
    assert {offset: paths[owner] for offset, owner in owners.items()} == {o: places[o] for o in owners}
    assert {places[offset] for offset in owners} == set(places.values()), "copies in leaves of old belong to nobody"


def test_nodes_of_old_are_harmless_only_where_they_hold_no_files(made: tuple[Path, dict[str, bytes]]) -> None:
    """mkfs writes its trees several times over: what it leaves behind of the files' own tree may hold small files."""
    image, files = made
    small = [content for content in files.values() if 30 <= len(content) <= 1500]
    raw = image.read_bytes()
    with open_disk(image, "raw") as reader:
        btrfs = Btrfs(reader)
        free = list(btrfs.free_extents())
        left = [at for o, n in free for at in range(o, o + n, 4096) if raw[at : at + 4096].count(0) < 4096]
        told = {at: btrfs.is_old_node(at) for at in left}
    assert True in told.values()
    kept = {at // 4096 * 4096 for content in small[::40] for at in _everywhere(raw, content)}
    assert not any(told.get(at) for at in kept)


def _everywhere(raw: bytes, content: bytes) -> Iterator[int]:
    at = raw.find(content)
    while at >= 0:
        yield at
        at = raw.find(content, at + 1)


def test_what_is_free_is_what_no_extent_covers(made: tuple[Path, dict[str, bytes]]) -> None:
    image, _ = made
    said = program("btrfs", "inspect-internal", "dump-tree", "-t", "extent", image)
    node = re.findall(r"nodesize\s+(\d+)", program("btrfs", "inspect-internal", "dump-super", image))[0]
    data = [int(n) for n in re.findall(r"key \(\d+ EXTENT_ITEM (\d+)\)", said)]
    nodes = int(node) * len(re.findall(r"key \(\d+ METADATA_ITEM", said))
    copies = 2 if "METADATA|DUP" in program("btrfs", "inspect-internal", "dump-tree", "-t", "chunk", image) else 1
    with open_disk(image, "raw") as reader:
        free = sum(length for _, length in Btrfs(reader).free_extents())
        # Reserved: the beginning, and the copy of the super block at 64 MiB; what lies in these is counted twice here.
        used = sum(data) + copies * nodes + MIB + 65536
        assert used - 128 * 1024 <= reader.size - free <= used + 128 * 1024
