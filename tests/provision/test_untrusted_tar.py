"""Archives of guests, unpacked as on Pythons that have no filter of their own."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from factory.provision.untrusted_tar import extract

pytestmark = pytest.mark.unit


def packed(*members: tuple[str, bytes, str]) -> tarfile.TarFile:
    """(name, type, where a link leads); files hold an x."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, link in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, link, 0o4777
            entry.size = 1 if kind == tarfile.REGTYPE else 0
            tar.addfile(entry, io.BytesIO(b"x"))
    stream.seek(0)
    return tarfile.open(fileobj=stream)


def test_files_folders_and_links_inside(tmp_path: Path) -> None:
    members = [("d", tarfile.DIRTYPE, ""), ("d/f", tarfile.REGTYPE, ""), ("d/s", tarfile.SYMTYPE, "f"),
               ("up", tarfile.SYMTYPE, "d/../d/f"), ("h", tarfile.LNKTYPE, "d/f")]  # fmt: skip
    extract(packed(*members), tmp_path)
    for name in ("d/f", "d/s", "up", "h"):
        assert (tmp_path / name).read_text() == "x"
    assert (tmp_path / "d/f").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "members",
    [
        [("../escaped", tarfile.REGTYPE, "")],
        [("/escaped", tarfile.REGTYPE, "")],
        [("a/../../escaped", tarfile.REGTYPE, "")],
        [("s", tarfile.SYMTYPE, "..")],
        [("s", tarfile.SYMTYPE, "/etc")],
        [("h", tarfile.LNKTYPE, "../secret")],
        [("s", tarfile.SYMTYPE, "."), ("s/../escaped", tarfile.REGTYPE, "")],
        [("fifo", tarfile.FIFOTYPE, "")],
        [("null", tarfile.CHRTYPE, "")],
    ],
)
def test_nothing_leads_out(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "secret").write_text("s")
    with pytest.raises(tarfile.TarError):
        extract(packed(*members), target)
    assert not list(tmp_path.rglob("escaped"))
