# ruff: noqa: E501 (whole messages, as people read them)
"""Names of files in templates, the project around a template, and profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.template import project as project_module
from factory.template.project import (
    find_profile,
    find_seed_folder,
    profile_names,
    project_root,
    seed_folder_names,
    templates,
)
from tests.template.conftest import Project

pytestmark = pytest.mark.unit


def test_the_project_is_the_nearest_folder_with_a_mark(project: Project, tmp_path: Path) -> None:
    assert project_root(Path("images/small.yml")) == project.root
    inner = project.write("images/deep/http_seed/x", "").parent.parent
    assert project_root(inner / "t.yml") == inner
    lonely = tmp_path.parent / "lonely" / "t.yml"
    assert project_root(lonely) == lonely.parent


def test_relative_names_are_those_of_the_file_that_wrote_them(project: Project) -> None:
    project.write("scripts/guest/a", "#!/bin/sh\n")
    project.write("images/_base/here", "")
    project.write(
        "images/_base/one.yml",
        "provision:\n  - shell: {script: ../../scripts/guest/a}\n  - file: {source: here, destination: /x}\n",
    )
    loaded = project.load(
        "extends: [_base/one]\nprovision+:\n  - shell: {scripts: [../scripts/hello, scripts/hello]}\n"
        "  - file: {source: nowhere/in/the/guest, destination: /tmp/x, direction: download}\n"
    )
    options = [p.options.model_dump() for p in loaded.template.provision]
    assert options[0]["script"] == "scripts/guest/a"
    assert options[1]["source"] == "images/_base/here"
    assert options[2]["scripts"] == ("scripts/hello", "scripts/hello")
    assert options[3]["source"] == "nowhere/in/the/guest"
    assert loaded.resolve("scripts/hello") == project.root / "scripts/hello"
    assert loaded.files == (Path("images/small.yml"), Path("images/_base/one.yml"))


def test_names_outside_of_the_project_are_whole(project: Project, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-home"
    (outside / "keys").mkdir(parents=True)
    (outside / "keys" / "id").write_text("key")
    loaded = project.load("access: {ssh: {private_key: ~/keys/id}}\n", environ={"HOME": str(outside)})
    assert loaded.template.access.ssh is not None
    assert loaded.template.access.ssh.private_key == str(outside / "keys/id")
    assert loaded.resolve(str(outside / "keys/id")) == outside / "keys/id"
    relative = project.load(f"access: {{ssh: {{private_key: ../../{outside.name}/keys/id}}}}\n")
    assert relative.template.access.ssh is not None
    assert relative.template.access.ssh.private_key == str(outside / "keys/id")
    assert project.problems("access: {ssh: {private_key: ~/keys/id}}\n") == [
        f"5:29: there is no file '~/keys/id' (looked beside small.yml and in {project.root.name}/)"
    ]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("provision: [{shell: {script: ../scripts/helo}}]\n", "5:30: there is no file '../scripts/helo' (did you mean 'hello'?)"),
        ("provision: [{shell: {scripts: [scripts/hello, x/y]}}]\n", "5:47: there is no file 'x/y' (looked beside small.yml)"),
        ("provision: [{shell: {script: ../scripts}}]\n", "5:30: 'scripts' is a folder, not a script"),
        ("provision: [{ansible: {playbook: site.yml}}]\n", "5:34: there is no file 'site.yml' (looked beside small.yml)"),
        ("outputs: [{vagrant: {vagrantfile: V}}]\n", "5:35: there is no file 'V' (looked beside small.yml)"),
        ("outputs: [{kind: vagrant, vagrantfile: V}]\n", "5:40: there is no file 'V' (looked beside small.yml)"),
    ],
)  # fmt: skip
def test_files_that_are_not_there(project: Project, more: str, problem: str) -> None:
    hint = f" and in {project.root.name}/)"
    assert [p.replace(hint, ")") for p in project.problems(more)] == [problem]


def test_files_that_are_filled_in(project: Project) -> None:
    base = "format: 1\nname: small\ninstall: {profile: small}\nvariables: {iso: {default: small}}\n"
    project.template("source: {iso: {path: '../isos/{{ vars.iso }}.iso', checksum: none}}\n", base=base)
    iso = project.load().template.source.iso
    assert iso is not None
    assert iso.path == "isos/small.iso"
    assert (
        "there is no file '../isos/smal.iso' (did you mean 'small.iso'?)"
        in project.problems(variables={"iso": "smal"})[0]
    )


def test_sums_beside_the_template_are_named_whole(project: Project) -> None:
    base = "format: 1\nname: small\ninstall: {profile: small}\n"
    project.write("isos/SUMS", "")
    project.template("source: {iso: {path: ../isos/small.iso, checksum: 'file:../isos/SUMS'}}\n", base=base)
    iso = project.load().template.source.iso
    assert iso is not None
    assert iso.checksum == f"file:{project.root}/isos/SUMS"
    project.template("source: {iso: {path: ../isos/small.iso, checksum: 'file:SUM'}}\n", base=base)
    assert "there is no file 'SUM'" in project.problems()[0]


def test_inputs_may_be_patterns(project: Project) -> None:
    base = "format: 1\nname: small\ninstall: {profile: small}\n"
    project.template(
        "source: {iso: {build: {script: scripts/hello, inputs: [../isos, '../isos/*.iso', '../isos/*.img']}}}\n",
        base=base,
    )
    assert [p.split(" (")[0] for p in project.problems()] == ["4:82: there is no file '../isos/*.img'"]


def test_profiles_and_seeds_that_are_not_there(project: Project) -> None:
    project.write("boot_configs/other.yml", "format: 1\nname: other\nseed: {directory: smal}\ntyped: {command: x}\n")
    base = "format: 1\nname: small\nsource: {iso: {path: ../isos/small.iso, checksum: none}}\n"
    project.template("install: {profile: smal}\n", base=base)
    assert project.problems() == ["4:20: there is no boot profile 'smal' (did you mean 'small'? known: other, small)"]
    project.template("install: {profile: quite-else}\n", base=base)
    assert project.problems() == ["4:20: there is no boot profile 'quite-else' (known: other, small)"]
    project.template("install: {profile: other}\n", base=base)
    assert project.problems() == [
        "boot_configs/other.yml:3:19: there is no folder http_seed/smal (did you mean 'small'?)"
    ]
    project.template("install: {profile: other, seed_dir: ../http_seed/small}\n", base=base)
    assert project.load().seed_directory == project.root / "http_seed/small"
    project.template("install: {profile: small, seed_dir: ../scripts/hello}\n", base=base)
    assert "4:37: 'scripts/hello' is not a folder" in project.problems()


def test_names_can_not_lead_out_of_the_folders(project: Project) -> None:
    project.write("secret/x", "")
    assert find_seed_folder("../secret", project.root) is None
    assert find_seed_folder("small", project.root) == project.root / "http_seed/small"
    assert seed_folder_names(project.root) == ("small",)
    assert profile_names(project.root) == ("small",)
    assert templates(project.root) == {"small": project.root / "images/small.yml"}


def test_what_is_shipped_is_found_after_what_is_in_the_project(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path.parent / f"{tmp_path.name}-shipped"
    (shipped / "boot_configs").mkdir(parents=True)
    (shipped / "http_seed" / "extra").mkdir(parents=True)
    for name in ("small", "extra"):
        (shipped / "boot_configs" / f"{name}.yml").write_text("x: 1")
    monkeypatch.setattr(project_module, "shipped_root", lambda: shipped)
    assert find_profile("small", project.root) == project.root / "boot_configs/small.yml"
    assert find_profile("extra", project.root) == shipped / "boot_configs/extra.yml"
    assert find_seed_folder("extra", project.root) == shipped / "http_seed/extra"
    assert profile_names(project.root) == ("extra", "small")


def test_the_checkout_ships_profiles() -> None:
    root = project_module.shipped_root()
    assert root is not None
    assert (root / "boot_configs" / "tiny.yml").is_file()
