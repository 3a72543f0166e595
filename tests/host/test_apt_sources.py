"""APT's sources in both notations, and which one is the main archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.host.apt_sources import Source, main_archive, read_sources

pytestmark = pytest.mark.unit


def apt(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        path = tmp_path / "sources.list" if name == "main_list" else tmp_path / "sources.list.d" / f"{stem}.{suffix}"
        path.write_text(text)
    return tmp_path


DEB822 = """\
Types: deb deb-src
# a comment inside a stanza
URIs: http://mirror.example/debian/
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 =abcd

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_deb822(tmp_path: Path) -> None:
    root = apt(tmp_path, debian_sources=DEB822)
    assert list(read_sources(root)) == [
        Source("http://mirror.example/debian/", "bookworm", ("main", "contrib")),
        Source("http://mirror.example/debian/", "bookworm-updates", ("main", "contrib")),
        Source("http://security.example/debian-security", "bookworm-security", ("main",)),
    ]
    assert main_archive("bookworm", root) == "http://mirror.example/debian"
    assert main_archive("trixie", root) == ""


@pytest.mark.parametrize("off", ["Enabled: no", "Types: deb-src"])
def test_a_stanza_that_is_off_does_not_count(tmp_path: Path, off: str) -> None:
    text = DEB822.replace("Types: deb deb-src", off if off.startswith("Types") else f"Types: deb\n{off}", 1)
    assert main_archive("bookworm", apt(tmp_path, debian_sources=text)) == ""


def test_one_line(tmp_path: Path) -> None:
    text = """\
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] https://vendor.example/debian bookworm vendor
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb [arch=amd64] https://one.example/debian bookworm main non-free # mine
"""
    assert main_archive("bookworm", apt(tmp_path, main_list=text)) == "https://one.example/debian"


def test_a_mirror_list_is_followed(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors"
    mirrors.write_text("# first is best\nhttps://near.example/debian\tpriority:1\nhttps://far.example/debian\n")
    text = f"deb mirror+file:{mirrors} bookworm main\n"
    root = apt(tmp_path, main_list=text)
    assert main_archive("bookworm", root) == "https://near.example/debian"
    mirrors.unlink()
    assert main_archive("bookworm", root) == ""


def test_no_sources_no_mirror(tmp_path: Path) -> None:
    assert main_archive("bookworm", tmp_path / "absent") == ""
