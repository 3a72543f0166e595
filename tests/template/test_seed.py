# ruff: noqa: E501 (whole messages, as people read them)
"""Answer files: what is served by which name, rendering, errors with places, digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.drivers.protocols import SeedSource
from factory.errors import SeedError
from factory.secret import Secret
from factory.template.names import Scope
from factory.template.seed import SeedFolder, extra_files, file_problems, files_of, folder_digest, seed_names
from tests.template.conftest import Project

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(project: Project) -> Path:
    project.write(
        "seed/user-data.j2", "name: {{ vars.who }}\n{% if vars.x is defined %}\nnever\n{% endif %}\n{# no #}end\n"
    )
    project.write("seed/meta-data", "")
    project.write("seed/sub/file.bin", b"\0\xff{{ kept }}")
    project.write("seed/.hidden", "x")
    project.write("seed/.git/config", "x")
    (project.root / "seed/out").symlink_to(project.root / "images/small.yml")
    (project.root / "seed/in").symlink_to(project.root / "seed/meta-data")
    return project.root / "seed"


def test_files_are_served_by_name(folder: Path) -> None:
    source: SeedSource = SeedFolder(folder, {"vars": {"who": "me"}})
    assert list(source.names()) == ["in", "meta-data", "sub/file.bin", "user-data"]
    assert source.read("user-data") == b"name: me\nend\n"
    assert source.read("meta-data") == folder / "meta-data"
    binary = source.read("sub/file.bin")
    assert isinstance(binary, Path)
    assert binary.read_bytes() == b"\0\xff{{ kept }}"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../images/small.yml", "/etc/passwd", "user-data.j2", ".hidden", ".git/config", "out", "sub", "sub/../meta-data", "nothing"],
)  # fmt: skip
def test_nothing_else_is_served(folder: Path, name: str) -> None:
    assert SeedFolder(folder, {}).read(name) is None


def test_extra_files_lie_over_those_of_the_folder(folder: Path) -> None:
    extra: dict[str, str | bytes | Path] = {"meta-data": "text", "new/one": b"\1", "a-file": folder / ".hidden"}
    source = SeedFolder(folder, {}, extra=extra)
    assert (source.read("meta-data"), source.read("new/one")) == (b"text", b"\1")
    assert source.read("a-file") == folder / ".hidden"
    assert "new/one" in source.names()
    assert SeedFolder(None, {}, extra={"only": "x"}).names() == ("only",)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", ".", "a\\b", "a\0"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(SeedError, match="is no name for a seed file"):
        SeedFolder(None, {}, extra={name: "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n{{ vars.nope }}\n", "can't render seed/bad.j2:2:4: there is no variable 'nope'"),
        ("{{ nmae }}", "can't render seed/bad.j2:1:4: unknown name 'nmae'"),
        ("a\n\n{% if x %}\n", "can't render seed/bad.j2:3: unexpected end of template. Jinja was looking for the following tags: "
                              "'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'"),
        ("{{ vars.who | nothing }}", "can't render seed/bad.j2:1:15: there is no filter 'nothing'"),
        ("{{ 1 / 0 }}", "can't render seed/bad.j2: ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_rendered(project: Project, folder: Path, text: str, message: str) -> None:
    project.write("seed/bad.j2", text)
    with pytest.raises(SeedError) as caught:
        SeedFolder(folder, {"vars": {"who": "me"}}).read("bad")
    assert caught.value.message == message


def test_files_that_are_no_templates(project: Project, folder: Path) -> None:
    project.write("seed/bad.j2", b"\xff")
    with pytest.raises(SeedError, match=r"seed/bad\.j2 isn't UTF-8"):
        SeedFolder(folder, {}).read("bad")
    project.write("seed/bad.j2", "x" * (2**20 + 1))
    with pytest.raises(SeedError, match="is larger than 1 MiB"):
        SeedFolder(folder, {}).read("bad")
    assert [p.message for p in file_problems(folder / "bad.j2", Scope({}))] == ["seed/bad.j2 is larger than 1 MiB"]
    project.write("seed/bad", "")
    with pytest.raises(SeedError, match=r"seed/bad\.j2 and bad would both be served as 'bad'"):
        list(files_of(folder))


def test_the_digest_is_of_the_sources(project: Project, folder: Path) -> None:
    first = SeedFolder(folder, {"vars": {"who": "me"}})
    assert first.digest() == SeedFolder(folder, {"vars": {"who": "you"}}).digest()
    before, whole = folder_digest(folder), first.digest()
    extra = [SeedFolder(folder, {}, extra={"x": content}).digest() for content in ("1", "2")]
    assert len({whole, *extra}) == 3
    project.write("seed/meta-data", "changed")
    assert folder_digest(folder) != before
    assert SeedFolder(folder, {}).digest() != whole


def test_what_answer_files_may_name(project: Project) -> None:
    project.template(
        "variables: {who: {default: me}, t: {sensitive: true, default: hunter2}, pw: {generate: password}}\n"
        "install:\n"
        "  profile: small\n"
        "  seed_vars: {disk: vda, url: '{{ seed.url }}/x', list: [1, '{{ vars.pw }}']}\n"
        "  seed_files: [{name: a, content: '{{ vars.t }} {{ build.name }}'}, {name: b, path: ../scripts/hello}]\n",
        base="format: 1\nname: small\nsource: {iso: {path: ../isos/small.iso, checksum: none}}\n",
    )
    loaded = project.load(host={"mirror": "m"})
    late = {"seed": {"url": "http://h"}, "build": {"name": "n"}, "vars": {"pw": Secret("made")}}
    assert seed_names(loaded, late) == {
        "vars": {"who": "me", "t": "hunter2", "pw": "made"},
        "host": {"mirror": "m"},
        "name": "small",
        "seed": {"url": "http://h"},
        "build": {"name": "n"},
        "install": {"disk": "vda", "url": "http://h/x", "list": [1, "made"]},
    }
    assert extra_files(loaded, late, {}) == {"a": "hunter2 n", "b": project.root / "scripts/hello"}
