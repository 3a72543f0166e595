"""A seed in the initrd: only where we start the initrd, and where the installer looks into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.steps.installation import command_line
from factory.template.check import check
from factory.template.late import render_late
from factory.template.load import load

pytestmark = pytest.mark.unit


def template(tmp_path: Path, profile: str, *lines: str) -> Path:
    (tmp_path / "x.iso").write_bytes(b"")
    path = tmp_path / "x.yml"
    path.write_text(
        "format: 1\nname: x\nsource: {iso: {path: x.iso}}\n"
        "variables: {mirror: {default: http://mirror.example/debian}}\n"
        f"install:\n  profile: {profile}\n  seed: initrd\n" + "".join(f"  {line}\n" for line in lines)
    )
    return path


def said(path: Path) -> list[str]:
    return [f"{p.place.line if p.place else 0}: {p.message} ({p.hint})" for p in check(path)[1]]


@pytest.mark.parametrize(
    ("profile", "own", "lines"),
    [
        ("debian-installer", "", ()),
        ("tiny", "", ()),
        ("autoyast", "", ()),
        ("anaconda-el9", "inst.ks=file:/ks.cfg", ("seed_vars: {family: el, tree: t/, repositories: {}}",)),
        ("anaconda-fedora", "inst.ks=file:/ks.cfg", ("seed_vars: {family: el, tree: t/, repositories: {}}",)),
    ],
)
def test_installers_that_look_into_their_initrd(profile: str, own: str, lines: tuple[str, ...], tmp_path: Path) -> None:
    path = template(tmp_path, profile, *lines, "kernel_args: last=one")
    assert said(path) == []
    line = render_late(command_line(load(path)), {"build": {"name": "x"}})
    assert line.split()[-1] == "last=one"
    assert "http://10.0.2.2" not in line
    assert own in line
    assert "inst.ks=http" not in line


@pytest.mark.parametrize(
    ("profile", "ways"),
    [
        ("ubuntu-autoinstall", "`seed: http` or `seed: cd` or `seed: floppy`"),
        ("agama", "`seed: http` or `seed: cd` or `seed: floppy`"),
        ("alpine", "`seed: http`"),
    ],
)
def test_a_live_system_forgets_its_initrd(profile: str, ways: str, tmp_path: Path) -> None:
    assert said(template(tmp_path, profile))[0] == (
        f"7: the installer of '{profile}' does not look for its seed in the initrd (use {ways})"
    )


@pytest.mark.parametrize("line", ["boot: typed", "boot_command: [<enter>]"])
def test_a_typed_boot_starts_the_isos_own_initrd(line: str, tmp_path: Path) -> None:
    (problem,) = said(template(tmp_path, "debian-installer", line))
    assert "a seed in the initrd needs a direct boot" in problem
    assert "`boot: direct`" in problem


def test_a_profile_without_a_direct_boot(tmp_path: Path) -> None:
    (problem,) = said(template(tmp_path, "freebsd-bsdinstall"))
    assert "a seed in the initrd needs a direct boot" in problem
    assert problem.endswith("(use `seed: http`)")
