"""The archive that is appended to an initrd, as another program unpacks it."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from factory.errors import SeedError
from factory.steps.cpio import append_files, write_archive

pytestmark = pytest.mark.machine

needs_cpio = pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")


def archive(files: dict[str, bytes | Path]) -> bytes:
    stream = io.BytesIO()
    write_archive(stream, files)
    return stream.getvalue()


def unpack(data: bytes, folder: Path) -> dict[str, bytes]:
    """What cpio makes of *data*; it is told to complain about anything odd."""
    folder.mkdir(exist_ok=True)
    result = subprocess.run(["cpio", "-i", "-d", "--quiet"], input=data, cwd=folder, capture_output=True, check=True)
    assert result.stderr == b""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def after(initrd: bytes, tmp_path: Path, files: dict[str, bytes | Path]) -> bytes:
    (tmp_path / "initrd").write_bytes(initrd)
    append_files(tmp_path / "initrd", files, tmp_path / "out")
    whole = (tmp_path / "out").read_bytes()
    assert whole.startswith(initrd)
    return whole[len(initrd) :]


@needs_cpio
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 109, 110, 111, 4095, 4096])
def test_content_of_every_length(length: int, tmp_path: Path) -> None:
    """Header and name, and the content, each end at a multiple of four."""
    files: dict[str, bytes | Path] = {f"{'n' * (length % 7 + 1)}": b"\x07" * length, "z": b"last"}
    assert unpack(archive(files), tmp_path / "x") == files


@needs_cpio
def test_folders_files_and_their_modes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    files: dict[str, bytes | Path] = {
        "preseed.cfg": b"d-i\n", "a/b/c/deep.txt": b"deep", "a/b-file": b"beside", "with space": source, "leer": b"",
        "schlüssel": b"utf-8",
    }  # fmt: skip
    data = archive(files)
    wanted = {n: c.read_bytes() if isinstance(c, Path) else c for n, c in files.items()}
    assert unpack(data, tmp_path / "x") == wanted
    listed = subprocess.run(
        ["cpio", "-t", "-v", "-n", "--quiet"], input=data, capture_output=True, check=True
    ).stdout.decode()
    rows = [line.split(None, 8) for line in listed.splitlines()]
    assert [row[8] for row in rows][:3] == ["a", "a/b", "a/b/c"], "a folder comes before what is in it"
    assert {(row[0], row[2], row[3]) for row in rows if row[0].startswith("d")} == {("drwxr-xr-x", "0", "0")}
    assert {(row[0], row[2], row[3]) for row in rows if row[0].startswith("-")} == {("-rw-r--r--", "0", "0")}


def test_the_archive_is_the_same_every_time(tmp_path: Path) -> None:
    assert archive({"b": b"2", "a": b"1"}) == archive({"a": b"1", "b": b"2"})


@needs_cpio
@pytest.mark.parametrize("length", [0, 1, 507, 508, 509, 511, 512, 513, 1024])
def test_it_begins_at_a_block_behind_zeros(length: int, tmp_path: Path) -> None:
    """The kernel wants a multiple of four, boot loaders like blocks, and lz4 needs four zeros to find its end."""
    added = after(b"\x02" * length, tmp_path, {"seed": b"x"})
    zeros = len(added) - len(added.lstrip(b"\0"))
    assert (length + zeros) % 512 == 0
    assert 4 <= zeros < 516
    assert (length + len(added)) % 512 == 0
    assert unpack(added[zeros:], tmp_path / "x") == {"seed": b"x"}


@needs_cpio
@pytest.mark.parametrize("kind", ["plain", "gzip", "xz", "lz4"])
def test_behind_every_compression(kind: str, tmp_path: Path) -> None:
    """As the kernel reads it: the first archive to its end, zeros, then ours."""
    first = archive({"init": b"#!/bin/sh\n", "preseed.cfg": b"old"})
    if kind == "lz4":
        if shutil.which("lz4") is None:
            pytest.skip("lz4 is not installed")
        packed = subprocess.run(["lz4", "-l", "-c"], input=first, capture_output=True, check=True).stdout
    else:
        packed = {"plain": lambda d: d, "gzip": gzip.compress, "xz": lzma.compress}[kind](first)
    added = after(packed, tmp_path, {"preseed.cfg": b"new"})
    match = re.match(rb"\0{4,}(?=070701)", added)
    assert match is not None
    folder = tmp_path / "x"
    unpack(first, folder)
    subprocess.run(["cpio", "-i", "-u", "--quiet"], input=added[match.end() :], cwd=folder, check=True)
    assert (folder / "preseed.cfg").read_bytes() == b"new"
    assert (folder / "init").read_bytes() == b"#!/bin/sh\n"


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(b"i")
    (tmp_path / "initrd").chmod(0o644)
    append_files(tmp_path / "initrd", {"preseed.cfg": b"secret"}, tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(SeedError, match="can't be put into an initrd"):
        archive({name: b""})


def test_a_file_that_a_header_can_not_count_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(2**32)
    with pytest.raises(SeedError, match="too large for an initrd"):
        archive({"huge": tmp_path / "huge"})
