"""The Vagrantfile: a consumer of the box that is built here."""

from __future__ import annotations

import re

import pytest

from tests.content.shipped import ROOT, TEMPLATES, loaded

pytestmark = pytest.mark.unit

TEXT = (ROOT / "Vagrantfile").read_text()


def test_the_template_that_it_names_builds_a_box() -> None:
    named = set(re.findall(r"images/([a-z0-9.-]+)\.yml", TEXT))
    assert named == {"debian-vagrant"}
    assert named <= set(TEMPLATES)
    (output,) = loaded("debian-vagrant").template.outputs
    assert output.kind == "vagrant"
    assert loaded("debian-vagrant").template.provision[-1].name == "vagrant-user"


def test_every_knob_that_it_reads_is_described_at_its_top() -> None:
    used = set(re.findall(r"ENV\.fetch\('(\w+)'", TEXT))
    described = set(re.findall(r"^#   (FACTORY_\w+)  ", TEXT, re.MULTILINE))
    assert used == described


def test_the_box_file_is_looked_for_where_builds_put_it() -> None:
    assert "File.join(__dir__, 'output', '*', '*.box')" in TEXT
