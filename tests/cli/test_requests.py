"""Which builds a command line asks for, and what a wrong one of them spoils: nothing."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from factory.cli.requests import Requests, Selection, find_builds
from factory.cli.template_options import find_templates
from factory.errors import TemplateError
from factory.template.pattern_list import split_patterns

pytestmark = pytest.mark.unit

IMAGE = """
format: 1
name: {name}
source: {{image: {source}}}
machine: {{disks: [{{id: main, size: 1 GiB}}]{more}}}
"""


def write(folder: Path, name: str, source: str = "{path: disk.raw}", *, file: str = "", more: str = "") -> Path:
    (folder / "disk.raw").touch()
    path = folder / f"{file or name}.yml"
    path.write_text(IMAGE.format(name=name, source=source, more=more))
    return path


def found(*paths: Path, only: tuple[str, ...] = (), except_: tuple[str, ...] = ()) -> Requests:
    return find_builds(paths, Selection({}, (), only, except_), {})


def test_a_template_that_is_named_twice_is_built_once(tmp_path: Path) -> None:
    path = write(tmp_path, "a")
    other = write(tmp_path, "b")
    assert find_templates([path, tmp_path, tmp_path / "." / "a.yml"]) == [path, other]


def test_a_folder_without_templates_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="no templates"):
        find_templates([tmp_path])


def test_builds_come_in_the_order_given(tmp_path: Path) -> None:
    paths = [write(tmp_path, name) for name in "bca"]
    assert list(found(*paths).builds) == ["b", "c", "a"]


def test_two_builds_of_packers_for_one_folder_are_found_before_anything_is_built(tmp_path: Path) -> None:
    """Two uses of a source under names of their own, which take the source's folder."""
    source = 'iso_url = "tiny.iso"\n  iso_checksum = "none"\n  ssh_username = "root"\n'
    (tmp_path / "tiny.iso").touch()
    template = tmp_path / "t.pkr.hcl"
    template.write_text(
        f'source "qemu" "base" {{\n  {source}\n}}\nbuild {{\n'
        '  source "qemu.base" {\n    name = "small"\n  }\n  source "qemu.base" {\n    name = "large"\n  }\n}\n'
    )
    requests = found(template)
    assert list(requests.builds) == ["qemu.small"]
    assert "'qemu.large' and 'qemu.small' both deliver to output-base" in str(requests.failures["qemu.large"])
    assert not found(template, only=("qemu.large",)).failures


def test_a_comma_inside_braces_divides_nothing() -> None:
    assert split_patterns(["a.{x,y}, b", "", "{c,d", "e"]) == ("a.{x,y}", "b", "{c", "d", "e")


def test_a_broken_template_spoils_no_other(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("format: 1\nname: [\n")
    requests = found(broken, write(tmp_path, "good"))
    assert list(requests.builds) == ["good"]
    assert list(requests.failures) == ["broken"]
    with pytest.raises(TemplateError, match=r"broken\.yml"):
        requests.raise_if_any()


def test_the_second_build_of_a_name_fails(tmp_path: Path) -> None:
    requests = found(write(tmp_path, "a"), write(tmp_path, "a", file="copy"))
    assert list(requests.builds) == ["a"]
    assert "two builds are called 'a'" in str(requests.failures["copy"])


def test_only_and_except_choose_by_name(tmp_path: Path) -> None:
    paths = [write(tmp_path, name) for name in ("web-12", "web-13", "db-12")]
    assert list(found(*paths, only=("web-*",)).builds) == ["web-12", "web-13"]
    assert list(found(*paths, only=("web-*", "db*"), except_=("*-13",)).builds) == ["web-12", "db-12"]
    with pytest.raises(TemplateError, match="no build is left"):
        found(*paths, only=("mail-*",))


def test_what_a_build_starts_from_comes_before_it(tmp_path: Path) -> None:
    write(tmp_path, "base")
    requests = found(write(tmp_path, "top", "middle"), write(tmp_path, "middle", "base"))
    assert list(requests.builds) == ["base", "middle", "top"]
    assert [(r.base, r.asked) for r in requests.builds.values()] == [("", False), ("base", True), ("middle", True)]


def test_a_circle_is_named_whole_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "a", "c")
    write(tmp_path, "b", "a")
    requests = found(write(tmp_path, "c", "b"))
    assert str(requests.failures["c"]).endswith(
        "a.yml:4:17: images are built from each other in a circle: c → b → a → c"
    )
    assert not requests.builds


def test_a_base_that_is_not_there_is_suggested(tmp_path: Path) -> None:
    write(tmp_path, "debian-12")
    requests = found(write(tmp_path, "web", "debian-21"))
    assert str(requests.failures["web"]).endswith(
        "web.yml:4:17: there is no template 'debian-21' (did you mean 'debian-12'?)"
    )


def test_a_base_of_other_firmware_or_disks_does_not_fit(tmp_path: Path) -> None:
    write(tmp_path, "base", more=", firmware: uefi")
    requests = found(write(tmp_path, "web", "base"))
    assert "'base' is installed for uefi firmware, and this machine has bios" in str(requests.failures["web"])
    path = tmp_path / "db.yml"
    path.write_text("format: 1\nname: db\nsource: {image: base}\nmachine: {firmware: uefi, disks: [{id: root}]}\n")
    assert "lacks the disk main that 'base' has" in str(found(path).failures["db"])


def test_a_variable_goes_to_those_that_declare_it(tmp_path: Path) -> None:
    base = write(tmp_path, "base")
    base.write_text(base.read_text() + "variables: {words: {default: none}}\n")
    top = write(tmp_path, "top", "base")
    requests = find_builds([top], Selection({"words": "given"}, ()), {})
    assert requests.builds["base"].loaded.variables == {"words": "given"}
    assert requests.builds["top"].loaded.variables == {}
    nowhere = find_builds([top], Selection({"wrods": "given"}, ()), {})
    assert "no variable 'wrods' is declared" in str(nowhere.failures["top"])
