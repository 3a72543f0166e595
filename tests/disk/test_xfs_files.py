"""Our reader of files on XFS, on file systems that mkfs.xfs has filled."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from factory.disk.reader import open_disk
from factory.disk.xfs_files import XfsFiles
from tests.seal.dirty_disk import program

pytestmark = pytest.mark.machine

MIB = 2**20
SHAPES = {
    "v5": ["-b", "size=4096"],
    "v5-1k": ["-b", "size=1024", "-n", "size=4096"],
    "v4": ["-m", "crc=0", "-b", "size=4096"],
    "v4-no-types": ["-m", "crc=0", "-n", "ftype=0"],
}


@pytest.fixture(scope="module", params=SHAPES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """An image and what is in it: small folders inside of inodes, one of many blocks, names of all lengths."""
    folder, generator = tmp_path_factory.mktemp("xfs"), random.Random(5)
    image = folder / "image"
    with image.open("wb") as stream:
        stream.truncate(320 * MIB)
    files: dict[str, bytes] = {}
    lines = ["/boot", "0 0", "d--755 0 0"]
    for name, count in (("few", 3), ("some", 60), ("many", 900)):
        lines.append(f"{name} d--755 0 0")
        for number in range(count):
            leaf = f"{'n' * (number % 40)}-{number}"
            path = folder / f"{name}-{number}"
            content = generator.randbytes(generator.choice([0, 7, 4096, 50_000]))
            path.write_bytes(content)
            lines.append(f"{leaf} ---644 0 0 {path}")
            files[f"/{name}/{leaf}"] = content
        lines.append("$")
    lines += ["link l--777 0 0 few", "$"]
    prototype = folder / "prototype"
    prototype.write_text("\n".join(lines) + "\n")
    program("mkfs.xfs", "-q", *SHAPES[request.param], "-p", prototype, image)
    return image, files


def test_every_file_is_found_and_read(made: tuple[Path, dict[str, bytes]]) -> None:
    image, files = made
    with open_disk(image, "raw") as reader:
        xfs = XfsFiles(reader)
        assert set(xfs.folder("/")) == {"few", "some", "many", "link"}
        for name in ("few", "some", "many"):
            listed = xfs.folder(f"/{name}")
            assert {f"/{name}/{leaf}" for leaf in listed} == {p for p in files if p.startswith(f"/{name}/")}
            assert all(xfs.content(number) == files[f"/{name}/{leaf}"] for leaf, number in listed.items())
        assert xfs.lookup("/few/nothing") is None


def test_a_block_is_traced_to_its_file(made: tuple[Path, dict[str, bytes]]) -> None:
    image, files = made
    raw = image.read_bytes()
    large = [path for path, content in files.items() if len(content) > 4096]
    with open_disk(image, "raw") as reader:
        xfs = XfsFiles(reader)
        blocks = {raw.index(files[path][-500:]) // xfs.block_size: path for path in (large[0], large[-1])}
        free = next(xfs.free_extents())[0] // xfs.block_size
        owners = xfs.owners({*blocks, free})
        assert set(owners) == set(blocks)
        paths = xfs.paths(set(owners.values()))
        assert {b: paths[owners[b]] for b in blocks} == blocks
