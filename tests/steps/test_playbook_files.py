"""What counts for a playbook's key, and what lies beside it by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.plan.explain import why
from factory.steps.playbook_files import playbook_files
from tests.steps.test_contents import PROJECT, plan

pytestmark = pytest.mark.unit

COUNT = (
    "ansible.cfg",
    "callback_plugins/c.py",
    "files/.bashrc",
    "group_vars/all",
    "named.conf",
    "named.d/one",
    "of-a-task.j2",
    "given.json",
    "requirements.txt",
    "roles/web/tasks/main.yml",
    "templates/motd.j2",
    "vars.yaml",
)
DO_NOT = (
    ".git/HEAD",
    "README.md",
    "images/web.yml",
    "output/web/manifest.json",
    "elsewhere/tasks.yml",
    "named.confused",
    "roles/web/.git/HEAD",
    "library/__pycache__/m.pyc",
    "templates/out/disk",
    "web.yml",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*COUNT, *DO_NOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as it was\n")
    (tmp_path / "site.yml").write_text("- hosts: all\n  tasks: [copy: {src: named.conf}, script: named.d/one]\n")
    (tmp_path / "roles/web/tasks/main.yml").write_text("- template: {src: ../of-a-task.j2}\n")
    (tmp_path / "web.yml").write_text("format: 1\nname: web\nsource: {iso: {path: a.iso}}\n")
    return tmp_path


def test_what_ansible_looks_for_and_what_is_named_counts(folder: Path) -> None:
    output = folder / "templates/out"
    found = dict(playbook_files(folder / "site.yml", ["-e", "@given.json"], output))
    assert sorted(found) == sorted(COUNT)
    assert all(found[name] == folder / name for name in found)


def test_a_folder_to_work_in_does_not_count_though_it_is_named(folder: Path) -> None:
    for number in range(2001):
        (folder / "named.d" / str(number)).touch()
    assert not [n for n, _ in playbook_files(folder / "site.yml", [], folder / "output") if n.startswith("named.d")]


def test_a_link_that_leads_back_is_followed_once(folder: Path) -> None:
    (folder / "roles/again").symlink_to("..")
    (folder / "roles/shared").symlink_to(folder / "elsewhere")
    names = [name for name, _ in playbook_files(folder / "site.yml", [], folder / "output")]
    assert "roles/shared/tasks.yml" in names
    assert len(names) < 100


TEMPLATE = """
format: 1
name: web
source: {iso: {path: a.iso}}
machine: {disks: [{id: main, size: 1 GiB}]}
install: {profile: tiny}
provision:
  - ansible: {playbook: ../site.yml, roles_path: ../elsewhere}
outputs: [qcow2]
"""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("README.md", ""),
        ("output/web/manifest.json", ""),
        (".git/HEAD", ""),
        ("site.yml", "site.yml changed"),
        ("roles/web/tasks/main.yml", "roles/web/tasks/main.yml changed"),
        ("templates/new.j2", "templates/new.j2 is new"),
        ("elsewhere/tasks.yml", "elsewhere/tasks.yml changed"),
    ],
)
def test_the_reason_names_the_file(folder: Path, changed: str, words: str) -> None:
    for name in ("boot_configs", "http_seed"):
        (folder / name).symlink_to(PROJECT / name)
    template = folder / "images/web.yml"
    template.write_text(TEMPLATE)
    (folder / "a.iso").write_bytes(b"iso")
    before = plan(template).phases[-3]
    with (folder / changed).open("a") as stream:
        stream.write("# otherwise\n")
    after = plan(template).phases[-3]
    assert (before.key == after.key) is (not words)
    if words:
        assert why(after.name, before.recipe, after.recipe) == f"{after.name} will run again: {words}"


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    for name in ("boot_configs", "http_seed"):
        (folder / name).symlink_to(PROJECT / name)
    template = folder / "images/web.yml"
    template.write_text(TEMPLATE)
    (folder / "a.iso").write_bytes(b"iso")
    before = plan(template).phases[-3]
    (folder / "group_vars/all").unlink()
    after = plan(template).phases[-3]
    assert " group_vars/all is gone" in why(after.name, before.recipe, after.recipe)
