"""CDs that are written, and ISOs that are read, with every kind of names."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pycdlib
import pytest

from factory.drivers.iso import IsoReader, extract, make_cd, open_iso, read_view, view
from factory.drivers.iso_view import IsoView
from factory.errors import StepError
from factory.quantity import Size
from tests.iso_layouts import SERVER_2022

pytestmark = pytest.mark.unit

CONTENT = {"boot/vmlinuz": b"kernel", "README.TXT": b"hello\n"}


def add(image: pycdlib.PyCdlib, files: dict[str, bytes], **trees: bool) -> None:
    """Adds files of one folder's depth to the trees that *trees* names: rr, joliet, udf; and to plain ISO 9660."""
    folders = {name.split("/")[0] for name in files if "/" in name}
    for folder in sorted(folders):
        image.add_directory(
            f"/{folder.upper()}",
            rr_name=folder if trees.get("rr") else None,
            joliet_path=f"/{folder}" if trees.get("joliet") else None,
            udf_path=f"/{folder}" if trees.get("udf") else None,
        )
    for name, content in files.items():
        stored = "/" + name.upper() + ("" if "." in name else ".") + ";1"
        image.add_fp(
            io.BytesIO(content),
            len(content),
            stored,
            rr_name=name.split("/")[-1] if trees.get("rr") else None,
            joliet_path=f"/{name}" if trees.get("joliet") else None,
            udf_path=f"/{name}" if trees.get("udf") else None,
        )


def write(path: Path, files: dict[str, bytes] | None = None, **trees: bool) -> Path:
    image = pycdlib.PyCdlib()
    image.new(
        interchange_level=3,
        vol_ident="LABEL",
        rock_ridge="1.09" if trees.get("rr") else None,
        joliet=3 if trees.get("joliet") else None,
        udf="2.60" if trees.get("udf") else None,
    )
    add(image, CONTENT if files is None else files, **trees)
    image.write(str(path))
    image.close()
    return path


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trees", "names_by", "names"),
    [
        ({"rr": True, "joliet": True}, "Rock Ridge", ("README.TXT", "boot/vmlinuz")),
        ({"joliet": True}, "Joliet", ("README.TXT", "boot/vmlinuz")),
        ({"udf": True}, "UDF", ("README.TXT", "boot/vmlinuz")),
        ({"udf": True, "joliet": True}, "UDF", ("README.TXT", "boot/vmlinuz")),
        ({}, "ISO 9660", ("BOOT/VMLINUZ", "README.TXT")),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_an_iso_with_every_kind_of_names(
    trees: dict[str, bool], names_by: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    path = write(tmp_path / "x.iso", None, **trees)
    found = asyncio.run(view(path))
    assert (found.volume_id, found.names_by, found.names) == ("LABEL", names_by, names)
    kernel = found.find("/Boot/vmLinuz")
    assert kernel in names
    asyncio.run(extract(path, {"boot/VMLINUZ": tmp_path / "kernel", "readme.txt": tmp_path / "readme"}))
    assert (tmp_path / "kernel").read_bytes() == b"kernel"
    assert (tmp_path / "readme").read_bytes() == b"hello\n"


def test_windows_keeps_a_note_in_iso_9660_and_the_rest_in_udf(tmp_path: Path) -> None:
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, vol_ident="SSS_X64FREE", udf="2.60")
    image.add_fp(io.BytesIO(b"UDF!"), 4, "/README.TXT;1")
    image.add_directory(udf_path="/sources")
    image.add_fp(io.BytesIO(SERVER_2022), len(SERVER_2022), udf_path="/sources/install.wim")
    image.write(str(tmp_path / "x.iso"))
    image.close()
    found = read_view(tmp_path / "x.iso")
    assert found.names == ("sources/install.wim",)
    assert "<NAME>Windows Server 2022 SERVERSTANDARD</NAME>" in found.texts["sources/install.wim"]


def test_marks_and_menus_are_read_and_nothing_else(tmp_path: Path) -> None:
    files: dict[str, bytes | Path] = {
        "isolinux/isolinux.cfg": b"menu",
        "isolinux/other.txt": b"text",
        "media.1/products": b"/ Leap",
        "x.cfg": b"",
    }
    asyncio.run(make_cd(tmp_path / "x.iso", "X", files))
    found = read_view(tmp_path / "x.iso")
    assert found.texts == {"isolinux/isolinux.cfg": "menu", "media.1/products": "/ Leap"}


def test_hidden_marks(tmp_path: Path) -> None:
    path = tmp_path / "x.iso"
    asyncio.run(make_cd(path, "X", {".treeinfo": b"[general]\n", ".disk/info": b"Debian \xff\n"}))
    found = read_view(path)
    assert found.treeinfo == "[general]\n"
    assert found.disk_info == "Debian \ufffd"


def test_a_link_is_followed_and_a_file_may_be_empty(tmp_path: Path) -> None:
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, rock_ridge="1.09", vol_ident="L")
    add(image, {"boot/vmlinuz": b"kernel", "empty": b""}, rr=True)
    image.add_symlink("/LINK.;1", rr_symlink_name="link", rr_path="boot/vmlinuz")
    image.add_symlink("/BOOT/UP.;1", rr_symlink_name="up", rr_path="../link")
    image.add_symlink("/OUT.;1", rr_symlink_name="out", rr_path="../../etc/passwd")
    image.add_symlink("/SELF.;1", rr_symlink_name="self", rr_path="self")
    image.write(str(tmp_path / "x.iso"))
    image.close()
    with open_iso(tmp_path / "x.iso") as reader:
        assert reader.read("boot/up") == b"kernel"
        assert reader.read("empty") == b""
        reader.copy("empty", tmp_path / "empty")
        assert (tmp_path / "empty").read_bytes() == b""
        assert reader.read("nothing") is None
        for name in ("out", "self"):
            with pytest.raises(StepError, match="which it does not hold"):
                reader.read(name)


def test_a_name_that_is_no_utf_8_hides_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "x.iso", {"caf1": b"old", "new": b"new"}, rr=True)
    path.write_bytes(path.read_bytes().replace(b"caf1", b"caf\xe9"))
    found = read_view(path)
    assert found.names == ("caf\ufffd", "new")
    with open_iso(path) as reader:
        assert reader.read("new") == b"new"
        with pytest.raises(StepError, match="can't be read from the ISO"):
            reader.read("caf\ufffd")


def test_a_text_is_read_up_to_a_limit(tmp_path: Path) -> None:
    with open_iso(write(tmp_path / "x.iso", files={"big": b"x" * 5000}, rr=True)) as reader:
        assert reader.read("big", Size(100)) == b"x" * 100


def test_copying_never_holds_more_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(3 * 2**20 + 17)
    path = write(tmp_path / "x.iso", files={"big": content}, rr=True)
    asked: list[int | None] = []
    from pycdlib.pycdlibio import PyCdlibIO

    real = PyCdlibIO.read

    def read(self: PyCdlibIO, size: int | None = None) -> bytes:
        asked.append(size)
        piece: bytes = real(self, size)
        return piece

    monkeypatch.setattr(PyCdlibIO, "read", read)
    with open_iso(path) as reader:
        reader.copy("big", tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == content
    assert asked == [2**20, 2**20, 2**20, 17]


def test_an_iso_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.iso", files={"big": b"x" * 400_000}, rr=True)
    whole = path.stat().st_size
    os.truncate(path, whole - 200_000)
    with pytest.raises(StepError, match="it isn't whole") as caught, open_iso(path):
        pass
    assert "checksum" in caught.value.hint


def test_a_udf_iso_that_is_cut_off_is_told_when_a_file_ends_too_early(tmp_path: Path) -> None:
    """Beside UDF, ISO 9660 often lies about its size: only what is copied is looked at."""
    path = write(tmp_path / "x.iso", files={"big": b"x" * 400_000, "small": b"s"}, udf=True)
    start = path.read_bytes().index(b"x" * 2048)
    with open_iso(path) as reader:
        os.truncate(path, start + 1000)
        with pytest.raises(StepError, match="ends 399000 bytes too early"):
            reader.copy("big", tmp_path / "big")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("start", "hint"),
    [
        (b"", "whole"),
        (b"hello", "whole"),
        (b"QFI\xfb" + bytes(60_000), "a qcow2 image"),
        (b"<!DOCTYPE html><html>404", "a web page"),
        (b"PK\x03\x04", "a zip archive"),
        (bytes(32768) + b"\1CD001\1" + bytes(5000), "whole"),
        (bytes(32768) + b"\0BEA01\1".ljust(2048, b"\0") + b"\0NSR02\1".ljust(40_000, b"\0"), "UDF file system alone"),
    ],
)
def test_what_is_no_iso_is_told(start: bytes, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "x.iso"
    path.write_bytes(start)
    with pytest.raises(StepError, match="can't be read as an ISO") as caught, open_iso(path):
        pass
    assert hint in caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="No such file"), open_iso(tmp_path / "none.iso"):
        pass


@pytest.mark.parametrize("position", range(32768, 60_000, 997))
def test_a_damaged_iso_is_an_error_of_ours_or_readable(position: int, tmp_path: Path) -> None:
    path = write(tmp_path / "x.iso", rr=True, joliet=True)
    damaged = bytearray(path.read_bytes())
    if position + 16 > len(damaged):
        pytest.skip("behind its end")
    damaged[position : position + 16] = b"\xff" * 16
    path.write_bytes(damaged)
    try:
        read_view(path)
    except StepError as error:
        assert error.hint  # noqa: PT017  # both ways are right


def test_extracting_what_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.iso", rr=True)
    with pytest.raises(StepError, match=r"x\.iso holds no boot/none"):
        asyncio.run(extract(path, {"boot/none": tmp_path / "none"}))
    assert list(tmp_path.iterdir()) == [path]


def test_the_boot_catalogue(tmp_path: Path) -> None:
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, rock_ridge="1.09")
    add(image, {"bios.img": b"b" * 2048, "efi.img": b"e" * 2048}, rr=True)
    image.add_eltorito("/BIOS.IMG;1", bootcatfile="/BOOT.CAT;1", rr_bootcatname="boot.cat")
    image.add_eltorito("/EFI.IMG;1", efi=True)
    image.write(str(tmp_path / "x.iso"))
    image.close()
    assert read_view(tmp_path / "x.iso").boots == ("bios", "uefi")
    assert read_view(write(tmp_path / "y.iso", rr=True)).boots == ()


def test_a_catalogue_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.drivers.iso.LARGEST_CATALOGUE", 1)
    with pytest.raises(StepError, match="more than 1 files"), open_iso(write(tmp_path / "x.iso", rr=True)):
        pass


# --- what an ISO holds ---------------------------------------------------------------------------------------------


def test_a_view_finds_names() -> None:
    found = IsoView("", ("boot/vmlinuz-lts", "boot/vmlinuz-virt", "boot/sub/vmlinuz-x", "EFI/a.cfg"))
    assert found.find("efi/A.CFG") == "EFI/a.cfg"
    assert found.find("boot") is None
    assert list(found.matching("boot/vmlinuz-*")) == [("boot/vmlinuz-lts", "lts"), ("boot/vmlinuz-virt", "virt")]
    assert list(found.matching("*/*.cfg")) == [("EFI/a.cfg", "efi")]
    assert list(found.matching("boot/vmlinuz")) == []
    assert list(found.matching("boot/vmlinuz-[lv]*")) == []


# --- writing -------------------------------------------------------------------------------------------------------


def test_a_cd_is_read_by_every_kind_of_names(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    files: dict[str, bytes | Path] = {
        "user-data": b"#cloud-config\n",
        "meta-data": b"",
        "Autounattend.xml": b"<x/>",
        "a/long/folder/with a very long name indeed.conf": source,
    }
    path = tmp_path / "seed.iso"
    asyncio.run(make_cd(path, "cidata", files))
    image = pycdlib.PyCdlib()
    image.open(str(path))
    assert image.pvd.volume_identifier.strip() == b"cidata"
    for kind in ("rr_path", "joliet_path"):
        reader = IsoReader(image)
        reader._kind = kind
        names = {
            f"{folder.rstrip('/')}/{name}".lstrip("/")
            for folder, _, found in image.walk(**{kind: "/"})
            for name in found
        }
        assert names == set(files)
    image.close()
    with open_iso(path) as reader:
        for name, content in files.items():
            assert reader.read(name) == (content.read_bytes() if isinstance(content, Path) else content)


def test_only_its_owner_reads_a_seed(tmp_path: Path) -> None:
    asyncio.run(make_cd(tmp_path / "seed.iso", "cidata", {"user-data": b"secret"}))
    assert (tmp_path / "seed.iso").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "seed.iso"]


def test_a_new_cd_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    asyncio.run(make_cd(path, "cidata", {"a": b"1"}))
    asyncio.run(make_cd(path, "cidata", {"b": b"2"}))
    assert read_view(path).names == ("b",)
