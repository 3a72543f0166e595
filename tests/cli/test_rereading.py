"""A template that is mended while its build has failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from factory.cli.requests import Request, Selection, find_builds
from factory.cli.rereading import StaysAsItWas, read_again

pytestmark = pytest.mark.unit

TOP = """
format: 1
name: top
source: {image: below}
machine: {firmware: bios, disks: [{id: main, size: 1 GiB}]}
provision:
  - shell: {inline: [echo one]}
"""
BELOW = """
format: 1
name: below
variables: {words: {default: none, help: what it says}}
source: {image: {path: disk.raw}}
machine: {firmware: bios, disks: [{id: main, size: 1 GiB}]}
provision:
  - shell: {inline: ["echo {{ vars.words }}"]}
"""
PACKER = """{"builders": [{"type": "qemu", "name": "tiny", "iso_url": "tiny.iso", "iso_checksum": "none",
"ssh_username": "root", "ssh_password": "x", "vm_name": "made-{{timestamp}}"}]}"""


@pytest.fixture
def builds(tmp_path: Path) -> dict[str, Request]:
    (tmp_path / "disk.raw").touch()
    (tmp_path / "below.yml").write_text(BELOW)
    (tmp_path / "top.yml").write_text(TOP)
    # One that was given on the command line still holds, and `-only` hides no build that is there already.
    requests = find_builds([tmp_path / "top.yml"], Selection({"words": "given"}, (), ("top",)), {})
    requests.raise_if_any()
    return requests.builds


def edit(request: Request, change: Callable[[str], str]) -> None:
    request.loaded.path.write_text(change(request.loaded.path.read_text()))


def test_what_nobody_has_touched_is_the_same(builds: dict[str, Request]) -> None:
    assert list(builds) == ["below", "top"]
    for request in builds.values():
        assert read_again(request, builds) is request


def test_a_mended_line_is_read_with_the_variables_that_were_given(builds: dict[str, Request]) -> None:
    below = builds["below"]
    edit(below, lambda text: text.replace('"echo {{ vars.words }}"', '"echo {{ vars.words }}, mended"'))
    fresh = read_again(below, builds)
    assert fresh.asked is below.asked is False
    shell = fresh.loaded.template.provision[0].shell
    assert shell is not None
    assert shell.inline == ("echo given, mended",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("provision:", "provisoin:"), r"top\.yml:6:1: .*provisoin"),
        (lambda text: text.replace("inline: [", "inline: ["[:-1]), r"top\.yml:\d+"),
        (lambda text: text.replace("name: top", "name: other"), "no build called 'top' any more"),
        (lambda text: text.replace("{image: below}", "{image: {path: disk.raw}}"), "another image now"),
        (lambda text: text.replace("id: main", "id: other"), "lacks the disk main"),
    ],
)
def test_what_can_not_be_gone_on_with_stays_as_it_was(
    builds: dict[str, Request], change: Callable[[str], str], why: str
) -> None:
    edit(builds["top"], change)
    with pytest.raises(StaysAsItWas, match=why):
        read_again(builds["top"], builds)


def test_a_template_that_is_gone_stays_as_it_was(builds: dict[str, Request]) -> None:
    builds["top"].loaded.path.unlink()
    with pytest.raises(StaysAsItWas, match=r"top\.yml"):
        read_again(builds["top"], builds)


def test_packers_timestamp_must_not_change_while_it_is_retried(tmp_path: Path) -> None:
    path = tmp_path / "packer.json"
    path.write_text(PACKER)
    (request,) = find_builds([path], Selection({}, ()), {}).builds.values()
    assert read_again(request, {}) is request
    edit(request, lambda text: text + "\n")
    with pytest.raises(StaysAsItWas, match="its time and its random names"):
        read_again(request, {})
