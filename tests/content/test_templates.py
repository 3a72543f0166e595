"""The shipped templates: each loads, names its vendor's own site, and is in the docs."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from factory.template.check import check
from factory.template.model import Loaded
from tests.content.shipped import HOST, INSTALLED, ROOT, TEMPLATES, loaded, rendered

pytestmark = pytest.mark.unit

VENDORS = {
    "debian": "cdimage.debian.org",
    "ubuntu": "releases.ubuntu.com",
    "almalinux": "repo.almalinux.org",
    "rocky": "download.rockylinux.org",
    "fedora": "download.fedoraproject.org",
    "opensuse": "download.opensuse.org",
    "alpine": "dl-cdn.alpinelinux.org",
    "freebsd": "download.freebsd.org",
    "windows": "software-static.download.prss.microsoft.com",
}
EXPECTED = {
    "tiny", "debian-quick", "debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04", "almalinux-9", "rocky-9",
    "fedora-44", "opensuse-leap-15", "opensuse-leap-16", "alpine-3", "freebsd-14", "windows-server-2022",
}  # fmt: skip


def downloads() -> list[str]:
    return [name for name in TEMPLATES if (iso := loaded(name).template.source.iso) and iso.url]


def iso_of(name: str) -> tuple[Loaded, str, str]:
    template = loaded(name)
    iso = template.template.source.iso
    assert iso is not None
    assert iso.url is not None
    assert iso.checksum is not None
    return template, rendered(iso.url, template), rendered(iso.checksum, template)


def test_every_family_is_shipped() -> None:
    assert set(TEMPLATES) >= EXPECTED


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_loads_without_a_word_of_complaint(name: str) -> None:
    template, problems = check(ROOT / "images" / f"{name}.yml", host=HOST)
    assert [str(p) for p in problems] == []
    assert template is not None
    assert template.template.name == name
    assert template.template.description


@pytest.mark.parametrize("name", TEMPLATES)
def test_editors_are_told_its_schema(name: str) -> None:
    first = (ROOT / "images" / f"{name}.yml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/reference/template.schema.json"


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_variable_says_what_it_is(name: str) -> None:
    silent = [n for n, variable in loaded(name).template.variables.items() if not variable.help]
    assert silent == []


@pytest.mark.parametrize("name", downloads())
def test_the_iso_comes_from_its_vendor(name: str) -> None:
    _, url, _ = iso_of(name)
    parts = urlsplit(url)
    assert parts.scheme == "https"
    assert parts.hostname == VENDORS[name.split("-")[0]]
    assert parts.path.endswith(".iso")


@pytest.mark.parametrize("name", downloads())
def test_the_iso_is_checked_against_its_vendors_sums(name: str) -> None:
    _, url, checksum = iso_of(name)
    if not checksum.startswith("file:"):
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", checksum)
        return
    sums = urlsplit(checksum.removeprefix("file:"))
    assert sums.scheme == "https"
    assert sums.hostname == urlsplit(url).hostname
    # the sums lie beside the image: another folder's file would name another release's image
    assert sums.path.rsplit("/", 1)[0] == urlsplit(url).path.rsplit("/", 1)[0]


def test_another_release_is_another_url_and_another_file_of_sums() -> None:
    template = loaded("debian-13", release="13.4.0", shelf="archive")
    iso = template.template.source.iso
    assert iso is not None
    assert iso.url == "https://cdimage.debian.org/cdimage/archive/13.4.0/amd64/iso-cd/debian-13.4.0-amd64-netinst.iso"
    assert iso.checksum == "file:https://cdimage.debian.org/cdimage/archive/13.4.0/amd64/iso-cd/SHA256SUMS"


def test_a_release_that_cannot_be_is_refused() -> None:
    template, problems = check(ROOT / "images" / "debian-12.yml", variables={"release": "13.5.0"}, host=HOST)
    assert template is None
    assert any("release" in p.message for p in problems)


@pytest.mark.parametrize("name", INSTALLED)
def test_a_server_ends_clean_and_proven(name: str) -> None:
    template = loaded(name).template
    assert template.seal is not None
    assert template.verify is not None
    assert template.verify.clones == 2
    assert {output.kind for output in template.outputs} >= {"qcow2", "vmdk", "ova"}
    assert template.access.ssh is not None
    assert template.access.ssh.password is None  # by the build's key only


@pytest.mark.parametrize("fragment", ["vagrant-box", "edge-appliance"])
def test_fragments_go_with_the_server(fragment: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("project") / "images"
    folder.mkdir()
    text = (ROOT / "images" / "debian-12.yml").read_text()
    path = folder / "debian-12.yml"
    path.write_text(text.replace("[_base/linux-server]", f"[_base/linux-server, _base/{fragment}]"))
    template, problems = check(path, host=HOST)
    assert [str(p) for p in problems] == []
    assert template is not None
    kinds = [output.kind for output in template.template.outputs]
    if fragment == "vagrant-box":
        assert kinds == ["qcow2", "vmdk", "ova", "vagrant"]
        assert template.template.provision[-1].name == "vagrant-user"
    else:
        assert kinds == ["raw"]
        assert template.variables["cloud_init"] is False


def test_each_is_in_the_table_of_the_docs() -> None:
    table = (ROOT / "docs" / "reference" / "templates.md").read_text().split("## ")[0]
    rows = set(re.findall(r"^\| `([a-z0-9.-]+)` \|", table, re.MULTILINE))
    assert rows - {"debian-netboot"} == set(TEMPLATES) - {"debian-netboot"}


def test_the_docs_say_which_profiles_are_proven() -> None:
    page = (ROOT / "docs" / "reference" / "templates.md").read_text()
    for name in TEMPLATES:
        profile = loaded(name).profile
        assert profile is not None
        (row,) = re.findall(rf"^\| `{re.escape(name)}` \|.*$", page, re.MULTILINE)
        assert ("not yet run" in row) is not profile.proven, name
