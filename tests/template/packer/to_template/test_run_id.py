"""The id of a command: one for all of its builds, and none of a step's key."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.digest import digest_of
from factory.steps.recipes import late_markers
from factory.template.late import render_late
from factory.template.model import LateText, Shell
from factory.template.packer.run_id import run_id
from factory.template.packer.to_template import Translation, to_template
from tests.template.packer.written import build_with, hcl

pytestmark = pytest.mark.unit


def translated(folder: Path, steps: str) -> Translation:
    config = hcl(folder, build_with(steps))
    return to_template(config, config.builds[0])


def lines(translation: Translation) -> tuple[object, ...]:
    shell = translation.loaded.template.provision[0].options
    assert isinstance(shell, Shell)
    assert shell.inline
    return shell.inline


def test_it_is_the_environments_or_one_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PACKER_RUN_UUID", raising=False)
    assert run_id() == run_id() != ""
    monkeypatch.setenv("PACKER_RUN_UUID", "given")
    assert run_id() == "given"


def test_a_step_that_names_it_is_the_same_in_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = '  provisioner "shell" {\n inline = ["echo ${build.PackerRunUUID}", "echo ${build.User}"]\n }\n'
    monkeypatch.setenv("PACKER_RUN_UUID", "one")
    first = translated(tmp_path, steps)
    monkeypatch.setenv("PACKER_RUN_UUID", "two")
    second = translated(tmp_path, steps)
    assert digest_of(first.loaded.template.provision) == digest_of(second.loaded.template.provision)
    text = lines(first)[0]
    assert isinstance(text, LateText)
    assert render_late(text, {"build": {"run_id": "three"}}) == "echo three"
    assert late_markers(first.loaded)["build"]["run_id"] == "late:build.run_id"


def test_a_script_on_this_host_has_it_in_its_environment(tmp_path: Path) -> None:
    translation = translated(tmp_path, '  provisioner "shell-local" {\n inline = ["true"]\n }\n')
    plugin = translation.loaded.template.provision[0].plugin
    assert plugin is not None
    assert plugin.options["environment"]["PACKER_RUN_UUID"] == LateText("{{ build.run_id }}")
    given = '  provisioner "shell-local" {\n inline = ["true"]\n env = { PACKER_RUN_UUID = "mine" }\n }\n'
    plugin = translated(tmp_path, given).loaded.template.provision[0].plugin
    assert plugin is not None
    assert plugin.options["environment"]["PACKER_RUN_UUID"] == "mine"


def test_who_computes_with_it_gets_the_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKER_RUN_UUID", "0123456789")
    steps = '  provisioner "shell" {\n inline = ["echo ${substr(build.PackerRunUUID, 0, 4)}"]\n }\n'
    assert lines(translated(tmp_path, steps)) == ("echo 0123",)


def test_post_processors_get_it_when_they_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKER_RUN_UUID", "0123456789")
    steps = (
        '  post-processor "shell-local" {\n inline = ["echo ${build.PackerRunUUID}"]\n }\n'
        '  post-processor "shell-local" {\n inline = ["echo ${substr(build.PackerRunUUID, 0, 4)}"]\n }\n'
        '  post-processor "theirs" {\n text = upper(build.PackerRunUUID)\n }\n'
    )
    delivery = translated(tmp_path, steps).loaded.delivery
    assert delivery is not None
    whole, piece, theirs = (chain[0] for chain in delivery.chains)
    assert "0123456789" not in str(whole.options)
    assert list(whole.with_run_id("three").options["inline"]) == ["echo three"]
    assert list(piece.options["inline"]) == ["echo 0123"]
    assert theirs.options["text"] == "0123456789"
