"""ISOs that other programs wrote: UDF as Windows has it, Joliet alone, no extension at all, several gigabytes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from factory.drivers.iso import extract, open_iso, read_view
from factory.errors import StepError
from tests.iso_layouts import SERVER_2022

pytestmark = pytest.mark.machine

LARGE = 256 * 2**20

needs_genisoimage = pytest.mark.skipif(shutil.which("genisoimage") is None, reason="genisoimage is not installed")
needs_xorriso = pytest.mark.skipif(shutil.which("xorriso") is None, reason="xorriso is not installed")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "sources").mkdir(parents=True)
    (folder / "sources" / "install.wim").write_bytes(SERVER_2022)
    (folder / "sources" / "boot.wim").write_bytes(os.urandom(3 * 2**20 + 1))
    (folder / "bootmgr.efi").write_bytes(b"MZ")
    (folder / "A long Name with Spaces.txt").write_bytes(b"long\n")
    return folder


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def same(iso: Path, tree: Path, tmp_path: Path) -> None:
    names = sorted(p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file())
    assert list(read_view(iso).names) == names
    for number, name in enumerate(names):
        asyncio.run(extract(iso, {name: tmp_path / f"copy{number}"}))
        assert (tmp_path / f"copy{number}").read_bytes() == (tree / name).read_bytes()


@needs_genisoimage
def test_udf_as_windows_has_it(tree: Path, tmp_path: Path) -> None:
    """Everything is hidden from ISO 9660, as on Microsoft's own ISOs."""
    iso = tmp_path / "x.iso"
    run("genisoimage", "-quiet", "-udf", "-V", "SSS_X64FREE", "-hide", "*", "-o", iso, tree)
    found = read_view(iso)
    assert (found.volume_id, found.names_by) == ("SSS_X64FREE", "UDF")
    assert "<NAME>Windows Server 2022 SERVERSTANDARD</NAME>" in found.texts["sources/install.wim"]
    same(iso, tree, tmp_path)


@needs_xorriso
def test_joliet_alone(tree: Path, tmp_path: Path) -> None:
    iso = tmp_path / "x.iso"
    run("xorriso", "-as", "mkisofs", "-quiet", "-V", "JOLIET", "-J", "--norock", "-o", iso, tree)
    assert read_view(iso).names_by == "Joliet"
    same(iso, tree, tmp_path)


@needs_xorriso
def test_rock_ridge_by_another_program(tree: Path, tmp_path: Path) -> None:
    (tree / "vmlinuz").symlink_to("sources/boot.wim")
    iso = tmp_path / "x.iso"
    run("xorriso", "-as", "mkisofs", "-quiet", "-V", "ROCK", "-R", "-o", iso, tree)
    assert read_view(iso).names_by == "Rock Ridge"
    asyncio.run(extract(iso, {"VMLINUZ": tmp_path / "kernel"}))
    assert (tmp_path / "kernel").read_bytes() == (tree / "sources" / "boot.wim").read_bytes()


@needs_xorriso
def test_plain_iso_9660(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "BOOT").mkdir(parents=True)
    (tree / "BOOT" / "VMLINUZ").write_bytes(b"kernel")
    (tree / "README.TXT").write_bytes(b"hello")
    iso = tmp_path / "x.iso"
    run("xorriso", "-as", "mkisofs", "-quiet", "-V", "PLAIN", "--norock", "-o", iso, tree)
    assert read_view(iso).names_by == "ISO 9660"
    same(iso, tree, tmp_path)


@needs_xorriso
def test_an_iso_of_gigabytes_is_not_read_whole(tmp_path: Path) -> None:
    """A quarter of one is enough to see it: catalogue and a small file take no memory worth speaking of, the large
    file a piece at a time."""
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "a-large").open("wb") as stream:
        stream.truncate(LARGE)
    (tree / "vmlinuz").write_bytes(b"kernel")
    iso = tmp_path / "x.iso"
    with iso.open("wb") as stream:  # through a pipe, so that the zeros become a hole
        program = subprocess.Popen(
            ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "LARGE", tree],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert program.stdout is not None
        while piece := program.stdout.read(2**20):
            if piece.count(0) == len(piece):
                stream.seek(len(piece), os.SEEK_CUR)
            else:
                stream.write(piece)
        stream.truncate()
    assert program.wait() == 0
    tracemalloc.start()
    try:
        asyncio.run(extract(iso, {"vmlinuz": tmp_path / "kernel", "a-large": tmp_path / "large"}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "kernel").read_bytes() == b"kernel"
    assert (tmp_path / "large").stat().st_size == LARGE
    assert peak < 16 * 2**20


def test_udf_without_iso_9660_is_told(tmp_path: Path) -> None:
    """mkudffs' layout, of which only the volume recognition sequence matters here (ECMA-167, 2/8.3)."""
    iso = tmp_path / "x.iso"
    sectors = [b"\0BEA01\1", b"\0NSR02\1", b"\0TEA01\1"]
    iso.write_bytes(bytes(16 * 2048) + b"".join(s.ljust(2048, b"\0") for s in sectors) + bytes(2**20))
    with pytest.raises(StepError, match="can't be read as an ISO") as caught, open_iso(iso):
        pass
    assert "UDF file system alone" in caught.value.hint
