"""What a file is, by its content and not by its name."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import click
import pytest

from factory.cli.file_kind import FileKind, kind_of

pytestmark = pytest.mark.unit


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("x.ovf"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("debian.yml", b"format: 1\nname: debian\n", FileKind.TEMPLATE),
        ("umlauts.pkr.hcl", ("# größer\n" * 9000).encode(), FileKind.TEMPLATE),
        ("cut.yml", b"x" * 65535 + "ö".encode(), FileKind.TEMPLATE),
        ("no-suffix", b"QFI\xfb\0\0\0\3", FileKind.IMAGE),
        ("x.yml", b"KDMV\3\0\0\0", FileKind.IMAGE),
        ("split.vmdk", b"# Disk DescriptorFile\nversion=1\n", FileKind.IMAGE),
        ("x.vhdx", b"vhdxfile" + bytes(100), FileKind.IMAGE),
        ("zeros", bytes(4096), FileKind.IMAGE),
        ("zero.img", b"", FileKind.EMPTY),
        ("loader", b"\xeb\x63\x90" + bytes(507) + b"\x55\xaa", FileKind.IMAGE),
        ("latin-1", b"\xe9\xe8" * 40000, FileKind.IMAGE),
        ("x.box", tar(), FileKind.OVA),
        ("x.ova", gzip.compress(tar()), FileKind.OVA),
        ("x.raw.gz", gzip.compress(bytes(100)), FileKind.PACKED),
    ],
)
def test_content_decides(name: str, content: bytes, kind: FileKind, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(path) is kind


def test_a_folder_holds_templates(tmp_path: Path) -> None:
    assert kind_of(tmp_path) is FileKind.TEMPLATE


def test_what_is_not_there_is_a_mistake_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"nothing can't be read: No such file"):
        kind_of(tmp_path / "nothing")
